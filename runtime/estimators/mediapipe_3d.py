"""The estimator `mediapipe-3d`: MediaPipe's landmark network with heads of our own for depth and doubt, in our engines.

Its palm detector, run by LiteRT, looks for hands where none is followed; it sees how they are turned, and not which hand it is.
All else is the crop estimator's: a crop is a camera, one batch for both views, one handedness.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from capture.views import PerView, View
from runtime.estimators.crop_estimator import CropEstimator, load_engine
from runtime.estimators.estimator import Roi
from runtime.estimators.litert import Model
from runtime.estimators.palm import MIN_SCORE, PalmDetector
from runtime.estimators.registry import EstimatorOptions, LoadedEstimator
from runtime.estimators.square import Square
from runtime.networks.mediapipe_base import base_weights
from runtime.networks.mediapipe_files import PALMS, model_file
from runtime.networks.weights import ASSETS
from runtime.types import HandBox

OWN_WEIGHTS = ASSETS / "mediapipe_3d.safetensors"
"""What was learnt on top of the fetched model."""
ANYWHERE: PerView[Roi | None] = PerView(None, None)


class PalmLocator:
    """Finds hands by their palms, turned as they are; which hand it is, is unknown. A `Locator`."""

    def __init__(self, palms: PalmDetector, roi: PerView[Roi | None] = ANYWHERE):
        """`roi`: where to look in each view; None for the whole frame."""
        self._palms = palms
        self._within = roi.map(lambda one: one and Square(one[:2], one[2]))

    def __call__(self, image: np.ndarray, view: View) -> list[HandBox]:
        """See `Locator`."""
        hands = ((palm.hand, palm.score) for palm in self._palms(image, self._within[view]))
        return [HandBox(view, "right", hand.centre_px, hand.size_px, score, hand.roll_deg, turned=True) for hand, score in hands]


def load_mediapipe_3d(options: EstimatorOptions) -> LoadedEstimator:
    """An `EstimatorFactory`: the palm detector, and the landmark network in an engine."""
    locate = load_palm_locator(options.follow.roi, threads=options.threads or 1)
    weights = options.weights or default_weights()
    engine = load_engine(options, weights, tells=True)
    # A roi limits the search; it is no box.
    follow = replace(options.follow, roi=ANYWHERE)
    description = f"MediaPipe's landmark network{'' if engine.manifest.base else ' as fetched'}, {engine.description}"
    return LoadedEstimator(description, weights, lambda sizes_px: CropEstimator(engine, locate, sizes_px, follow))


def default_weights() -> Path:
    """Our own layers and heads, which stand on the fetched model.

    Raises ModelsNotFetched where the model was not fetched, UserError where LiteRT's package, which reads it, is not installed.
    """
    base_weights("mediapipe")
    return OWN_WEIGHTS


def load_palm_locator(roi: PerView[Roi | None] = ANYWHERE, *, min_score: float = MIN_SCORE, threads: int = 1) -> PalmLocator:
    """Raises UserError where the detector was not fetched, or LiteRT is missing."""
    return PalmLocator(PalmDetector(Model(model_file(PALMS), threads=threads), min_score), roi)
