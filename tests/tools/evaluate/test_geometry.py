"""Laws of judging a self-calibration: the truth has no error, known errors are measured, a clip is read as it is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from capture.views import PerView
from hand.errors import UserError
from hand.rotations import from_vector
from runtime.geometry.two_view import TwoViewGeometry
from tests.paths import SHARED
from tools.evaluate.clip import CLIP_CONFIDENCE, observed_clip
from tools.evaluate.geometry import Settings, faulty_streams, known_fov, synthetic_stream
from tools.evaluate.geometry_errors import Errors, Outcome, Update, errors_of, follow
from tools.evaluate.geometry_report import fault_report, report
from tools.evaluate.two_views import Observed

CLIP = SHARED / "clips/two_webcams"
SHORT = Settings(seconds=1.0)


def turned(geometry: TwoViewGeometry, degrees: float) -> TwoViewGeometry:
    turn = from_vector(np.array([0, np.radians(degrees), 0]))
    return replace(geometry, R_right_from_left=turn @ geometry.R_right_from_left)


def errors_against(geometry: TwoViewGeometry, observed: Observed) -> Errors:
    there = np.array([pair is not None for pair in observed.pairs])
    truth, joints = observed.rig.geometry, observed.joints_mm[there]
    return errors_of(geometry, truth, joints, truth.project(joints))


def outcome(number: int, updates: int) -> Outcome:
    """A rig whose calibration is two degrees off and expects to be three degrees off."""
    observed = synthetic_stream(SHORT, number)
    true = errors_against(turned(observed.rig.geometry, 2), observed)
    expected = Errors(3.0, 1.0, PerView(2.0, 2.0), float("nan"))
    calibrated = [Update(0.5 + 0.1 * n, expected, true) for n in range(updates)]
    return Outcome(
        observed, calibrated, calibrated[-1] if calibrated else None, Update(0.9, expected, true), [0.02, 0.04], "a status"
    )


def test_the_truth_has_no_error():
    observed = synthetic_stream(SHORT, 0)
    errors = errors_against(observed.rig.geometry, observed)
    assert errors.rotation_deg == errors.baseline_deg == 0 and errors.focal_percent == PerView(0, 0)
    assert errors.hand_mm < 1e-3


def test_errors_are_what_was_done_to_the_geometry():
    observed = synthetic_stream(SHORT, 0)
    truth = observed.rig.geometry
    off = errors_against(turned(truth, 3), observed)
    assert off.rotation_deg == pytest.approx(3) and off.baseline_deg == 0 and off.hand_mm > 1
    t = truth.t_right_from_left_mm
    across = np.cross(t, [0, 0, 1.0])
    about = from_vector(across / np.linalg.norm(across) * np.radians(7))
    off = errors_against(replace(truth, t_right_from_left_mm=about @ t), observed)
    assert off.baseline_deg == pytest.approx(7) and off.rotation_deg == 0
    assert errors_against(replace(truth, t_right_from_left_mm=-t), observed).baseline_deg == pytest.approx(180)
    left, right = truth.cameras
    cameras = PerView(replace(left, focal_px=left.focal_px * 1.05), replace(right, focal_px=right.focal_px * 0.9))
    assert list(errors_against(replace(truth, cameras=cameras), observed).focal_percent) == pytest.approx([5, -10])


def test_the_length_of_the_baseline_is_no_error():
    observed = synthetic_stream(SHORT, 1)
    longer = replace(observed.rig.geometry, t_right_from_left_mm=2 * observed.rig.geometry.t_right_from_left_mm)
    errors = errors_against(longer, observed)
    assert errors.baseline_deg == pytest.approx(0, abs=1e-6) and errors.hand_mm < 1e-3


def test_a_runs_rigs_are_its_seeds():
    one, again, other = synthetic_stream(SHORT, 3), synthetic_stream(SHORT, 3), synthetic_stream(replace(SHORT, seed=1), 3)
    np.testing.assert_array_equal(one.joints_mm, again.joints_mm)
    assert not np.allclose(one.joints_mm, other.joints_mm)


def test_each_fault_is_another_stream_of_the_same_cameras():
    streams = faulty_streams(replace(SHORT, seconds=3.0), 0)
    told = {b"".join(hand.pixels.tobytes() for pair in one.pairs if pair for hand in pair) for one in streams.values()}
    assert len(told) == len(streams) and b"" not in told
    cameras = [one.rig.geometry.cameras for one in streams.values()]
    assert all(one == cameras[0] for one in cameras)


def test_the_report_counts_rigs_never_calibrated_and_takes_no_figure_from_them():
    text = report([outcome(0, 3), outcome(1, 1), outcome(2, 0)])
    assert text.startswith("3 rigs, calibrated at the end 2, never calibrated 1")
    rows = {line.rsplit(None, 3)[0].strip(): line.split()[-3:] for line in text.splitlines()[2:]}
    assert rows["rotation, deg"] == ["2.00"] * 3 and rows["rotation, deg, expected"] == ["3.00"] * 3
    assert rows["rotation, deg, accepted or not"] == ["2.00"] * 3
    assert rows["first calibration, s"] == ["0.50"] * 3 and rows["an update, ms"] == ["30.00", "40.00", "40.00"]
    assert report([outcome(2, 0)]).count(" -") == 3 * 9


def test_the_fault_report_tells_right_calibrations_from_wrong_ones():
    text = fault_report({"mirrored": [outcome(0, 2), outcome(1, 0)]})
    assert text.splitlines()[1].split() == ["mirrored", "2", "1", "1", "1"] and "mirrored: a status" in text


def test_a_clips_landmarks_agree_with_its_calibration():
    if not CLIP.is_dir():
        pytest.skip("no recorded clip beside the repository")
    observed, pixels = observed_clip(CLIP)
    there = np.array([pair is not None for pair in observed.pairs])
    assert len(there) == 189 and there.sum() == 176 and observed.sizes_px == PerView((720, 720), (720, 720))
    met = pixels.map(lambda of_view: of_view[there])
    assert np.median(np.abs(observed.rig.geometry.sampson_px(met))) < 3
    errors = errors_of(observed.rig.geometry, observed.rig.geometry, observed.joints_mm[there], met)
    # The reference took the lenses' distortion out, which pinholes do not know.
    assert errors.rotation_deg == 0 and errors.hand_mm < 4
    pair = next(pair for pair in observed.pairs if pair)
    assert np.isnan(pair.left.joints).all() and (pair.right.confidence == CLIP_CONFIDENCE).all()


def test_a_folder_without_a_clip_is_the_users_error(tmp_path: Path):
    with pytest.raises(UserError, match="left.mp4 is not there"):
        observed_clip(tmp_path)


def test_a_stream_is_followed_to_a_calibration_that_is_right():
    settings = Settings(seconds=3.0, noise_px=1.0, outliers=0.0, known_fov=True)
    observed = synthetic_stream(settings, 0)
    came = follow(observed, known_fov(settings, observed.rig))
    assert came.final is not None and came.update_s and came.first_s is not None
    assert came.first_s <= came.final.at_s < 3 and came.final.true.rotation_deg < 3
    assert all(update.expected.rotation_deg > 0 and np.isfinite(update.true.hand_mm) for update in came.calibrated)
    assert all(max(map(abs, update.true.focal_percent)) < 1e-9 for update in came.calibrated)
