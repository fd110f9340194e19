"""The geometry teacher labels hands once the cameras are calibrated, and only those that fit them."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from adapt.core.geometry_labels import LabelledPair
from adapt.core.geometry_teacher import GeometryTeacher, calibrate_recording, label_recording
from capture.frames import FramePair
from capture.views import VIEWS, PerView, View
from hand.rotations import angle_deg
from runtime.calibration.self_calibrator import CalibrationState, SelfCalibrator
from runtime.calibration.solver_process import InlineSolver
from runtime.calibration.status import CalibrationPhase, CalibrationStatus
from runtime.pipeline import Pipeline, PipelineSettings
from tests.adapt.recordings import GEOMETRY, Eyes, bones, pairs_of
from tests.runtime.scenes import CAMERAS, R_RIGHT_FROM_LEFT, SIZES_PX, Scene
from tests.runtime.watch.watching import scene as room

FOV_DEG: PerView[float | None] = PerView(65, 80)
"""Told, the places are found in fewer pairs."""
LONG_ENOUGH = 60
EXACT = 0.08
"""Hands; limits and bones pull a little at joints that are seen as they are."""


def teacher_of(scene: Scene, calibrator: SelfCalibrator) -> tuple[GeometryTeacher, Eyes]:
    eyes, how = Eyes(scene), PipelineSettings(merge="geometry")
    return GeometryTeacher(Pipeline(eyes, CAMERAS, how, calibrator=calibrator, solver=InlineSolver())), eyes


def knowing(scene: Scene) -> SelfCalibrator:
    """The cameras' places, given."""
    return SelfCalibrator(SIZES_PX, PerView(None, None), bones=bones(scene), given=GEOMETRY)


def assert_true(labelled: LabelledPair, scene: Scene) -> None:
    for view in VIEWS:
        told = labelled.labels[view]
        assert (told.view, told.side) == (view, scene.side)
        assert np.linalg.norm(told.joints - scene.truth(view), axis=1).mean() < EXACT
        assert np.linalg.norm(told.pixels - scene.pixels(view), axis=1).mean() < 0.03 * np.ptp(scene.pixels(view), axis=0).max()
        assert (told.weight > 0).all() and (told.weight <= 1).all()


@pytest.mark.parametrize("side", ["right", "left"])
def test_both_views_are_labelled_with_the_true_hand(side):
    scene = Scene(side)
    teacher, _ = teacher_of(scene, knowing(scene))
    for pair in pairs_of(scene, 5):
        labelled = teacher(pair)
        assert labelled is not None and labelled.pair is pair
        assert_true(labelled, scene)


def test_nothing_is_labelled_before_the_cameras_are_calibrated():
    scene = Scene()
    teacher, _ = teacher_of(scene, SelfCalibrator(SIZES_PX, PerView(None, None)))
    assert [teacher(pair) for pair in pairs_of(scene, 15)] == [None] * 15
    status = teacher.pipeline.calibration_status
    assert status is not None and status.phase is CalibrationPhase.COLLECTING


@pytest.mark.parametrize("view", VIEWS)
def test_a_hand_that_one_view_does_not_see_is_not_labelled(view: View):
    scene = Scene()
    teacher, _ = teacher_of(scene, knowing(scene))
    pairs = pairs_of(scene, 6)
    assert teacher(next(pairs)) is not None
    scene.hidden.add(view)
    assert [teacher(next(pairs)) for _ in range(3)] == [None] * 3
    scene.hidden.clear()
    assert teacher(next(pairs)) is not None


def test_views_that_no_hand_explains_are_not_labelled():
    scene = Scene()
    teacher, eyes = teacher_of(scene, knowing(scene))
    pairs = pairs_of(scene, 6)
    assert teacher(next(pairs)) is not None
    eyes.squints = "right"
    assert [teacher(next(pairs)) for _ in range(3)] == [None] * 3


def test_a_recording_is_labelled_from_its_first_pair_by_the_cameras_found_in_all_of_it():
    scene = Scene()
    watched = calibrate_recording(pairs_of(scene, LONG_ENOUGH), Eyes(scene), FOV_DEG)
    assert (watched.pairs, watched.seen, watched.both) == (LONG_ENOUGH, PerView(LONG_ENOUGH, LONG_ENOUGH), LONG_ENOUGH)
    geometry = watched.state.geometry
    assert geometry is not None and angle_deg(geometry.R_right_from_left, R_RIGHT_FROM_LEFT) < 3
    for labelled in label_recording(pairs_of(scene, 5), Eyes(scene), watched.state):
        assert labelled is not None
        # As true as the cameras that were found.
        for view in VIEWS:
            assert np.linalg.norm(labelled.labels[view].joints - scene.truth(view), axis=1).mean() < 2 * EXACT


def test_what_is_wrong_with_the_pictures_of_a_recording_is_kept():
    scene = Scene()
    one_camera = PerView.of(lambda view: cv2.resize(room(1, (640, 480)), SIZES_PX[view], interpolation=cv2.INTER_AREA))
    pairs = (
        FramePair(replace(pair.left, image=one_camera.left), replace(pair.right, image=one_camera.right))
        for pair in pairs_of(scene, 30)
    )
    assert [finding.kind for finding in calibrate_recording(pairs, Eyes(scene)).findings] == ["same_camera"]
    assert not calibrate_recording(pairs_of(scene, 30), Eyes(scene)).findings


def test_a_recording_too_short_says_why_it_is_not_calibrated():
    scene = Scene()
    scene.hidden.add("right")
    watched = calibrate_recording(pairs_of(scene, 4), Eyes(scene))
    assert (watched.pairs, watched.seen, watched.both) == (4, PerView(4, 0), 0)
    assert watched.state.geometry is None and watched.status.phase is CalibrationPhase.NO_HANDS
    nothing = calibrate_recording([], Eyes(scene))
    assert (nothing.state, nothing.status) == (CalibrationState(), CalibrationStatus())
