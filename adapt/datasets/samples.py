"""Training samples of a data set's camera pair: crops, pseudo-labels by its calibration, and the rotation between the cameras."""

from dataclasses import dataclass

import msgspec
import numpy as np
from tqdm import tqdm

from adapt.core.crop_pairs import CropPairs
from adapt.core.geometry_labels import LabelledPair
from adapt.core.targets import LABEL_METHODS, GeometryLabelBatch, LabelSource
from adapt.core.training_samples import TrainingSample, TrainingSet
from adapt.datasets.assembly_hands import HandPairs
from adapt.datasets.geometry import DatasetCameras, Labeller, calibrate_dataset
from adapt.datasets.predictions import DatasetPredictions, crops_of, rotation_of
from adapt.datasets.published_options import Settings
from capture.frames import Frame, FramePair
from capture.views import PerView, View
from hand.errors import UserError
from runtime.networks.weights import Manifest


@dataclass(frozen=True, slots=True)
class DatasetSamples:
    """What a network is trained on, and how."""

    pairs: CropPairs
    geometry_labels: PerView[GeometryLabelBatch] | None
    label_source: LabelSource
    R_right_from_left: np.ndarray | None
    """(3, 3) to start from; None where the first batch estimates it."""


def dataset_samples(
    settings: Settings, manifest: Manifest, predictions: list[DatasetPredictions], train: HandPairs
) -> tuple[DatasetSamples, str]:
    """The samples, and a sentence on the calibration."""
    source = settings.label_source
    if settings.faithful:
        table = rotation_in_table(settings)
        note = "the rotation comes from the first batch" if table is None else f"the rotation is that of {settings.rotations}"
        return DatasetSamples(crops_of(predictions), None, "s2dhand", table), note
    cameras, note = calibrate_dataset(predictions)
    if cameras is None:
        if not LABEL_METHODS[source].agreement:
            raise UserError(f"the cameras' places are not sure ({note}): give more pairs with --pic, or --labels s2dhand")
        note = f"the cameras' places are not sure ({note}): the network's own hands tell the rotation, and s2dhand teaches alone"
        return DatasetSamples(crops_of(predictions), None, "s2dhand", rotation_of(predictions)), note
    training_set = _training_set(cameras, predictions, train, manifest)
    note = f"cameras found to +- {cameras.uncertainty_deg:.1f} deg from {note}"
    note += f"; {len(training_set.pairs):,} of {len(predictions):,} pairs teach"
    return DatasetSamples(training_set.pairs, training_set.labels, source, cameras.R_right_from_left), note


def _training_set(
    cameras: DatasetCameras, predictions: list[DatasetPredictions], pairs: HandPairs, manifest: Manifest
) -> TrainingSet:
    """Crops and pseudo-labels of the hands that fit the calibration. Raises UserError where none does."""
    labeller = Labeller(cameras)
    samples: list[TrainingSample] = []
    for prediction in tqdm(predictions, desc="cutting out", unit="pair"):
        labels = labeller(prediction)
        if labels is not None:
            true = pairs[prediction.number]

            def frame(view: View, true=true, prediction=prediction) -> Frame:
                return Frame(view, prediction.number, prediction.number, prediction.number, true.hands[view].read())

            samples.append(TrainingSample.cut(LabelledPair(FramePair(frame("left"), frame("right")), labels), manifest))
    if not samples:
        raise UserError("no pair shows both views one hand where the cameras have it: give more pairs with --pic")
    return TrainingSet.of(samples)


def rotation_in_table(settings: Settings) -> np.ndarray | None:
    """(3, 3) the published estimate of the pair's rotation, from the table that was given. Raises UserError."""
    if settings.rotations is None:
        return None
    a, b = settings.cameras
    try:
        table = msgspec.json.decode(settings.rotations.read_bytes())
        row_vector_R = table[f"headset_{settings.setup}"][f"{a}-{b}"]["published_estimate_row_vector_R"]
        # It is for row vectors.
        return np.asarray(row_vector_R, float).reshape(3, 3).T
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"--rotations {settings.rotations} has no rotation of headset {settings.setup}, cameras {a} and {b} ({error}): "
            'expected JSON such as {"headset_0": {"0-1": {"published_estimate_row_vector_R": [[3 numbers], ...]}}}'
        ) from error
