"""The pipeline merges both views' hands, estimates the rotation, and resets it on a handedness correction."""

import itertools

import numpy as np
import pytest

from capture.frames import Frame, FramePair
from capture.views import VIEWS, PerView, View, other
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.joints import unit_hand
from hand.rotations import angle_deg
from runtime.calibration.self_calibrator import SelfCalibrator
from runtime.calibration.solver_process import InlineSolver
from runtime.calibration.status import CalibrationPhase
from runtime.estimators.estimator import HANDEDNESS_TIMEOUT_NS
from runtime.fusion.cross_view import MIN_INCONSISTENT_PAIRS
from runtime.geometry.rotation_estimator import MAX_ROTATION_UNCERTAINTY_DEG
from runtime.geometry.two_view import TwoViewGeometry
from runtime.pipeline import Pipeline, PipelineSettings
from runtime.reporting.tracking import TrackingCounts
from runtime.types import Side, ViewHand
from tests.runtime.scenes import CAMERAS, FRAME_NS, R_RIGHT_FROM_LEFT, SIZES_PX, Scene

UNSMOOTHED = PipelineSettings(smooth=None)


class TruthEstimator:
    """Estimator that returns the true hand of a scene."""

    description = "truth"

    def __init__(self, scene: Scene):
        self.takes_for: Side | None = None
        """Handedness that it reports in place of the true one."""
        self.elbow: View | None = None
        """View in which it follows something else, at a lower confidence, until `lose`."""
        self.cameras_seen: list[PerView[PinholeCamera]] = []
        self.lost: list[View] = []
        self._scene = scene

    def __call__(self, pair: FramePair, cameras: PerView[PinholeCamera]) -> PerView[ViewHand | None]:
        self.cameras_seen.append(cameras)
        return PerView.of(self._hand)

    def lose(self, view: View) -> None:
        self.lost.append(view)
        self.elbow = None if self.elbow == view else self.elbow

    def _hand(self, view: View) -> ViewHand | None:
        scene, side = self._scene, self.takes_for or self._scene.side
        if view in scene.hidden:
            return None
        if view == self.elbow:
            joints = unit_hand(np.random.default_rng(0).normal(size=(21, 3)))
            return ViewHand(view, side, joints, scene.pixels(view), np.full(21, 0.85))
        return ViewHand(view, side, scene.truth(view), scene.pixels(view), np.full(21, 0.9))


def pipeline_on(scene: Scene, settings: PipelineSettings = UNSMOOTHED) -> Pipeline:
    clock = itertools.count(10**12, 1000)
    return Pipeline(TruthEstimator(scene), CAMERAS, settings, lambda: next(clock))


@pytest.mark.parametrize("side", ["right", "left"])
def test_exact_views_give_the_true_hand_and_rotation(side):
    scene = Scene(side)
    pipeline = pipeline_on(scene)
    for scene.seq in range(20):
        (hand,) = pipeline.step(scene.pair())
        np.testing.assert_allclose(hand.joints, scene.truth(), atol=1e-6)
        assert hand.side == side
        for view, seen in hand.views.items():
            assert seen is not None and np.array_equal(seen.joints, scene.truth(view))
        assert hand.R_right_from_left is not None and angle_deg(hand.R_right_from_left, R_RIGHT_FROM_LEFT) < 1e-4
    assert pipeline.rig.rotation.uncertainty_deg < MAX_ROTATION_UNCERTAINTY_DEG


def test_smoothing_keeps_a_unit_hand_near_the_truth():
    scene = Scene()
    pipeline = pipeline_on(scene, PipelineSettings())
    for scene.seq in range(20):
        (hand,) = pipeline.step(scene.pair())
        assert np.linalg.norm(hand.joints[9]) == pytest.approx(1)
        assert np.abs(hand.joints - scene.truth()).max() < 0.15


def test_hand_carries_the_timestamps_of_its_pair():
    scene = Scene()
    scene.seq = 3
    timings = pipeline_on(scene).step(scene.pair())[0].timings
    assert (timings.captured_ns, timings.received_ns) == (3 * FRAME_NS, 3 * FRAME_NS + 1_000_000)
    assert timings.started_ns < timings.merged_ns


@pytest.mark.parametrize(("hidden", "seen", "weight"), [("right", "left", 1), ("left", "right", 0)])
def test_one_view_suffices_while_the_other_sees_no_hand(hidden, seen, weight):
    scene = Scene()
    pipeline = pipeline_on(scene)
    for scene.seq in range(3):
        pipeline.step(scene.pair())
    scene.hidden = {hidden}
    for scene.seq in range(3, 6):
        (hand,) = pipeline.step(scene.pair())
        assert hand.views[hidden] is None and hand.views[seen] is not None
        assert np.all(hand.weight_left == weight)
        np.testing.assert_allclose(hand.joints, scene.truth(), atol=1e-6)


def test_no_hand_where_none_is_seen_or_only_the_right_view_before_a_rotation():
    scene = Scene()
    pipeline = pipeline_on(scene)
    scene.hidden = {"left", "right"}
    assert pipeline.step(scene.pair()) == []
    scene.hidden = {"left"}
    assert pipeline.step(scene.pair()) == []
    scene.hidden = {"right"}
    scene.seq = 1
    (hand,) = pipeline.step(scene.pair())
    assert hand.R_right_from_left is None and hand.rotation_uncertainty_deg == float("inf")


def test_an_absent_left_camera_leaves_the_right_ones_hand_in_its_own_axes():
    scene = Scene()
    pipeline = pipeline_on(scene)

    def pair(*, left_absent: bool) -> FramePair:
        made = scene.pair()
        return FramePair(Frame.before_first("left", made.right, SIZES_PX.left, None), made.right) if left_absent else made

    for scene.seq in range(3):
        (hand,) = pipeline.step(pair(left_absent=True))
        assert hand.axes == "right" and hand.R_right_from_left is None and not hand.weight_left.any()
        np.testing.assert_allclose(hand.joints, scene.truth("right"), atol=1e-6)
    # With the left camera all is as ever; and once the rotation is known, the right camera alone gives left axes.
    for scene.seq in range(3, 9):
        (hand,) = pipeline.step(pair(left_absent=False))
        assert hand.axes == "left"
    (hand,) = pipeline.step(pair(left_absent=True))
    assert hand.axes == "left"
    np.testing.assert_allclose(hand.joints, scene.truth(), atol=1e-6)


@pytest.mark.parametrize("elbow", ["left", "right"])
def test_an_inconsistent_view_is_lost_and_not_merged(elbow):
    scene = Scene()
    estimator = TruthEstimator(scene)
    pipeline = Pipeline(estimator, CAMERAS, UNSMOOTHED)
    for scene.seq in range(30):
        pipeline.step(scene.pair())
    assert pipeline.rig.rotation.uncertainty_deg < MAX_ROTATION_UNCERTAINTY_DEG
    estimator.elbow = elbow
    for scene.seq in range(30, 30 + MIN_INCONSISTENT_PAIRS):
        assert estimator.lost == []
        (hand,) = pipeline.step(scene.pair())
    assert estimator.lost == [elbow] and hand.views[elbow] is None, "the inconsistent hand is not merged"
    assert pipeline.tracking == TrackingCounts().with_lost(elbow)
    scene.seq += 1
    (hand,) = pipeline.step(scene.pair())
    np.testing.assert_allclose(hand.joints, scene.truth(), atol=0.05)


@pytest.mark.parametrize(
    ("away_ns", "forgets"), [(0, True), (HANDEDNESS_TIMEOUT_NS // 2, True), (2 * HANDEDNESS_TIMEOUT_NS, False)]
)
def test_a_handedness_correction_within_the_timeout_resets_the_rotation(away_ns, forgets):
    scene = Scene("left")
    estimator = TruthEstimator(scene)
    estimator.takes_for = "right"
    pipeline = Pipeline(estimator, CAMERAS, UNSMOOTHED)
    for scene.seq in range(20):
        pipeline.step(scene.pair())
    scene.hidden = {"left", "right"}
    for _ in range(away_ns // FRAME_NS):
        scene.seq += 1
        pipeline.step(scene.pair())
    # Seen by one view alone, the other hand teaches no new rotation.
    scene.hidden, estimator.takes_for = {"right"}, "left"
    scene.seq += 1
    (hand,) = pipeline.step(scene.pair())
    assert hand.side == "left"
    assert (hand.R_right_from_left is None) == forgets
    assert pipeline.tracking.side_changes == forgets


@pytest.mark.parametrize("gone", VIEWS)
def test_an_absent_camera_leaves_the_hand_to_the_other(gone):
    scene = Scene()
    pipeline = pipeline_on(scene)
    for scene.seq in range(20):
        pipeline.step(scene.pair())
    for scene.seq in range(20, 25):
        pair = scene.pair()
        stand_in = pair[gone].stand_in(pair[other(gone)])
        # This estimator sees the hand wherever it is asked; nothing is believed of a camera that is not there.
        (hand,) = pipeline.step(FramePair(*(stand_in if view == gone else pair[view] for view in VIEWS)))
        assert hand.views[gone] is None and hand.views[other(gone)] is not None
        assert np.all(hand.weight_left == (gone == "right"))
        np.testing.assert_allclose(hand.joints, scene.truth(), atol=0.05)
    for scene.seq in range(25, 27):
        (hand,) = pipeline.step(scene.pair())
        assert None not in (hand.views.left, hand.views.right)


def test_the_same_hand_returning_keeps_the_rotation():
    scene = Scene()
    pipeline = pipeline_on(scene)
    blind: list[set[View]] = [set(), {"left", "right"}, {"right"}, set(), {"left"}]
    for scene.hidden in blind:
        scene.seq += 1
        for hand in pipeline.step(scene.pair()):
            assert hand.R_right_from_left is not None


def test_estimator_gets_the_calibrated_cameras():
    scene = Scene()
    estimator = TruthEstimator(scene)
    known = PerView(PinholeCamera.from_fov(640, 480, 60), PinholeCamera.from_fov(320, 240, 70))
    given = TwoViewGeometry(known, R_RIGHT_FROM_LEFT, np.array([300.0, 0, 100]))
    calibrator = SelfCalibrator(SIZES_PX, PerView(None, None), 90, given=given)
    pipeline = Pipeline(estimator, CAMERAS, UNSMOOTHED, calibrator=calibrator, solver=InlineSolver())
    for scene.seq in range(2):
        pipeline.step(scene.pair())
    assert estimator.cameras_seen == [CAMERAS, known]


def test_the_calibration_status_is_that_of_the_last_step():
    scene = Scene()
    calibrator = SelfCalibrator(SIZES_PX, PerView(None, None))
    pipeline = Pipeline(TruthEstimator(scene), CAMERAS, UNSMOOTHED, calibrator=calibrator, solver=InlineSolver())
    before = pipeline.calibration_status
    assert before is not None and (before.phase, before.progress) == (CalibrationPhase.NO_HANDS, 0)
    for scene.seq in range(3):
        pipeline.step(scene.pair())
    after = pipeline.calibration_status
    assert after is not None and after.phase is CalibrationPhase.COLLECTING and 0 < after.progress < 0.5
    assert pipeline_on(scene).calibration_status is None, "nothing is calibrated"


def test_a_changed_frame_size_raises_and_names_the_view():
    scene = Scene()
    pipeline = pipeline_on(scene)
    pair = scene.pair()
    swapped = Frame("right", 0, 0, 0, pair.left.image)
    with pytest.raises(UserError, match="right frames are 640×480 now, expected 320×240.*start again"):
        pipeline.step(FramePair(pair.left, swapped))
