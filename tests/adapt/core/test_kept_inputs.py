"""What a network reads of a sample is computed once while the sample comes again, and no longer kept once others did."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from adapt.core.crop_pairs import CropPairs
from adapt.core.geometry_labels import ViewLabel
from adapt.core.kept_inputs import KeptInputs
from adapt.core.label_crops import LabelledCrop
from adapt.core.training_samples import TrainingSample, TrainingSet
from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.joints import unit_hand
from runtime.estimators.framing import Framing
from runtime.networks.mediapipe_3d import MediaPipe3D
from runtime.networks.mediapipe_landmarks import INPUT_PX
from runtime.networks.network import HandNetwork
from tests.runtime.hands import moving_hand


def sample(number: int) -> TrainingSample:
    """A hand before noise."""
    random = np.random.default_rng(number)
    camera = PinholeCamera.from_fov(320, 240, 60.0)
    joints = unit_hand(moving_hand(random, 1))[0]
    pixels = camera.project(joints * 0.2 + [0.0, 0.0, 1.0])
    image = random.integers(0, 256, (240, 320, 3), np.uint8)

    def label(view: View) -> ViewLabel:
        return ViewLabel(view, "right", camera, pixels, np.ones(21), joints, np.full(21, 0.1))

    labels = PerView.of(label)
    crops = labels.map(lambda one: LabelledCrop.cut(one, image, INPUT_PX, Framing(True, "palm")))
    return TrainingSample(number, labels, crops)


@pytest.fixture(scope="module")
def network() -> HandNetwork:
    torch.manual_seed(0)
    return HandNetwork(MediaPipe3D(hidden=8), INPUT_PX).eval()


def blackened(samples: TrainingSet) -> TrainingSet:
    pairs: CropPairs = samples.pairs
    return replace(samples, pairs=replace(pairs, images=pairs.images.map(torch.zeros_like)))


def test_samples_are_read_once_and_the_oldest_are_forgotten(network):
    kept, (first, second, third) = KeptInputs(network, 2), (TrainingSet.of([sample(number)]) for number in range(3))
    once, _ = kept(first).pairs.inputs, kept(second)
    again = kept(blackened(first)).pairs.inputs
    assert once is not None and again is not None
    assert torch.equal(once.left, again.left) and torch.equal(once.right, again.right)
    # The first was used later than the second.
    kept(third)
    for samples, remembered in ((first, True), (second, False)):
        seen, black = KeptInputs(network, 1)(samples).pairs.inputs, kept(blackened(samples)).pairs.inputs
        assert seen is not None and black is not None and torch.equal(seen.left, black.left) == remembered


def test_a_network_that_reads_crops_itself_is_given_them_as_they_are(shipped):
    samples = TrainingSet.of([sample(0)])
    assert KeptInputs(shipped[0], 2)(samples) is samples
