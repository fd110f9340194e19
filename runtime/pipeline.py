"""From a pair of frames to one 3D hand: estimate each view's joints, update the rig, check consistency, fuse."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from capture.frames import FramePair
from capture.views import PerView
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.joints import DEFAULT_HAND_SIZE_MM
from runtime.calibration.solver_process import Solver
from runtime.calibration.status import CalibrationStatus
from runtime.estimators.estimator import Estimator
from runtime.fusion.hand_track import HandTrack, HandTrackSettings, side_of
from runtime.fusion.merge import DEFAULT_BETA, MergeRule
from runtime.fusion.rig import Calibrator, MergeChoice, Rig
from runtime.fusion.smoothing import OneEuroSettings
from runtime.reporting.tracking import TrackingCounts
from runtime.types import DualHand, Timings


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """How two views become one hand; every default is what the live program uses."""

    merge: MergeChoice = "auto"
    """By rotation, by geometry, or by the better of both (`runtime.fusion.rig`)."""
    hand_size_mm: float = DEFAULT_HAND_SIZE_MM
    merge_rule: MergeRule = "softmax"
    merge_beta: float = DEFAULT_BETA
    smooth: OneEuroSettings | None = field(default_factory=OneEuroSettings)
    """None switches smoothing off."""


class Pipeline:
    """One hand in two views. Holds the rig and the hand track; does no input or output."""

    def __init__(
        self,
        estimator: Estimator,
        cameras: PerView[PinholeCamera],
        settings: PipelineSettings = PipelineSettings(),
        clock_ns: Callable[[], int] = time.monotonic_ns,
        *,
        calibrator: Calibrator | None = None,
        solver: Solver | None = None,
    ):
        """`calibrator` and `solver` calibrate the cameras; without them only their rotation is estimated."""
        self.rig = Rig(settings.merge, settings.hand_size_mm, calibrator, solver)
        how = HandTrackSettings(settings.merge_rule, settings.merge_beta, settings.hand_size_mm, settings.smooth)
        self.track = HandTrack(self.rig, how)
        self.estimator = estimator
        self.calibration_status: CalibrationStatus | None = self.rig.status
        """After the last step; None where nothing is calibrated. Other threads may read it."""
        self.tracking = TrackingCounts()
        """Of all steps so far. Other threads may read it."""
        self._cameras = cameras
        self._clock_ns = clock_ns
        self._hand_size_mm = settings.hand_size_mm

    def step(self, pair: FramePair) -> list[DualHand]:
        """The hands in a pair: one or, where none is seen, none. Raises UserError for frames of an unexpected size."""
        started_ns = self._clock_ns()
        self._check_sizes(pair)
        detected = self.estimator(pair, self._cameras)
        hands = PerView.of(lambda view: None if pair[view].absent else detected[view])
        captured_ns = max(pair.left.captured_ns, pair.right.captured_ns)
        if self.track.corrects_side(captured_ns, hands):
            self.rig.forget()
            self.tracking = self.tracking.with_side_change()
        self.rig.update(captured_ns, hands)
        inconsistent = self.track.inconsistent_view(hands)
        if inconsistent is not None:
            self.estimator.lose(inconsistent)
            self.tracking = self.tracking.with_lost(inconsistent)
            hands = PerView.of(lambda view: None if view == inconsistent else hands[view])
        fused = self.track.fuse(captured_ns, hands, left_absent=pair.left.absent)
        # Crops and rays depend on the focal lengths, which calibration refines.
        self._cameras = self.rig.cameras(self._cameras)
        self.calibration_status = self.rig.status
        if fused is None:
            return []
        side = side_of(hands)
        assert side is not None, "a fused hand comes from a view's"
        timings = Timings(
            captured_ns=captured_ns,
            received_ns=max(pair.left.received_ns, pair.right.received_ns),
            paired_ns=pair.paired_ns,
            started_ns=started_ns,
            cropped_ns=_latest(hand.cropped_ns for hand in hands if hand is not None),
            inferred_ns=_latest(hand.inferred_ns for hand in hands if hand is not None),
            merged_ns=self._clock_ns(),
        )
        return [
            DualHand(
                side,
                fused.joints,
                fused.weight_left,
                hands,
                fused.R_right_from_left,
                fused.rotation_uncertainty_deg,
                timings,
                fused.geometry,
                fused.wrist_mm,
                fused.reprojection_px,
                fused.axes,
                self._hand_size_mm,
                fused.sigma_mm,
            )
        ]

    def _check_sizes(self, pair: FramePair) -> None:
        for view, camera in self._cameras.items():
            width, height = camera.size_px
            got_height, got_width = pair[view].image.shape[:2]
            if (got_width, got_height) != (width, height):
                got = f"{got_width}×{got_height}"
                raise UserError(
                    f"the {view} frames are {got} now, expected {width}×{height} as before: a camera must not change its size "
                    f"while it is used; set it back, or start again"
                )


def _latest(stamps_ns: Iterable[int | None]) -> int | None:
    return max((stamp_ns for stamp_ns in stamps_ns if stamp_ns is not None), default=None)
