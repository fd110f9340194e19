"""A rig with one hand track, fed with synthetic hands."""

from dataclasses import dataclass

import numpy as np

from capture.views import PerView
from hand.joints import DEFAULT_HAND_SIZE_MM
from runtime.calibration.self_calibrator import SelfCalibrator
from runtime.calibration.solver_process import Solver
from runtime.fusion.hand_track import FusedHand, HandTrack, HandTrackSettings
from runtime.fusion.rig import MergeChoice, Rig
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import ViewHand
from tests.runtime.solutions import FixedSolver, bones_of
from tools.evaluate.motion import sample_motion, sample_person
from tools.evaluate.two_views import Observed, observe, sample_rig

FPS = 30
SETTINGS = HandTrackSettings("softmax", 8.0, DEFAULT_HAND_SIZE_MM, None)


@dataclass(frozen=True, slots=True)
class Tracked:
    """A rig and its hand track."""

    rig: Rig
    track: HandTrack

    @classmethod
    def of(cls, choice: MergeChoice, calibrator: SelfCalibrator, solver: Solver) -> "Tracked":
        rig = Rig(choice, DEFAULT_HAND_SIZE_MM, calibrator, solver)
        return cls(rig, HandTrack(rig, SETTINGS))

    def step(self, captured_ns: int, hands: PerView[ViewHand | None]) -> FusedHand | None:
        self.rig.update(captured_ns, hands)
        return self.track.fuse(captured_ns, hands)

    def stream(self, observed: Observed, first: int = 0, last: int | None = None) -> list[FusedHand | None]:
        """The hands of a stream, one a pair."""
        pairs = list(zip(observed.captured_ns.tolist(), observed.pairs, strict=True))[first:last]
        return [self.step(ns, PerView(None, None) if pair is None else PerView(pair.left, pair.right)) for ns, pair in pairs]


def tracked(choice: MergeChoice, observed: Observed, geometry: TwoViewGeometry | None = None) -> tuple[Tracked, FixedSolver]:
    """A rig with a track, whose solver finds `geometry` (the true one if None)."""
    solver = FixedSolver(geometry or observed.rig.geometry, bones_of(observed))
    calibrator = SelfCalibrator(observed.sizes_px, PerView(None, None), DEFAULT_HAND_SIZE_MM)
    return Tracked.of(choice, calibrator, solver), solver


def moving_hand() -> Observed:
    """Four seconds of a hand of unusual bones, noise and outliers included."""
    rng = np.random.default_rng(1)
    rig = sample_rig(rng, 60, PerView(60.0, 60.0))
    person = 3 * sample_person(np.random.default_rng(0))
    return observe(rng, rig, sample_motion(rng, 4, FPS, person), noise_px=2, outliers=0.02, fps=FPS)
