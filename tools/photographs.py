"""What finds the hands in a photograph, by estimator: a photograph has no next frame, so that it is searched thoroughly."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from hand.camera import DEFAULT_FOV_DEG, PinholeCamera
from hand.errors import UserError
from runtime.engines.engine import Engine
from runtime.engines.names import EngineName
from runtime.estimators import locator
from runtime.estimators.crop_estimator import Locator, load_engine
from runtime.estimators.crop_prediction import MIN_PRESENCE, tells_hand
from runtime.estimators.registry import EstimatorName, EstimatorOptions
from runtime.estimators.search import SearchHit, box_grid, search, without_duplicates
from runtime.estimators.several_looks import seen_again
from runtime.networks.weights import DEFAULT_WEIGHTS
from runtime.types import HandBox

LOCATOR_SCORE = 0.02
"""A low threshold: the search rejects boxes without a hand."""
PALM_SCORE = 0.3
"""A low one for palms."""
MAX_HANDS = 4


class FindHands(Protocol):
    """Finds the hands in a photograph."""

    def __call__(self, image: np.ndarray, fov_deg: float = DEFAULT_FOV_DEG) -> list[SearchHit]:
        """Hands, best first, in an image (H, W, 3) uint8 RGB of such a horizontal field of view."""
        ...


@dataclass(frozen=True, slots=True)
class NetworkSearch:
    """Around what the locator finds and everywhere else, by a network in an engine. A `FindHands`."""

    engine: Engine
    locate: Locator

    def __call__(self, image: np.ndarray, fov_deg: float = DEFAULT_FOV_DEG) -> list[SearchHit]:
        """See `FindHands`."""
        height, width = image.shape[:2]
        camera = PinholeCamera.from_fov(width, height, fov_deg)
        boxes, grid = self.locate(image, "left"), box_grid((width, height))
        if not tells_hand(self.engine.manifest):
            return search(self.engine, image, camera, [*boxes, *grid])[:MAX_HANDS]
        # The palm detector saw the whole picture; a network that tells presence says whether it was right.
        found = search(self.engine, image, camera, boxes)
        if not any(one.score >= MIN_PRESENCE for one in found):
            found = search(self.engine, image, camera, [*boxes, *grid])
        return seen_again(self.engine, image, camera, found[:MAX_HANDS])


class FetchedModels:
    """MediaPipe's models as they were fetched, in LiteRT. A `FindHands`."""

    def __init__(self, name: EstimatorName, threads: int = 1):
        """Raises UserError where they, or LiteRT, are missing."""
        from runtime.estimators.hand_landmarks import LandmarkModel
        from runtime.estimators.litert import Model
        from runtime.estimators.palm import PalmDetector
        from runtime.networks.mediapipe_files import LANDMARKS, PALMS, model_file

        assert name in ("mediapipe", "mediapipe-lite"), name
        self._palms = PalmDetector(Model(model_file(PALMS), threads=threads), PALM_SCORE)
        self._landmarks = LandmarkModel(Model(model_file(LANDMARKS[name]), threads=threads))

    def __call__(self, image: np.ndarray, fov_deg: float = DEFAULT_FOV_DEG) -> list[SearchHit]:
        """See `FindHands`."""
        from runtime.estimators.hand_landmarks import next_square
        from runtime.estimators.mediapipe import view_hand

        height, width = image.shape[:2]
        camera = PinholeCamera.from_fov(width, height, fov_deg)
        found: list[SearchHit] = []
        for palm in self._palms(image):
            landmarks = self._landmarks(image, palm.hand)
            if np.isfinite(landmarks.pixels).all():
                # As in the next frame of a stream.
                landmarks = self._landmarks(image, next_square(landmarks.pixels))
            if not np.isfinite(landmarks.pixels).all():
                continue
            side, square = "right" if landmarks.right >= 0.5 else "left", landmarks.square
            box = HandBox("left", side, square.centre_px, square.size_px, palm.score, square.roll_deg, turned=True)
            found.append(SearchHit(view_hand("left", side, landmarks, camera), landmarks.presence, box))
        return without_duplicates(sorted(found, key=lambda one: one.score, reverse=True))[:MAX_HANDS]


def load_search(
    estimator: EstimatorName = "detnet",
    weights: Path | None = None,
    *,
    locator_weights: Path = locator.DEFAULT_WEIGHTS,
    threads: int = 1,
) -> FindHands:
    """What finds hands as the estimator does. Raises UserError where its parts cannot be loaded, or do not take `weights`."""
    if estimator in ("mediapipe", "mediapipe-lite"):
        if weights:
            raise UserError(f"--weights {weights} is for a network of ours: leave it out with --estimator {estimator}")
        return FetchedModels(estimator, threads)
    return NetworkSearch(
        load_network_engine(estimator, weights, threads=threads), load_named_locator(estimator, locator_weights, threads=threads)
    )


def load_network_engine(
    estimator: EstimatorName, weights: Path | None = None, engine: EngineName = "torch", *, threads: int | None = None
) -> Engine:
    """The network of the estimator. Raises UserError where it cannot be loaded, or is not one of ours."""
    options = EstimatorOptions(engine, threads=threads)
    if estimator == "detnet":
        return load_engine(options, weights or DEFAULT_WEIGHTS)
    if estimator != "mediapipe-3d":
        raise UserError(f"--estimator {estimator} runs in LiteRT alone: give mediapipe-3d, which is the same network in torch")
    from runtime.estimators.mediapipe_3d import default_weights

    return load_engine(options, weights or default_weights(), tells=True)


def load_named_locator(estimator: EstimatorName, locator_weights: Path = locator.DEFAULT_WEIGHTS, *, threads: int = 1) -> Locator:
    """What finds boxes for the estimator's network. Raises UserError where it cannot be loaded."""
    if estimator == "detnet":
        return locator.load_locator(locator_weights, LOCATOR_SCORE)
    from runtime.estimators.mediapipe_3d import load_palm_locator

    return load_palm_locator(min_score=PALM_SCORE, threads=threads)
