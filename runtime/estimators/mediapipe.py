"""MediaPipe's hand models as an estimator: palms found, landmarks followed, both views at once.

Written from Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking" (2020). Palms are detected only where no hand is
tracked; else the last landmarks give the next square. Beyond the paper: both views must show one hand of the person, and a hand
off the middle of the picture is rotated to the camera's axes, since these crops are no cameras that look at it.
"""

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capture.frames import FramePair
from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.joints import unit_hand
from hand.rotations import between
from runtime.estimators.estimator import ANY_HAND, HANDEDNESS_TIMEOUT_NS, FollowSettings
from runtime.estimators.hand_landmarks import LandmarkModel, Landmarks, next_square
from runtime.estimators.handedness import HandednessFilter
from runtime.estimators.landmark_confidence import confidence
from runtime.estimators.litert import Model
from runtime.estimators.palm import PalmDetector
from runtime.estimators.registry import EstimatorOptions, LoadedEstimator
from runtime.estimators.square import Square
from runtime.networks.landmark_error import PIXEL_SHARE
from runtime.networks.mediapipe_files import LANDMARKS, PALMS, MediaPipeName, model_file
from runtime.types import Side, ViewHand

MIN_PRESENCE = 0.5
MAX_PALMS = 2
"""Most palms that are tried in a view: a person has two hands."""
_MIN_FIT = 0.2
"""A hand that fits its side less shows the other one."""
MAX_CONTRADICTIONS = 15
"""Frames in a row that a view may show the other hand before it is searched for another."""


@dataclass(slots=True)
class _Follower:
    """One view's models, and the hand that it follows."""

    palms: PalmDetector
    landmarks: LandmarkModel
    roi: Square | None
    square: Square | None = None
    """Of the hand in the next frame; None while none is tracked."""
    contradictions: int = 0
    """Frames in a row that showed the other side."""

    def __call__(self, image: np.ndarray, side: Side | None) -> Landmarks | None:
        """The hand in a frame (H, W, 3) uint8 RGB, of `side` if there is a choice; None where there is none."""
        landmarks = self._plausible(image, self.square) if self.square is not None else None
        if landmarks is None or self.contradictions >= MAX_CONTRADICTIONS:
            self.contradictions = 0
            found = [self._plausible(image, palm.hand) for palm in self.palms(image, self.roi)[:MAX_PALMS]]
            landmarks = max(
                (hand for hand in (landmarks, *found) if hand is not None), key=lambda hand: _fits(hand, side), default=None
            )
        self.square = None if landmarks is None else next_square(landmarks.pixels)
        return landmarks

    def _plausible(self, image: np.ndarray, square: Square) -> Landmarks | None:
        landmarks = self.landmarks(image, square)
        return landmarks if landmarks.presence >= MIN_PRESENCE and np.isfinite(landmarks.pixels).all() else None


def load_full(options: EstimatorOptions) -> LoadedEstimator:
    """An `EstimatorFactory`: the palm detector and the full landmark model, on two threads."""
    return _load("mediapipe", options)


def load_lite(options: EstimatorOptions) -> LoadedEstimator:
    """An `EstimatorFactory`: the palm detector and the lite landmark model, on two threads."""
    return _load("mediapipe-lite", options)


def _load(name: MediaPipeName, options: EstimatorOptions) -> LoadedEstimator:
    if options.weights:
        raise UserError(f"--weights {options.weights} is for --estimator detnet: leave it out with --estimator {name}")
    loaded = [load_mediapipe(name, options.follow)]
    # What is followed is the estimator's state: each pass over a recording begins with another.
    return LoadedEstimator(
        loaded[0].description, None, lambda sizes_px: loaded.pop() if loaded else load_mediapipe(name, options.follow)
    )


def load_mediapipe(name: MediaPipeName, follow: FollowSettings = ANY_HAND, *, threads: int = 2) -> "MediaPipeEstimator":
    """The estimator of the models that were fetched. Raises UserError where they, or LiteRT, are missing."""
    return MediaPipeEstimator(model_file(PALMS), model_file(LANDMARKS[name]), follow, threads=threads)


class MediaPipeEstimator:
    """Follows one hand with MediaPipe's models. An `Estimator`."""

    def __init__(self, palms: Path, landmarks: Path, follow: FollowSettings = ANY_HAND, *, threads: int = 2):
        """`threads` of the CPU for both views together. Raises UserError where LiteRT or a model's file cannot be used."""
        self.description = f"MediaPipe's {landmarks.stem} in LiteRT, {threads} thread{'s' * (threads > 1)}"
        each = max(1, threads // 2)
        self._views = follow.roi.map(
            lambda roi: _Follower(
                PalmDetector(Model(palms, threads=each)), LandmarkModel(Model(landmarks, threads=each)), roi and _square(*roi)
            )
        )
        self._second_thread = ThreadPoolExecutor(1, "right-view") if threads > 1 else None
        self._fixed: Side | None = None if follow.hand_side == "auto" else follow.hand_side
        self._handedness = HandednessFilter()
        self._last_seen_ns = 0

    def __call__(self, pair: FramePair, cameras: PerView[PinholeCamera]) -> PerView[ViewHand | None]:
        """See `Estimator`."""
        captured_ns = max(pair.left.captured_ns, pair.right.captured_ns)
        if captured_ns - self._last_seen_ns > HANDEDNESS_TIMEOUT_NS:
            # The next hand may be the other one.
            self._handedness = HandednessFilter()
        landmarks = self._landmarks(pair)
        if landmarks.left is not None or landmarks.right is not None:
            self._last_seen_ns = captured_ns
        side = self._decide_side(landmarks)
        if side is None:
            return PerView(None, None)
        return PerView.of(lambda view: self._hand(view, side, landmarks[view], cameras[view]))

    def lose(self, view: View) -> None:
        """See `Estimator`."""
        self._views[view].square = None

    def _landmarks(self, pair: FramePair) -> PerView[Landmarks | None]:
        """Landmarks of each view; the right one's are computed in parallel where there are threads for it."""
        side = self._fixed or self._handedness.side

        def infer(view: View) -> Landmarks | None:
            if pair[view].absent:
                self.lose(view)
                return None
            return self._views[view](pair[view].image, side)

        if self._second_thread is None:
            return PerView.of(infer)
        right = self._second_thread.submit(infer, "right")
        try:
            left = infer("left")
        finally:
            # The frame must outlive the other thread's work on it.
            wait([right])
        return PerView(left, right.result())

    def _decide_side(self, landmarks: PerView[Landmarks | None]) -> Side | None:
        """Both views' side: the user's setting, else the handedness filter's."""
        if self._fixed:
            return self._fixed
        shown = [hand for hand in landmarks if hand is not None]
        if not shown:
            return None
        if self._handedness.side is None:
            clearest = max(shown, key=lambda hand: abs(hand.right - 0.5))
            self._handedness.start("right" if clearest.right >= 0.5 else "left", 1.0)
        for hand in shown:
            self._handedness.add(hand.right, 1 - hand.right)
        return self._handedness.side

    def _hand(self, view: View, side: Side, landmarks: Landmarks | None, camera: PinholeCamera) -> ViewHand | None:
        follower = self._views[view]
        if landmarks is None:
            return None
        follower.contradictions = follower.contradictions + 1 if _fits(landmarks, side) < _MIN_FIT else 0
        return view_hand(view, side, landmarks, camera)


def view_hand(view: View, side: Side, landmarks: Landmarks, camera: PinholeCamera) -> ViewHand:
    """A view's hand of that side from its landmarks."""
    return ViewHand(
        view,
        side,
        unit_hand(landmarks.world @ _turned_to(landmarks.square, camera).T),
        landmarks.pixels,
        confidence(landmarks),
        PIXEL_SHARE,
        landmarks.cropped_ns,
        landmarks.inferred_ns,
        right_margin=2 * landmarks.right - 1,
    )


def _turned_to(square: Square, camera: PinholeCamera) -> np.ndarray:
    """(3, 3) R from axes that look at the square's middle into the camera's own."""
    return between(np.array([0.0, 0.0, 1.0]), camera.rays(np.array(square.centre_px)))


def _fits(hand: Landmarks, side: Side | None) -> float:
    """How much the hand is to be preferred: its presence, and that it is of `side`."""
    if side is None:
        return hand.presence
    return hand.presence * (hand.right if side == "right" else 1 - hand.right)


def _square(x: float, y: float, size: float) -> Square:
    return Square((x, y), size)
