"""Corrections undo the mistakes that they are named for, and what makes no difference is no hypothesis."""

from dataclasses import replace

import numpy as np
import pytest

from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.rotations import from_vector
from runtime.calibration.bundle import Keypoints
from runtime.calibration.hypotheses import GivenCalibration, alike, hypotheses
from runtime.calibration.status import Correction
from runtime.geometry.lens import Lens, ideal_camera
from runtime.geometry.two_view import TwoViewGeometry
from tests.runtime.calibration.claims import cropped, of_frames, placed

CAMERAS = PerView(PinholeCamera.from_fov(640, 480, 60), PinholeCamera.from_fov(640, 480, 75))
R = from_vector(np.array([0.2, -0.9, 0.1]))
RIGHT = GivenCalibration.of(TwoViewGeometry(CAMERAS, R, np.array([300.0, 40.0, 120.0])))


def undone(given: GivenCalibration) -> set[Correction]:
    """Corrections that make the right calibration of it."""
    return {one.correction for one in hypotheses(given) if alike(one.calibration, RIGHT)}


def test_each_mistake_is_undone_by_its_correction():
    t = RIGHT.t_right_from_left_mm
    assert undone(placed(RIGHT, R.T, -R.T @ t)) == {Correction.INVERSE}
    assert undone(placed(RIGHT, R.T, t)) == {Correction.TRANSPOSED}
    assert undone(placed(RIGHT, R, -R.T @ t)) == {Correction.POSITION}
    assert undone(placed(RIGHT, R, -t)) == {Correction.OPPOSITE}
    exchanged = PerView(RIGHT.lenses.right, RIGHT.lenses.left)
    assert undone(GivenCalibration(exchanged, R.T, -R.T @ t)) == {Correction.EXCHANGED}
    assert undone(GivenCalibration(exchanged, R, t)) == {Correction.INTRINSICS_EXCHANGED}
    assert undone(of_frames(RIGHT, 2 / 3)) == undone(of_frames(RIGHT, 2.0)) == {Correction.RESOLUTION}
    assert undone(cropped(RIGHT, 160, 0)) == {Correction.CROP}


def test_a_right_calibration_has_no_hypothesis_about_its_lenses():
    corrections = {one.correction for one in hypotheses(RIGHT)}
    assert not corrections & {Correction.RESOLUTION, Correction.CROP}


def test_corrections_without_a_difference_are_left_out():
    """Of cameras that look the same way, R transposed is R, and one beside the other is where T says."""
    parallel = placed(RIGHT, np.eye(3), np.array([-120.0, 0, 0]))
    corrections = {one.correction for one in hypotheses(parallel)}
    assert Correction.TRANSPOSED not in corrections and Correction.INVERSE in corrections
    same = GivenCalibration(PerView(RIGHT.lenses.left, RIGHT.lenses.left), R, RIGHT.t_right_from_left_mm)
    assert Correction.INTRINSICS_EXCHANGED not in {one.correction for one in hypotheses(same)}


def test_pixels_are_seen_as_other_lenses_would_have_undistorted_them():
    lens = Lens((560.0, 564.0), (312.0, 236.0), "radtan", (-0.1, 0.02, 0.001, -0.001, 0.003), (640, 480))
    right = GivenCalibration(PerView(lens, lens), R, RIGHT.t_right_from_left_mm)
    given = of_frames(right, 0.8)
    points = np.random.default_rng(0).uniform([-0.25, -0.2, 1], [0.25, 0.2, 1], (5, 21, 3))
    original = lens.project(points)
    wrong = ideal_camera(given.lenses.left).project(given.lenses.left.rays(original))
    ones = np.ones((5, 21))
    view = Keypoints(wrong, ones, points, ones, np.zeros(2))
    seen = given.seen_by(PerView(view, view), right).left
    np.testing.assert_allclose(seen.pixels, ideal_camera(lens).project(points), atol=0.02)
    assert seen.sigma_px[0, 0] == pytest.approx(
        ideal_camera(lens).focal_px / lens.focal_px[0] * given.lenses.left.focal_px[0] / ideal_camera(given.lenses.left).focal_px
    )


@pytest.mark.parametrize("view", ["left", "right", None])
def test_a_correction_of_lenses_names_the_camera_whose_lens_alone_is_wrong(view: View | None):
    other = of_frames(RIGHT, 0.5)
    given = replace(RIGHT, lenses=PerView.of(lambda each: (other if view in (each, None) else RIGHT).lenses[each]))
    (found,) = [one for one in hypotheses(given) if one.correction is Correction.RESOLUTION]
    assert found.view == view and found.scale == 2 and alike(found.calibration, RIGHT)
    assert all(one.view is None for one in hypotheses(given) if one.correction not in (Correction.RESOLUTION, Correction.CROP))
