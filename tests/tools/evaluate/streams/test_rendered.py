"""Rendered rigs: cameras and pictures agree with their truth, landmarks are kept as they were, and nothing is rendered twice."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from capture.views import VIEWS, PerView
from hand.errors import UserError
from hand.rotations import angle_deg
from tests.tools.evaluate.streams.rigs import TINY, backgrounds, rig_with_side, tiny_stream
from tools.evaluate.geometry_errors import Errors, Outcome, Update
from tools.evaluate.streams.landmark_errors import describe_errors, measure
from tools.evaluate.streams.landmarks import NO_HAND, Landmarks
from tools.evaluate.streams.rendered import BEND_LIMIT, RenderSettings, RigStore, plan
from tools.evaluate.streams.rendered_report import rendered_report
from tools.evaluate.synthetic_stream import distorted, mirrored
from tools.report.rendered_page import draw_rendered_page


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> RigStore:
    folder = tmp_path_factory.mktemp("rigs")
    store = RigStore(folder, TINY, ("detnet",), backgrounds())
    assert store.make(0)
    return store


@pytest.fixture(scope="module")
def landmarks(store: RigStore) -> Landmarks:
    return store.load(0, "detnet")


def test_rigs_are_of_all_sorts():
    plans = [plan(RenderSettings(), number)[0] for number in range(200)]
    axes_deg = np.array([one.rig.axes_deg for one in plans])
    assert axes_deg.min() < 25 and axes_deg.max() > 155
    assert {one.side for one in plans} == {"left", "right"}
    assert min(one.motion for one in plans) < 0.4 and max(one.motion for one in plans) > 0.9
    equal = np.array([one.rig.fov_deg.left == one.rig.fov_deg.right for one in plans])
    assert 0.3 < equal.mean() < 0.7
    cameras = [camera for one in plans for camera in one.rig.geometry.cameras]
    off = [np.subtract(camera.centre_px, np.subtract(camera.size_px, 1) / 2) for camera in cameras]
    assert 1 < np.std(off) < 5
    for one in plans:
        for view in VIEWS:
            camera = one.rig.geometry.cameras[view]
            rim = np.array([np.tan(np.radians(one.rig.fov_deg[view] / 2)), 0, 1])
            ideal = camera.project(rim)[0] - camera.centre_px[0]
            bent = distorted(camera, rim, one.radial[view])[0] - camera.centre_px[0]
            assert abs(bent / ideal - 1) <= BEND_LIMIT + 1e-9


@pytest.mark.parametrize("radial", [-0.3, 0.3])
def test_a_bent_lens_keeps_the_order_of_what_it_sees(radial: float):
    camera = plan(RenderSettings(), 0)[0].rig.geometry.cameras.left
    off_axis = np.radians(np.linspace(0, 80, 100))
    seen = distorted(camera, np.stack([np.tan(off_axis), 0 * off_axis, 1 + 0 * off_axis], -1), radial)
    assert (np.diff(seen[:, 0]) > 0).all()
    inner = distorted(camera, np.array([0.1, 0, 1]), radial)[0] - camera.centre_px[0]
    assert inner == pytest.approx(camera.focal_px * 0.1 * (1 + radial * 0.01))


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_hand_is_drawn_where_a_bent_lens_sees_it(side):
    number = rig_with_side(side)
    stream, shown = tiny_stream(number)
    assert shown == side
    for view in VIEWS:
        width, height = stream.rig.geometry.cameras[view].size_px
        pictures = np.stack([pair[view].image for pair in stream.pairs]).astype(float)
        assert pictures.shape[1:] == (height, width, 3)
        changed = np.abs(pictures - np.median(pictures, 0)).mean(-1)
        at = stream.pixels[view].round().astype(int)
        inside = np.asarray(np.logical_and(at >= 0, at < (width, height)).all(-1))
        seen = [changed[n][at[n, inside[n], 1], at[n, inside[n], 0]] for n in range(len(at))]
        assert np.median(np.concatenate(seen)) > 3 * np.median(changed)


def test_a_mirrored_stream_is_one_of_mirrored_cameras():
    stream, _ = tiny_stream(0)
    other = mirrored(stream)
    for view in VIEWS:
        width = stream.rig.geometry.cameras[view].size_px[0]
        np.testing.assert_allclose(other.pixels[view], stream.pixels[view] * [-1, 1] + [width - 1, 0], atol=1e-6)
        np.testing.assert_array_equal(other.pairs[1][view].image, stream.pairs[1][view].image[:, ::-1])
    assert np.linalg.det(other.rig.geometry.R_right_from_left) == pytest.approx(1)
    np.testing.assert_allclose(mirrored(other).joints_mm, stream.joints_mm)
    np.testing.assert_allclose(other.rig.in_left(other.rig.in_space(other.joints_mm)), other.joints_mm)


def test_a_rig_is_rendered_once_and_a_seed_gives_the_same(store: RigStore, landmarks: Landmarks, tmp_path: Path):
    before = store.file(0, "detnet").stat().st_mtime_ns
    assert not store.make(0) and store.file(0, "detnet").stat().st_mtime_ns == before
    again = RigStore(tmp_path, TINY, ("detnet",), backgrounds())
    again.make(0)
    np.testing.assert_array_equal(again.load(0, "detnet").pixels.left, landmarks.pixels.left)
    other = RigStore(store.folder, RenderSettings(seed=5, seconds=TINY.seconds, fps=TINY.fps, width=TINY.width), ("detnet",))
    assert other.file(0, "detnet") != store.file(0, "detnet")


def test_landmarks_are_kept_with_their_truth(landmarks: Landmarks, tmp_path: Path):
    landmarks.save(tmp_path / "kept.npz")
    kept = Landmarks.load(tmp_path / "kept.npz")
    stream, side = tiny_stream(0)
    truth = kept.truth
    assert truth is not None and truth.side == side and truth.radial == stream.radial
    np.testing.assert_allclose(truth.joints_mm, stream.joints_mm)
    assert angle_deg(truth.rig.geometry.R_right_from_left, stream.rig.geometry.R_right_from_left) < 1e-6
    assert truth.rig.geometry.cameras == stream.rig.geometry.cameras
    for view in VIEWS:
        np.testing.assert_array_equal(kept.pixels[view], landmarks.pixels[view])
        missing = kept.side[view] == NO_HAND
        assert np.isnan(kept.pixels[view][missing]).all() and np.isfinite(kept.pixels[view][~missing]).all()
    for number, pair in enumerate(kept.observed().pairs):
        assert (pair is None) == any(kept.side[view][number] == NO_HAND for view in VIEWS)


def test_what_is_no_landmark_file_is_refused_with_its_name(tmp_path: Path):
    file = tmp_path / "other.npz"
    np.savez(file, pixels=np.zeros(3))
    with pytest.raises(UserError, match=r"other\.npz holds no landmarks"):
        Landmarks.load(file)
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(UserError, match=r"text\.npz"):
        Landmarks.load(tmp_path / "text.npz")


def test_independent_and_constant_errors_are_told_apart(landmarks: Landmarks):
    rng, truth = np.random.default_rng(0), landmarks.truth
    assert truth is not None
    count = 400
    numbers = np.arange(count) % len(landmarks)

    def stream(pixels: PerView[np.ndarray]) -> Landmarks:
        repeated = replace(
            truth,
            joints_mm=truth.joints_mm[numbers],
            pixels=truth.pixels.map(lambda of_view: of_view[numbers]),
        )
        return replace(
            landmarks,
            captured_ns=np.arange(count) * 100_000_000,
            side=PerView(np.full(count, 2, np.int8), np.full(count, 2, np.int8)),
            pixels=PerView.of(lambda view: truth.pixels[view][numbers] + pixels[view]),
            truth=repeated,
        )

    shape = (count, 21, 2)
    noise = measure([stream(PerView(rng.normal(size=shape), rng.normal(size=shape)))])
    assert noise.constant < 0.05 and noise.constant_if_independent == pytest.approx(1 / count)
    assert noise.correlation[0] == pytest.approx(1) and np.abs(noise.correlation[1:]).max() < 0.05
    assert noise.common == pytest.approx(1 / 21, rel=0.2)
    shift = np.ones((count, 21, 2))
    same = measure([stream(PerView(shift, shift))])
    assert same.correlation.min() > 0.3 and same.common == pytest.approx(1)
    assert "constant" in describe_errors([noise, same])


def test_a_report_tells_errors_from_claims(landmarks: Landmarks):
    observed = landmarks.observed()
    true, claimed = Errors(3.0, 2.0, PerView(-4.0, 8.0), 5.0), Errors(1.0, 2.0, PerView(4.0, 4.0), float("nan"))
    worse = Update(1.0, claimed, replace(true, rotation_deg=9.0))
    sure = Outcome(observed, [worse, Update(2.0, claimed, true)], Update(2.0, claimed, true), None, [0.5], "a status")
    never = Outcome(observed, [], None, None, [], "a status")
    outcomes = {"detnet": [sure, never], "other": [never]}
    text = rendered_report(outcomes)
    assert "2 rigs, sure at the end 1 (50%), never 1" in text and "1 rigs, sure at the end 0 (0%)" in text
    rotation = next(line for line in text.splitlines() if line.startswith("rotation, deg"))
    assert rotation.split()[2:] == ["3.00", "3.00", "9.00", "1.00", "3.00", "3.00", "0%"]
    focal = next(line for line in text.splitlines() if line.startswith("focal"))
    assert focal.split()[-1] == "100%"
    draw_rendered_page(outcomes, [measure([landmarks])], "two rigs").canvas.draw()
    with pytest.raises(UserError, match="no rigs to draw"):
        draw_rendered_page({"detnet": []}, [], "none")


def test_frames_that_are_no_stream_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match="is no stream of pictures"):
        RigStore(tmp_path, RenderSettings(seconds=0.05), ("detnet",))
