"""How long finding a hand and its joints in frames takes, by estimator and step: parts of `python -m tools.bench`."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from capture.views import VIEWS, PerView, View
from tools.bench.timed import Make, Timed

if TYPE_CHECKING:
    from capture.sources.synthetic import SyntheticSource
    from hand.camera import PinholeCamera
    from runtime.engines.names import EngineName
    from runtime.estimators.estimator import Estimator
    from runtime.estimators.registry import EstimatorName


def make_network() -> Timed:
    from runtime.engines.selection import select_engine
    from runtime.networks.weights import DEFAULT_WEIGHTS

    engine = select_engine("auto", DEFAULT_WEIGHTS)
    size = engine.manifest.crop_size
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    return Timed(lambda: engine(images), 1, f"both views' crops through {engine.manifest.architecture} ({engine.description})")


def make_locator() -> Timed:
    from runtime.estimators.locator import load_locator

    locate = load_locator()
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    return Timed(lambda: locate(image, "left"), 1, "one frame of 640×480 through the locator")


def make_crop() -> Timed:
    from hand.camera import PinholeCamera
    from runtime.estimators.crop import HandCrop
    from runtime.types import HandBox

    image = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    camera = PinholeCamera.from_fov(1280, 720)
    box = HandBox("left", "right", (700.0, 300.0), 280.0, 1.0)
    return Timed(lambda: HandCrop.cut(box, camera, image, 64), 1, "one crop of 280 px out of a 720p frame")


def make_estimator(load: "Callable[[PerView[PinholeCamera]], Estimator]") -> Timed:
    """`load` gives the estimator of these cameras."""
    from capture.frames import Frame, FramePair
    from capture.sources.synthetic import FRAMES, SyntheticSource

    def taken(view: View) -> list[Frame]:
        shown = _shown[view].frames(0, paced=False)
        return [Frame(view, seq, now, now, image) for seq, now, image in itertools.islice(shown, FRAMES)]

    if not _shown:
        _shown.update({view: SyntheticSource(view) for view in VIEWS})
    cameras = PerView.of(lambda view: _shown[view].camera)
    estimator = load(cameras)
    pairs = itertools.cycle([FramePair(*both) for both in zip(*PerView.of(taken), strict=True)])
    return Timed(lambda: estimator(next(pairs), cameras), 1, f"both views' joints in a pair of 640×480, {estimator.description}")


_shown: "dict[View, SyntheticSource]" = {}
"""Rendered once, as that takes seconds."""


def make_named(name: "EstimatorName", threads: int | None = None, engine: "EngineName" = "auto") -> Timed:
    from runtime.estimators.registry import EstimatorOptions, load_estimator

    loaded = load_estimator(name, EstimatorOptions(engine, threads=threads))
    return make_estimator(lambda cameras: loaded.make(cameras.map(lambda camera: camera.size_px)))


PARTS: dict[str, Make] = {
    "network": make_network,
    "locator": make_locator,
    "crop": make_crop,
    "detnet-lite": partial(make_named, "detnet", threads=1),
    "mediapipe-3d-torch": partial(make_named, "mediapipe-3d", threads=1, engine="torch"),
    "mediapipe-3d-onnx": partial(make_named, "mediapipe-3d", threads=1, engine="onnx"),
    "mediapipe": partial(make_named, "mediapipe"),
    "mediapipe-lite": partial(make_named, "mediapipe-lite"),
}
