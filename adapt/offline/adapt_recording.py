"""Adapt the network to two cameras from an unlabelled recording: `python -m adapt.offline runs/mine --left A --right B`.

Or to a data set's camera pair, with the options that were published with S2DHand: `adapt.datasets.published_options`,
`adapt.datasets.run`.

The recording is read twice: on the first pass the cameras calibrate themselves, on the second every hand that both see is cut
out. Then the network is trained on what its own two views agree on through the rotation (`--labels s2dhand`; Liu et al., CVPR
2024), from where their rays meet (`geometry`), or both; with rehearsal of synthetic hands against forgetting. Every fifth
stretch of the recording is held out: weights are saved only where the network has come nearer to the pseudo-labels by geometry
there (`adapt.offline.label_error`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import tyro

from adapt.core.geometry_teacher import label_recording
from adapt.core.learner import learner_of
from adapt.core.training_samples import EvenSubsample, TrainingSample, TrainingSet
from adapt.offline.label_error import label_error
from adapt.offline.recording import RecordingSettings, frame_size, resolve_handedness
from adapt.offline.training import LearningSettings, make_mean_teacher, prepared, train
from hand.errors import UserError
from hand.outputs import ProgramFiles, with_manifest
from runtime.estimators import adaptable_networks
from runtime.estimators.estimator import Estimator, FollowSettings
from runtime.estimators.network_settings import NetworkSettings
from runtime.estimators.registry import EstimatorName, EstimatorOptions, load_estimator
from runtime.geometry.two_view import TwoViewGeometry
from runtime.networks.weights import Manifest, save_network
from runtime.reporting.calibration_text import describe

STRETCH, HELD_OUT_EVERY = 15, 5
"""Pairs are held out by stretches of so many in a row, neighbours being alike, and one stretch in so many."""
Teacher = Literal["own"] | EstimatorName
MakeEstimator = Callable[[], Estimator]


@dataclass
class Settings(NetworkSettings, RecordingSettings, LearningSettings):
    """Adapt the network to two cameras."""

    run: tyro.conf.Positional[Path]
    """Folder to write the adapted weights to."""
    teacher: Teacher = "own"
    """Whose joints the geometry is made of: those of the network that adapts (own), or an estimator's."""
    most: int = 1024
    """Pairs to learn from; of a longer recording, evenly spread."""
    overwrite: bool = False
    """Replace files that are there already."""

    @property
    def adapted(self) -> Path:
        """The weights that are written."""
        return self.run / "weights.safetensors"

    def check_files(self, *written: Path) -> None:
        """Raises UserError where what is `written` is an input, is there already, or cannot be written."""
        files = self.state_files(ProgramFiles(overwrite=self.overwrite))
        if self.weights is not None:
            files.reads("--weights", *with_manifest(self.weights))
        files.fills("RUN", self.run).writes("RUN", *written, plain=True).check()


def estimator(settings: Settings) -> Estimator:
    """The teacher whose joints make the geometry. Raises UserError where its parts are missing."""
    follow = FollowSettings(settings.hand_side)
    sizes_px = settings.clips.map(frame_size)
    if settings.teacher != "own":
        return load_estimator(settings.teacher, EstimatorOptions(follow=follow)).make(sizes_px)
    name, weights, device = settings.estimator, settings.weights, settings.torch_device
    return adaptable_networks.make_estimator(name, weights, sizes_px, follow, settings.threads, device)


def collect_samples(
    settings: Settings, manifest: Manifest, make_estimator: MakeEstimator | None = None
) -> tuple[TwoViewGeometry, TrainingSet, TrainingSet]:
    """The cameras' geometry, a training set, and a held-out set. Raises UserError where the recording gives too few samples.

    `make_estimator` gives the teacher, for each pass anew; the one that `settings` name if not given.
    """
    make = make_estimator or (lambda: estimator(settings))
    calibration = settings.calibrated(make())
    geometry = calibration.state.geometry
    assert geometry is not None
    training, held_out = EvenSubsample[TrainingSample](settings.most), EvenSubsample[TrainingSample](settings.most)
    labelled = label_recording(settings.read("cutting out"), make(), calibration.state)
    count = 0
    for sample in resolve_handedness(TrainingSample.cut(pair, manifest) for pair in labelled if pair is not None):
        (held_out if count // STRETCH % HELD_OUT_EVERY == HELD_OUT_EVERY - 1 else training).add(sample)
        count += 1
    least = STRETCH * HELD_OUT_EVERY
    if count < least:
        raise UserError(f"{count:,} pairs show the hand well to both views, expected {least:,} or more: give a longer recording")
    training_set, held_out_set = TrainingSet.of(training.items), TrainingSet.of(held_out.items)
    sizes = f"{len(training_set.pairs):,} pairs to learn from, {len(held_out_set.pairs):,} held out"
    print(f"{describe(calibration.status)}; {sizes}")
    return geometry, training_set, held_out_set


def train_and_save(settings: Settings, geometry: TwoViewGeometry, training_set: TrainingSet, held_out: TrainingSet) -> bool:
    """Adapt the network, and save it where it is better on the held-out set; whether it was."""
    network, manifest = settings.load_network()
    training_set, held_out = (prepared(settings, network, samples) for samples in (training_set, held_out))
    session = make_mean_teacher(settings, network, manifest, geometry)
    before = label_error(session.teacher, manifest, held_out)
    train(settings, session, geometry, training_set)
    after = label_error(session.teacher, manifest, held_out)
    result = f"on hands held out, {before} hands off where the cameras' geometry has them before, {after} after"
    if not after.better_than(before):
        print(f"{result}: nothing is saved; give more of the hand's motion, or other --labels")
        return False
    file = settings.adapted
    training_data = f"{manifest.training_data}; adapted to two cameras by {settings.labels}, teacher {settings.teacher}"
    # The network's accuracy was measured before the adaptation.
    save_network(file, session.teacher, msgspec.structs.replace(manifest, training_data=training_data, accuracy={}))
    option = "" if settings.estimator == "detnet" else f"--estimator {settings.estimator} "
    print(f"{result}: {file}; use it with stream.py {option}--weights {file}")
    return True


def adapt(settings: Settings, make_estimator: MakeEstimator | None = None) -> bool:
    """Adapt to the recording; whether better weights were saved. Raises UserError where the recording gives too few samples."""
    _check(settings)
    network, manifest = settings.load_network()
    # One that cannot learn is refused before the recording is read.
    learner_of(network)
    return train_and_save(settings, *collect_samples(settings, manifest, make_estimator))


def _check(settings: Settings) -> None:
    """Raises UserError for what would fail only after the recording was read."""
    if settings.most < 1:
        raise UserError(f"--most is {settings.most}, expected 1 or more")
    settings.check()
    settings.check_files(*with_manifest(settings.adapted))
