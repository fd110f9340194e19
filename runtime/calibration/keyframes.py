"""Keyframes: few and varied pairs that both views saw, which the cameras are calibrated on."""

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from capture.views import VIEWS, PerView, View
from runtime.calibration.bundle import Keypoints
from runtime.estimators.uncertainty import pixel_error, shape_sigma, sigma_px
from runtime.types import ViewHand

CAPACITY = 64
MAX_AGE_NS = 300 * 10**9
"""Older keyframes are dropped: cameras drift."""
SHAPE_DISTRUST = 4.0
"""Factor on the standard deviations of a view's own 3D hand: its errors are correlated between joints and over seconds."""
MAX_PIXEL_ERROR = 0.25
"""Mean expected error of a hand's pixels, hands, up to which it becomes a keyframe."""
_ARM = 0.55
"""Hands; typical distance of a hand's projected joints from their mean."""
_PLACE_SCALE, _SIZE_SCALE, _SHAPE_SCALE = 0.06, 0.12, 0.25
"""Differences of a hand's place (image widths), size (logarithm) and shape (hands) that count as one step."""


@dataclass(frozen=True, slots=True)
class Keyframe:
    """One pair's hands."""

    captured_ns: int
    hands: PerView[ViewHand]
    sigma_px: PerView[np.ndarray]
    """(21,) standard deviation of each joint's pixels."""

    @classmethod
    def of(cls, captured_ns: int, hands: PerView[ViewHand]) -> "Keyframe | None":
        """None where a hand's pixels are not finite or have no extent."""
        sigma = hands.map(_sigma_px)
        if not all(
            np.isfinite(hands[view].pixels).all() and ((sigma[view] > 0) & (sigma[view] < np.inf)).all() for view in VIEWS
        ):
            return None
        return cls(captured_ns, hands, sigma)


def are_clear(hands: PerView[ViewHand]) -> bool:
    """Whether both views see the hand well enough for the cameras to be calibrated on it."""
    return max(float(pixel_error(hand).mean()) for hand in hands) <= MAX_PIXEL_ERROR


def keyframe_of(captured_ns: int, hands: PerView[ViewHand]) -> Keyframe | None:
    """None for hands that are not seen clearly, of different handedness, or without pixels to use."""
    return Keyframe.of(captured_ns, hands) if hands.left.side == hands.right.side and are_clear(hands) else None


Pair = TypeVar("Pair", bound=Keyframe)


class KeyframeBuffer(Generic[Pair]):
    """Keeps at most `capacity` keyframes: of the two most similar ones, in both views, the older is dropped."""

    def __init__(
        self, widths_px: PerView[int], capacity: int = CAPACITY, max_age_ns: int = MAX_AGE_NS, min_distance: float = 0.0
    ):  # fmt: skip
        """A pair that differs from a keyframe by less than `min_distance` replaces it; 1 is a step of the hand's place, size or
        shape.
        """
        self._min_distance = min_distance
        self._widths_px = widths_px
        self._capacity = capacity
        self._max_age_ns = max_age_ns
        self._pairs: list[Pair] = []
        self._features = np.empty((0, 0))
        self._distance = np.empty((0, 0))

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """In order of time."""
        return tuple(self._pairs)

    @property
    def travel(self) -> float:
        """Motion of the joints that move most, in hands, in the view that sees more of it; 0 while there is no keyframe.

        By quartiles over the pairs and the fifth of the joints that moved most, so that outliers do not count as motion.
        """
        if not self._pairs:
            return 0.0

        def of(view: View) -> float:
            pixels = np.array([pair.hands[view].pixels for pair in self._pairs])
            low, high = np.quantile(pixels, [0.25, 0.75], axis=0)
            arm = np.linalg.norm(pixels - np.median(pixels, axis=1, keepdims=True), axis=-1)
            return float(np.quantile(np.linalg.norm(high - low, axis=-1), 0.8) * _ARM / max(float(np.median(arm)), 1e-9))

        return max(PerView.of(of))

    def add(self, pair: Pair) -> float:
        """Add a pair; returns its distance from the most similar keyframe."""
        self._keep([i for i, old in enumerate(self._pairs) if pair.captured_ns - old.captured_ns <= self._max_age_ns])
        feature = np.concatenate([self._feature(pair.hands[view], self._widths_px[view]) for view in ("left", "right")])
        nearest = float(self._distances(feature).min(initial=np.inf))
        if nearest < self._min_distance:
            alike = int(self._distances(feature).argmin())
            self._keep([k for k in range(len(self._pairs)) if k != alike])
        if len(self._pairs) >= self._capacity:
            i, j = np.unravel_index(np.argmin(self._distance), self._distance.shape)
            self._keep([k for k in range(len(self._pairs)) if k != min(i, j)])
        new = self._distances(feature)
        grown: np.ndarray = np.full((len(new) + 1, len(new) + 1), np.inf)
        grown[:-1, :-1] = self._distance
        grown[-1, :-1] = grown[:-1, -1] = new
        self._distance = grown
        self._features = np.vstack([self._features.reshape(-1, len(feature)), feature])
        self._pairs.append(pair)
        return nearest

    def forget_before(self, captured_ns: int) -> None:
        """Drop the pairs captured before then."""
        self._keep([i for i, pair in enumerate(self._pairs) if pair.captured_ns >= captured_ns])

    def keypoints(self, centres_px: PerView[np.ndarray], shape_distrust: float = SHAPE_DISTRUST) -> PerView[Keypoints]:
        """All keyframes, for bundle adjustment; `shape_distrust`: factor on standard deviations of the views' own 3D joints."""

        def of(view: View) -> Keypoints:
            hands = [pair.hands[view] for pair in self._pairs]
            shape = np.array([hand.joints for hand in hands])
            known = np.asarray(np.isfinite(shape).all(-1))
            sigma = shape_distrust * np.array([shape_sigma(hand) for hand in hands])
            return Keypoints(
                np.array([hand.pixels for hand in hands]),
                np.array([pair.sigma_px[view] for pair in self._pairs]),
                np.where(known[..., None], shape, 0),
                np.where(known, sigma, np.inf),
                centres_px[view],
            )

        return PerView.of(of)

    def _distances(self, feature: np.ndarray) -> np.ndarray:
        """Distances of all keyframes from `feature`."""
        return np.linalg.norm(self._features - feature, axis=1) if self._pairs else np.empty(0)

    def _keep(self, numbers: list[int]) -> None:
        if len(numbers) == len(self._pairs):
            return
        self._pairs = [self._pairs[i] for i in numbers]
        self._features = self._features[numbers]
        self._distance = self._distance[np.ix_(numbers, numbers)]

    @staticmethod
    def _feature(hand: ViewHand, width_px: int) -> np.ndarray:
        """Place, size and shape of a view's hand, each in units that count as one step."""
        middle = hand.pixels.mean(0)
        centred = (hand.pixels - middle) / width_px
        size = max(float(np.sqrt((centred**2).sum(1).mean())), 1e-6)
        shape = (centred / size) / np.sqrt(len(centred))
        return np.concatenate([middle / width_px / _PLACE_SCALE, [np.log(size) / _SIZE_SCALE], shape.ravel() / _SHAPE_SCALE])


def _sigma_px(hand: ViewHand) -> np.ndarray:
    """(21,) by the network's confidence; for a hand without 3D joints, by its extent in the image."""
    if np.isfinite(hand.joints).all():
        return sigma_px(hand)
    flat = np.column_stack([hand.pixels, np.zeros(len(hand.pixels))])
    spread = np.sqrt(((hand.pixels - hand.pixels.mean(0)) ** 2).sum(1).mean())
    return sigma_px(replace(hand, joints=flat * _ARM / max(float(spread), 1e-9)))
