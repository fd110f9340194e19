"""Where the hand is in the next frame of a view: a box around the last joints, and when the track is lost."""

from dataclasses import dataclass, replace

import numpy as np

from runtime.estimators.framing import AROUND_JOINTS, Framing
from runtime.types import HandBox, Side, ViewHand


def overlap(centre: tuple[float, float] | np.ndarray, size: float, other: np.ndarray, other_size: float) -> float:
    """Intersection over union of two squares, given by centre (2,) and side."""
    low = np.maximum(np.array(centre) - size / 2, other - other_size / 2)
    high = np.minimum(np.array(centre) + size / 2, other + other_size / 2)
    common = np.prod(np.maximum(high - low, 0))
    return float(common / (size**2 + other_size**2 - common))


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """When a track is lost, and how the next box is guessed."""

    min_confidence: float = 0.22
    """Confidence of a hand, usually the mean of its joints', below which it is lost."""
    start_confidence: float = 0.26
    """Confidence that a new track needs: a locator finds elbows too."""
    uncertain_ratio: float = 0.85
    """A track is uncertain below this share of its best confidence, which decays by a hundredth a frame."""
    max_size_ratio: float = 1.8
    """A box that grows or shrinks by more between two frames is implausible; the first, after a search, may do so twice over."""
    min_size_px: float = 16.0
    size_gain: float = 0.7
    """Share of the new size in the next box's (logarithmic)."""
    predict: bool = True
    """Move the box with its velocity."""
    velocity_gain: float = 0.5
    """Share of the new velocity in the one used."""
    max_gap_ns: int = 500_000_000
    """A hand not seen for longer is lost."""
    max_contradictions: int = 15
    """A track is uncertain once it showed the other hand in so many frames in a row."""


class ViewTracker:
    """One view's state: searching (`box_at` gives None and the locator must run) or tracking."""

    def __init__(
        self,
        frame_size_px: tuple[int, int],
        settings: TrackSettings = TrackSettings(),
        framing: Framing = AROUND_JOINTS,
    ):
        """`framing`: how boxes lie around joints."""
        self._frame_size_px = np.array(frame_size_px)
        self._framing = framing
        self._settings = settings
        self._track: _Track | None = None

    @property
    def tracking(self) -> bool:
        return self._track is not None

    @property
    def uncertain(self) -> bool:
        """Whether the track may be leaving the hand, or be on the other one.

        Its confidence has dropped far below its best, or it has shown the other hand for long.
        """
        track, settings = self._track, self._settings
        if track is None:
            return False
        return (
            track.confidence < settings.uncertain_ratio * track.best_confidence
            or track.contradictions >= settings.max_contradictions
        )

    def box_at(self, captured_ns: int) -> HandBox | None:
        """Predicted box in the frame captured then; None where the hand must be located."""
        track = self._track
        if track is None or abs(captured_ns - track.captured_ns) > self._settings.max_gap_ns:
            self._track = None
            return None
        if not self._settings.predict:
            return track.box
        centre = np.array(track.box.centre_px) + track.velocity * (captured_ns - track.captured_ns)
        return replace(track.box, centre_px=(float(centre[0]), float(centre[1])))

    def start(self, captured_ns: int, box: HandBox) -> None:
        """Track from a box that the locator or the user gave."""
        self._track = _Track(captured_ns, box, np.zeros(2), settled=False)

    def take_side(self, side: Side) -> None:
        """Correct the handedness of the track."""
        if self._track is not None:
            self._track = replace(self._track, box=replace(self._track.box, side=side))

    def lose(self) -> None:
        self._track = None

    def update(self, captured_ns: int, hand: ViewHand, confidence: float | None = None, *, contradicts: bool = False) -> bool:
        """Follow the joints predicted in the frame captured then; False where they are not plausible and the track is lost.

        `confidence`: that it is a hand; None for the mean of the joints'. `contradicts`: the hand looks like the other one.
        """
        track, settings = self._track, self._settings
        assert track is not None, "update needs a started track"
        confidence = float(hand.confidence.mean()) if confidence is None else confidence
        roll_deg = self._framing.roll(hand.pixels, track.box.roll_deg)
        centre, size = self._framing.box(hand.pixels, roll_deg)
        if not self._plausible(track, hand, confidence, centre, size):
            self._track = None
            return False
        velocity = np.zeros(2)
        if track.settled and captured_ns > track.captured_ns:
            # A locator's first box is too coarse to tell a velocity.
            raw = (centre - np.array(track.box.centre_px)) / (captured_ns - track.captured_ns)
            velocity = track.velocity + settings.velocity_gain * (raw - track.velocity)
        gain = settings.size_gain if track.settled else 1.0
        size = track.box.size_px * (size / track.box.size_px) ** gain
        box = replace(track.box, centre_px=(float(centre[0]), float(centre[1])), size_px=float(size), roll_deg=roll_deg)
        self._track = _Track(
            captured_ns,
            box,
            velocity,
            settled=True,
            confidence=confidence,
            best_confidence=max(confidence, 0.99 * track.best_confidence),
            contradictions=track.contradictions + 1 if contradicts else 0,
        )
        return True

    def _plausible(self, track: "_Track", hand: ViewHand, confidence: float, centre: np.ndarray, size: float) -> bool:
        settings = self._settings
        finite = np.isfinite(hand.pixels).all() and np.isfinite(hand.joints).all()
        needed = settings.min_confidence if track.settled else settings.start_confidence
        if not finite or confidence < needed or size < settings.min_size_px:
            return False
        if np.any(centre < 0) or np.any(centre > self._frame_size_px - 1):
            return False
        limit = settings.max_size_ratio if track.settled else settings.max_size_ratio**2
        return bool(1 / limit <= size / track.box.size_px <= limit)


@dataclass(frozen=True, slots=True)
class _Track:
    captured_ns: int
    box: HandBox
    velocity: np.ndarray
    """(2,) px/ns."""
    settled: bool
    """False until joints have placed the box."""
    confidence: float = 0.0
    """Of the last hand."""
    best_confidence: float = 0.0
    """The highest so far, decaying."""
    contradictions: int = 0
    """Frames in a row that showed the other hand."""
