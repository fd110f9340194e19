"""What live adaptation is doing: the phase that it is in, how far it is from learning, and counts of what it did."""

from dataclasses import dataclass
from enum import Enum


class AdaptationPhase(Enum):
    """What the adapter does, or waits for."""

    WAITING_FOR_CAMERAS = "waiting_for_cameras"
    """The calibration of the cameras is not known yet."""
    COLLECTING = "collecting"
    """There are too few samples; `AdaptationStatus.lacking` says of which kind."""
    LEARNING = "learning"
    WAITING_FOR_POSES = "waiting_for_poses"
    """Every sample was trained on as often as it may be: only other poses bring new steps."""
    FAILED = "failed"
    """The adapter has ended; the network in use stays."""


class Lacking(Enum):
    """What learning waits for while samples are collected."""

    PAIRS = "pairs"
    """Pairs to learn from."""
    HELD_OUT = "held_out"
    """Pairs held out for validation."""
    MOTION = "motion"
    """There are enough pairs, but the hand hardly moved."""


@dataclass(frozen=True, slots=True)
class AdaptationFigures:
    """Counts since the start of the stream."""

    pairs: int = 0
    """Pairs that the adapter received."""
    steps: int = 0
    """Optimizer steps."""
    promotions: int = 0
    refusals: int = 0
    rollbacks: int = 0
    camera_moves: int = 0


@dataclass(frozen=True, slots=True)
class AdaptationStatus:
    """State of the adapter at one time; `adapt.online.status_text` puts it into words."""

    phase: AdaptationPhase = AdaptationPhase.WAITING_FOR_CAMERAS
    progress: float = 0.0
    """In [0, 1]: share of what learning needs that is there; 1 from the first step on."""
    lacking: Lacking | None = None
    """Only while samples are collected."""
    figures: AdaptationFigures = AdaptationFigures()
