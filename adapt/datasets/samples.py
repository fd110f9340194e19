"""What a data set's camera pair has to teach: crops, labels by the cameras' places, and the rotation between the cameras."""

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
    """What is learnt from, and how."""

    pairs: CropPairs
    taught: PerView[GeometryLabelBatch] | None
    labels: LabelSource
    R_right_from_left: np.ndarray | None
    """(3, 3) to begin with; None where the first batch tells it."""


def dataset_samples(
    settings: Settings, manifest: Manifest, looked: list[DatasetPredictions], train: HandPairs
) -> tuple[DatasetSamples, str]:
    """What there is to learn, and how the cameras were found, in words."""
    labels = settings.taught
    if settings.faithful:
        table = rotation_in_table(settings)
        note = "the rotation is told by the first batch" if table is None else f"the rotation is that of {settings.rotations}"
        return DatasetSamples(crops_of(looked), None, "s2dhand", table), note
    places, note = calibrate_dataset(looked)
    if places is None:
        if not LABEL_METHODS[labels].agreement:
            raise UserError(f"the cameras' places are not sure ({note}): give more pairs with --pic, or --labels s2dhand")
        told = f"the cameras' places are not sure ({note}): the network's own hands tell the rotation, and s2dhand teaches alone"
        return DatasetSamples(crops_of(looked), None, "s2dhand", rotation_of(looked)), told
    material = _material(places, looked, train, manifest.crop_size)
    told = f"cameras found to +- {places.uncertainty_deg:.1f} deg from {note}"
    told += f"; {len(material.pairs):,} of {len(looked):,} pairs teach"
    return DatasetSamples(material.pairs, material.taught, labels, places.R_right_from_left), told


def _material(places: DatasetCameras, looked: list[DatasetPredictions], pairs: HandPairs, crop_size: int) -> TrainingSet:
    """Crops of the hands where the cameras' places have them, and what those teach. Raises UserError where none does."""
    labeller = Labeller(places)
    shown: list[TrainingSample] = []
    for one in tqdm(looked, desc="cutting out", unit="pair"):
        labels = labeller(one)
        if labels is not None:
            true = pairs[one.number]

            def frame(view: View, true=true, one=one) -> Frame:
                return Frame(view, one.number, one.number, one.number, true.hands[view].read())

            shown.append(TrainingSample.cut(LabelledPair(FramePair(frame("left"), frame("right")), labels), crop_size))
    if not shown:
        raise UserError("no pair shows both views one hand where the cameras have it: give more pairs with --pic")
    return TrainingSet.of(shown)


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
