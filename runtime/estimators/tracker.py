"""Where the hand is in the next frame of a view: a box around the last joints, and when the track is lost."""

import math
from dataclasses import dataclass, replace

import numpy as np

from hand.joints import FINGER_MCPS, WRIST
from runtime.types import HandBox, Side, ViewHand

BOX_MARGIN = 1.5
"""A box's side over the longer side of the joints' bounding box; networks are trained on crops of this margin."""


_KNUCKLES = list(FINGER_MCPS)


def box_around(pixels: np.ndarray, roll_deg: float = 0.0) -> tuple[np.ndarray, float]:
    """Centre (2,) and side length, both in px, of the square, turned clockwise by `roll_deg`, that holds joints (21, 2)."""
    cos, sin = math.cos(math.radians(roll_deg)), math.sin(math.radians(roll_deg))
    frame_from_box = np.array([[cos, -sin], [sin, cos]])
    in_box = pixels @ frame_from_box
    low, high = in_box.min(0), in_box.max(0)
    return frame_from_box @ (low + high) / 2, float(BOX_MARGIN * (high - low).max())


def overlap(centre: tuple[float, float] | np.ndarray, size: float, other: np.ndarray, other_size: float) -> float:
    """Intersection over union of two squares, given by centre (2,) and side."""
    low = np.maximum(np.array(centre) - size / 2, other - other_size / 2)
    high = np.minimum(np.array(centre) + size / 2, other + other_size / 2)
    common = np.prod(np.maximum(high - low, 0))
    return float(common / (size**2 + other_size**2 - common))


def roll_of(pixels: np.ndarray) -> float:
    """Degrees clockwise from up to the direction from the wrist to the middle of the fingers' knuckles; joints (21, 2) px."""
    x, y = (pixels[_KNUCKLES].sum(0) / len(_KNUCKLES) - pixels[WRIST]).tolist()
    return math.degrees(math.atan2(x, -y))


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """When a track is lost, and how the next box is guessed."""

    min_confidence: float = 0.22
    """Mean joint confidence below which the hand is lost."""
    start_confidence: float = 0.26
    """Mean joint confidence that a new track needs: a locator finds elbows too."""
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


class ViewTracker:
    """One view's state: searching (`box_at` gives None and the locator must run) or tracking."""

    def __init__(self, frame_size_px: tuple[int, int], settings: TrackSettings = TrackSettings(), *, upright: bool = False):
        """With `upright`, boxes are turned as the hand is."""
        self._frame_size_px = np.array(frame_size_px)
        self._upright = upright
        self._settings = settings
        self._track: _Track | None = None

    @property
    def tracking(self) -> bool:
        return self._track is not None

    @property
    def uncertain(self) -> bool:
        """Whether the confidence has dropped far below the best of the track, which may be leaving the hand."""
        track = self._track
        return track is not None and track.confidence < self._settings.uncertain_ratio * track.best_confidence

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

    def update(self, captured_ns: int, hand: ViewHand) -> bool:
        """Follow the joints predicted in the frame captured then; False where they are not plausible and the track is lost."""
        track, settings = self._track, self._settings
        assert track is not None, "update needs a started track"
        roll_deg = roll_of(hand.pixels) if self._upright else track.box.roll_deg
        centre, size = box_around(hand.pixels, roll_deg)
        if not self._plausible(track, hand, centre, size):
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
        confidence = float(hand.confidence.mean())
        self._track = _Track(
            captured_ns,
            box,
            velocity,
            settled=True,
            confidence=confidence,
            best_confidence=max(confidence, 0.99 * track.best_confidence),
        )
        return True

    def _plausible(self, track: "_Track", hand: ViewHand, centre: np.ndarray, size: float) -> bool:
        settings = self._settings
        finite = np.isfinite(hand.pixels).all() and np.isfinite(hand.joints).all()
        needed = settings.min_confidence if track.settled else settings.start_confidence
        if not finite or hand.confidence.mean() < needed or size < settings.min_size_px:
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
    """Mean confidence of the last hand."""
    best_confidence: float = 0.0
    """The highest so far, decaying."""
