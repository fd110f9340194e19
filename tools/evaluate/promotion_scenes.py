"""What an adaptation is trained and validated on: a rendered stream, labelled as the live program labels it."""

from dataclasses import dataclass, replace

import numpy as np

from adapt.core.geometry_teacher import label_recording
from adapt.core.training_samples import TrainingSample, TrainingSet
from capture.views import PerView
from hand.model import FOREIGN_ASSET, HandModel
from hand.rotations import from_vector
from runtime.calibration.self_calibrator import CalibrationState, mean_bone_lengths
from runtime.engines.torch_engine import TorchEngine
from runtime.estimators.crop_estimator import CropEstimator
from runtime.estimators.estimator import FollowSettings
from runtime.estimators.locator import load_locator
from runtime.geometry.two_view import TwoViewGeometry
from tools.evaluate.held_out_hands import FOREIGN_TEXTURE
from tools.evaluate.synthetic_stream import SyntheticStream, render_stream
from tools.evaluate.two_views import sample_rig

STRETCH, HELD_OUT_EVERY = 8, 4
"""Pairs are held out in stretches of so many, one stretch in so many."""
MIN_HELD_OUT = 16
ROTATION_DEG, BASELINE_DEG, FOCAL_SHARE = 1.0, 1.5, 0.03
"""Errors of self-calibrated cameras, about as tools.evaluate.geometry measures them."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One stream's training and validation pairs."""

    stream: SyntheticStream
    geometry: TwoViewGeometry
    """As self-calibration finds it: not exactly true."""
    learnt: TrainingSet
    held_out: TrainingSet
    truth: PerView[np.ndarray]
    """(N, 21, 3) true unit hands of the held-out pairs, each camera's axes."""


def make_scene(rng: np.random.Generator, engine: TorchEngine, seconds: float, fps: float) -> Scene | None:
    """Render a stream and label it as the live program does; None where too little of it is labelled."""
    model = HandModel.load(asset=FOREIGN_ASSET)
    rig = sample_rig(rng, float(rng.uniform(25, 110)), PerView.of(lambda view: 60.0))
    stream = render_stream(rng, rig, seconds, fps, model=model, texture=FOREIGN_TEXTURE)
    sizes_px = rig.geometry.cameras.map(lambda camera: camera.size_px)
    geometry = perturbed(rig.geometry, rng)
    estimator = CropEstimator(engine, load_locator(), sizes_px, FollowSettings("right"))
    known = CalibrationState(geometry, mean_bone_lengths())
    labelled = [pair for pair in label_recording(iter(stream.pairs), estimator, known) if pair is not None]
    shown = [TrainingSample.cut(pair, engine.manifest) for pair in labelled]
    parts = [number // STRETCH % HELD_OUT_EVERY == HELD_OUT_EVERY - 1 for number in range(len(shown))]
    learnt, held_out = ([one for one, out in zip(shown, parts, strict=True) if out == which] for which in (False, True))
    if len(held_out) < MIN_HELD_OUT:
        return None
    numbers = [stream.number(one.captured_ns) for one in held_out]
    return Scene(
        stream,
        geometry,
        TrainingSet.of(learnt),
        TrainingSet.of(held_out),
        stream.truth.map(lambda hands: hands[numbers]),
    )


def perturbed(geometry: TwoViewGeometry, rng: np.random.Generator) -> TwoViewGeometry:
    """Cameras with the errors of a self-calibration."""
    turn = from_vector(np.radians(rng.normal(0, ROTATION_DEG / np.sqrt(3), 3)))
    t = from_vector(np.radians(rng.normal(0, BASELINE_DEG / np.sqrt(2), 3))) @ geometry.t_right_from_left_mm
    focal = np.exp(rng.normal(0, FOCAL_SHARE))
    cameras = geometry.cameras.map(lambda camera: replace(camera, focal_px=float(camera.focal_px * focal)))
    return TwoViewGeometry(cameras, turn @ geometry.R_right_from_left, t)
