"""Laws of judging a self-calibration: the truth has no error, known errors are measured, a clip is read as it is."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from capture.views import PerView
from hand.errors import UserError
from hand.rotations import from_vector
from runtime.geometry.two_view import TwoViewGeometry
from tests.paths import SHARED
from tools.evaluate.geometry import (
    CLIP_CONFIDENCE,
    Settings,
    drawn,
    errors_of,
    fault_report,
    faults,
    follow,
    known_fov,
    read_clip,
    report,
)
from tools.evaluate.geometry_page import Answer, Errors, Outcome, draw_page
from tools.evaluate.two_views import Observed

CLIP = SHARED / "clips/two_webcams"
SHORT = Settings(seconds=1.0)


def turned(geometry: TwoViewGeometry, degrees: float) -> TwoViewGeometry:
    turn = from_vector(np.array([0, np.radians(degrees), 0]))
    return replace(geometry, R_right_from_left=turn @ geometry.R_right_from_left)


def judged(geometry: TwoViewGeometry, observed: Observed) -> Errors:
    there = np.array([pair is not None for pair in observed.pairs])
    truth, joints = observed.rig.geometry, observed.joints_mm[there]
    return errors_of(geometry, truth, joints, truth.project(joints))


def outcome(number: int, answers: int) -> Outcome:
    """A rig whose calibration is two degrees off, and says three."""
    observed = drawn(SHORT, number)
    true = judged(turned(observed.rig.geometry, 2), observed)
    claimed = Errors(3.0, 1.0, PerView(2.0, 2.0), float("nan"))
    told = [Answer(0.5 + 0.1 * n, claimed, true) for n in range(answers)]
    return Outcome(observed, told, told[-1] if told else None, Answer(0.9, claimed, true), [0.02, 0.04], "a note")


def test_the_truth_has_no_error():
    observed = drawn(SHORT, 0)
    errors = judged(observed.rig.geometry, observed)
    assert errors.rotation_deg == errors.baseline_deg == 0 and errors.focal_percent == PerView(0, 0)
    assert errors.hand_mm < 1e-3


def test_errors_are_what_was_done_to_the_geometry():
    observed = drawn(SHORT, 0)
    truth = observed.rig.geometry
    off = judged(turned(truth, 3), observed)
    assert off.rotation_deg == pytest.approx(3) and off.baseline_deg == 0 and off.hand_mm > 1
    t = truth.t_right_from_left_mm
    across = np.cross(t, [0, 0, 1.0])
    about = from_vector(across / np.linalg.norm(across) * np.radians(7))
    off = judged(replace(truth, t_right_from_left_mm=about @ t), observed)
    assert off.baseline_deg == pytest.approx(7) and off.rotation_deg == 0
    assert judged(replace(truth, t_right_from_left_mm=-t), observed).baseline_deg == pytest.approx(180)
    left, right = truth.cameras
    cameras = PerView(replace(left, focal_px=left.focal_px * 1.05), replace(right, focal_px=right.focal_px * 0.9))
    assert list(judged(replace(truth, cameras=cameras), observed).focal_percent) == pytest.approx([5, -10])


def test_the_length_of_the_baseline_is_no_error():
    observed = drawn(SHORT, 1)
    longer = replace(observed.rig.geometry, t_right_from_left_mm=2 * observed.rig.geometry.t_right_from_left_mm)
    errors = judged(longer, observed)
    assert errors.baseline_deg == pytest.approx(0, abs=1e-6) and errors.hand_mm < 1e-3


def test_a_runs_rigs_are_its_seeds():
    one, again, other = drawn(SHORT, 3), drawn(SHORT, 3), drawn(replace(SHORT, seed=1), 3)
    np.testing.assert_array_equal(one.joints_mm, again.joints_mm)
    assert not np.allclose(one.joints_mm, other.joints_mm)


def test_each_fault_is_another_stream_of_the_same_cameras():
    streams = faults(replace(SHORT, seconds=3.0), 0)
    told = {b"".join(hand.pixels.tobytes() for pair in one.pairs if pair for hand in pair) for one in streams.values()}
    assert len(told) == len(streams) and b"" not in told
    cameras = [one.rig.geometry.cameras for one in streams.values()]
    assert all(one == cameras[0] for one in cameras)


def test_the_report_counts_those_never_sure_and_takes_no_figure_from_them():
    text = report([outcome(0, 3), outcome(1, 1), outcome(2, 0)])
    assert text.startswith("3 rigs, sure at the end 2, never sure 1")
    rows = {line.rsplit(None, 3)[0].strip(): line.split()[-3:] for line in text.splitlines()[2:]}
    assert rows["rotation, deg"] == ["2.00"] * 3 and rows["rotation, deg, claimed"] == ["3.00"] * 3
    assert rows["rotation, deg, sure or not"] == ["2.00"] * 3
    assert rows["first answer, s"] == ["0.50"] * 3 and rows["an update, ms"] == ["30.00", "40.00", "40.00"]
    assert report([outcome(2, 0)]).count(" -") == 3 * 9


def test_the_fault_report_tells_right_answers_from_wrong_ones():
    text = fault_report({"mirrored": [outcome(0, 2), outcome(1, 0)]})
    assert text.splitlines()[1].split() == ["mirrored", "2", "1", "1", "1"] and "mirrored: a note" in text


@pytest.mark.parametrize("answers", [(3, 1, 0), (0,)])
def test_the_page_is_a_picture_whether_there_are_answers_or_not(tmp_path: Path, answers: tuple[int, ...]):
    draw_page([outcome(number, count) for number, count in enumerate(answers)], "title", tmp_path / "page.png")
    page = cv2.imread(str(tmp_path / "page.png"))
    assert page is not None and page.shape == (1400, 1600, 3)
    # Nine panels, each of which holds something bright.
    assert all(part.max() > 150 for rows in np.array_split(page, 3) for part in np.array_split(rows, 3, axis=1))


def test_a_page_that_cannot_be_is_the_users_error(tmp_path: Path):
    with pytest.raises(UserError, match="no rigs"):
        draw_page([], "title", tmp_path / "page.png")
    with pytest.raises(UserError, match="missing"):
        draw_page([outcome(0, 1)], "title", tmp_path / "missing" / "page.png")


def test_a_clips_landmarks_agree_with_its_calibration():
    if not CLIP.is_dir():
        pytest.skip("no recorded clip beside the repository")
    observed, pixels = read_clip(CLIP)
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
        read_clip(tmp_path)


def test_a_stream_is_followed_to_an_answer_that_is_right():
    settings = Settings(seconds=3.0, noise_px=1.0, outliers=0.0, known_fov=True)
    observed = drawn(settings, 0)
    came = follow(observed, known_fov(settings, observed.rig))
    assert came.final is not None and came.update_s and came.first_s is not None
    assert came.first_s <= came.final.at_s < 3 and came.final.true.rotation_deg < 3
    assert all(answer.claimed.rotation_deg > 0 and np.isfinite(answer.true.hand_mm) for answer in came.answers)
    assert all(max(map(abs, answer.true.focal_percent)) < 1e-9 for answer in came.answers)
