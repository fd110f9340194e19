"""Adapt the network to two cameras from a recording that nobody labelled: `python -m adapt.offline runs/mine --left A --right B`.

Or to a data set's camera pair, with the options that were published with S2DHand: `adapt.datasets.published_options`,
`adapt.datasets.run`.

The recording is watched twice: on the first pass the cameras calibrate themselves, on the second every hand that both see is cut
out. Then the network learns from what its own two views agree on through the rotation (`--labels s2dhand`; Liu et al., CVPR
2024), from where their rays meet (`geometry`), or both; drawn hands are rehearsed beside: little is forgotten. Every fifth
stretch of the recording is held out: weights are saved only where the network has come nearer to the hands that the geometry has
there. That the views agree better would be no evidence: they come to agree through a wrong rotation too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import torch
import tyro

from adapt.core.geometry_teacher import label_recording
from adapt.core.training_samples import EvenSubsample, TrainingSample, TrainingSet
from adapt.offline.recording import RecordingSettings, frame_size, resolve_handedness
from adapt.offline.training import LearningSettings, make_mean_teacher, train
from capture.views import PerView, View
from hand.errors import UserError
from runtime.engines.torch_engine import TorchEngine
from runtime.estimators.crop_estimator import CropEstimator
from runtime.estimators.estimator import Estimator, FollowSettings
from runtime.estimators.locator import load_locator
from runtime.estimators.registry import EstimatorName, EstimatorOptions, load_estimator
from runtime.estimators.uncertainty import px_per_hand
from runtime.geometry.two_view import TwoViewGeometry
from runtime.networks.network import HandNetwork
from runtime.networks.weights import DEFAULT_WEIGHTS, Manifest, load_network, save_network
from runtime.reporting.calibration_text import describe

CHANCE = 1.05
"""Held-out pixels may be so many times as far off as before."""
STRETCH, HELD_OUT_EVERY = 15, 5
"""Pairs are held out by stretches of so many in a row, neighbours being alike, and one stretch in so many."""
Teacher = Literal["own"] | EstimatorName
MakeEstimator = Callable[[], Estimator]


@dataclass
class Settings(RecordingSettings, LearningSettings):
    """Adapt the network to two cameras."""

    run: tyro.conf.Positional[Path]
    """Folder to write the adapted weights to."""
    teacher: Teacher = "own"
    """Whose joints the geometry is made of: those of the network that adapts (own), or an estimator's."""
    weights: Path = DEFAULT_WEIGHTS
    """Of the network to adapt."""
    most: int = 1024
    """Pairs to learn from; of a longer recording, evenly spread."""


def estimator(settings: Settings) -> Estimator:
    """The teacher whose joints make the geometry. Raises UserError where its parts are missing."""
    follow = FollowSettings(settings.hand_side)
    sizes_px = settings.clips.map(frame_size)
    if settings.teacher != "own":
        return load_estimator(settings.teacher, EstimatorOptions(follow=follow)).make(sizes_px)
    engine = TorchEngine(*load_network(settings.weights), threads=settings.threads, device=settings.torch_device.type)
    return CropEstimator(engine, load_locator(), sizes_px, follow)


def collect_samples(
    settings: Settings, crop_size: int, make_estimator: MakeEstimator | None = None
) -> tuple[TwoViewGeometry, TrainingSet, TrainingSet]:
    """The cameras' places, hands to learn from, and hands held out. Raises UserError where nothing can be learnt.

    `make_estimator` gives the teacher, for each pass anew; the one that `settings` name if not given.
    """
    make = make_estimator or (lambda: estimator(settings))
    watched = settings.calibrated(make())
    geometry = watched.state.geometry
    assert geometry is not None
    learnt, held_out = EvenSubsample[TrainingSample](settings.most), EvenSubsample[TrainingSample](settings.most)
    labelled = label_recording(settings.read("cutting out"), make(), watched.state)
    count = 0
    for shown in resolve_handedness(TrainingSample.cut(pair, crop_size) for pair in labelled if pair is not None):
        (held_out if count // STRETCH % HELD_OUT_EVERY == HELD_OUT_EVERY - 1 else learnt).add(shown)
        count += 1
    least = STRETCH * HELD_OUT_EVERY
    if count < least:
        raise UserError(f"{count:,} pairs show the hand well to both views, expected {least:,} or more: give a longer recording")
    learn_from, judge_by = TrainingSet.of(learnt.items), TrainingSet.of(held_out.items)
    print(f"{describe(watched.status)}; {len(learn_from.pairs):,} pairs to learn from, {len(judge_by.pairs):,} held out")
    return geometry, learn_from, judge_by


@dataclass(frozen=True, slots=True)
class LabelError:
    """How far a network is from where the geometry has hands that it did not learn from, hands."""

    joints: float
    """Mean distance in 3D."""
    pixels: float
    """Median distance in the picture."""

    def better_than(self, other: "LabelError") -> bool:
        """In 3D, and not worse in 2D but for chance."""
        return self.joints < other.joints and self.pixels < CHANCE * other.pixels

    def __str__(self) -> str:
        return f"{self.joints:.3f} (3D) and {self.pixels:.3f} (2D)"


@torch.inference_mode()
def label_error(network: HandNetwork, manifest: Manifest, material: TrainingSet) -> LabelError:
    """Of both views. Labels were made before anything was learnt: views that merely come to agree are no nearer to them."""
    device = next(network.parameters()).device
    frame_from_crop = material.pairs.frame_from_crop(manifest.axes)

    def of(view: View) -> LabelError:
        taught = material.taught[view]
        told = [network(part.to(device)) for part in material.pairs.images[view].split(64)]
        joints, pixels = (torch.cat([getattr(each, name).float().cpu() for each in told]) for name in ("joints", "pixels"))
        turned = joints @ frame_from_crop[view].to(joints).mT
        truth = taught.joints.double().numpy(), taught.pixels.double().numpy()
        in_crop = taught.joints @ frame_from_crop[view].to(taught.joints)
        size_px = px_per_hand(in_crop.double().numpy(), truth[1])
        in_3d = np.linalg.norm(turned.double().numpy() - truth[0], axis=-1)
        in_2d = np.linalg.norm(pixels.double().numpy() - truth[1], axis=-1) / size_px
        return LabelError(float(in_3d.mean()), float(np.median(in_2d)))

    left, right = PerView.of(of)
    return LabelError((left.joints + right.joints) / 2, (left.pixels + right.pixels) / 2)


def train_and_save(settings: Settings, geometry: TwoViewGeometry, material: TrainingSet, held_out: TrainingSet) -> bool:
    """Adapt the network, and save it where it is better on what was held out; whether it was."""
    network, manifest = load_network(settings.weights)
    session = make_mean_teacher(settings, network, manifest, geometry)
    before = label_error(session.teacher, manifest, held_out)
    train(settings, session, geometry, material)
    after = label_error(session.teacher, manifest, held_out)
    said = f"on hands held out, {before} hands off where the cameras' geometry has them before, {after} after"
    if not after.better_than(before):
        print(f"{said}: nothing is saved; give more of the hand's motion, or other --labels")
        return False
    file = settings.run / "weights.safetensors"
    told = f"{manifest.training_data}; adapted to two cameras by {settings.labels}, teacher {settings.teacher}"
    # What was measured of the network before is no longer true of it.
    save_network(file, session.teacher, msgspec.structs.replace(manifest, training_data=told, accuracy={}))
    print(f"{said}: {file}; use it with stream.py --weights {file}")
    return True


def adapt(settings: Settings, make_estimator: MakeEstimator | None = None) -> bool:
    """Watch the recording and learn from it; whether better weights were saved. Raises UserError where nothing can be learnt."""
    _check(settings)
    _, manifest = load_network(settings.weights)
    return train_and_save(settings, *collect_samples(settings, manifest.crop_size, make_estimator))


def _check(settings: Settings) -> None:
    """Raises UserError for what would fail only after the recording was watched."""
    if settings.most < 1:
        raise UserError(f"--most is {settings.most}, expected 1 or more")
    settings.check()
    try:
        settings.run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder {settings.run} cannot be made ({error.strerror}): give another to write to") from error
