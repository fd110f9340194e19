"""Decoding of DetNet-lite's maps, and the accuracy of the shipped weights."""

from collections.abc import Iterator

import pytest
import torch

from hand.joints import DEFAULT_HAND_SIZE_MM
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer, SyntheticCrops
from runtime.networks.detnet_lite import DetNetLite, mean_pixels, read, read_scalar
from runtime.networks.network import HandNetwork, Maps
from runtime.networks.weights import DEFAULT_WEIGHTS


@pytest.fixture(scope="module")
def network() -> DetNetLite:
    torch.manual_seed(0)
    network = DetNetLite().eval()
    # Untrained maps are flat: these are not.
    torch.nn.init.normal_(network.head.weight, std=5.0)
    return network


def one_hot(row: int, column: int, cells: int) -> torch.Tensor:
    heat = torch.zeros(1, 21, cells, cells)
    heat[:, :, row, column] = 1
    return heat


@pytest.mark.parametrize("size", [64, 128])
def test_maps_have_a_cell_for_every_eight_pixels(network, size):
    cells = size // DetNetLite.stride
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1)) - 0.5
    with torch.inference_mode():
        maps = network(images)
    assert maps.heat.shape == (2, 21, cells, cells)
    assert maps.delta.shape == maps.location.shape == (2, 63, cells, cells)
    assert maps.log_error is not None and maps.log_error.shape == (2, 21, cells, cells)
    torch.testing.assert_close(maps.heat.sum((2, 3)), torch.ones(2, 21))
    assert (maps.heat >= 0).all() and maps.heat.amax() > 1.5 / cells**2


@pytest.mark.parametrize(("size", "cells"), [(64, 8), (128, 16)])
def test_heat_in_one_cell_is_read_at_its_centre(size, cells):
    # A cell spans 8 px and pixel 0 is a centre: the first cell's centre is 3.5.
    for row, column in ((0, 0), (2, 5), (cells - 1, cells - 1)):
        expected = torch.tensor([8 * column + 3.5, 8 * row + 3.5]).expand(1, 21, 2)
        torch.testing.assert_close(mean_pixels(one_hot(row, column, cells), size), expected)


def test_vectors_and_scalars_are_read_where_the_heat_is():
    random = torch.Generator().manual_seed(2)
    maps, scalars = torch.randn(1, 63, 8, 8, generator=random), torch.randn(1, 21, 8, 8, generator=random)
    at_cell = read(maps, one_hot(3, 6, 8))
    for joint in range(21):
        torch.testing.assert_close(at_cell[0, joint], maps[0, 3 * joint : 3 * joint + 3, 3, 6])
    torch.testing.assert_close(read_scalar(scalars, one_hot(3, 6, 8)), scalars[:, :, 3, 6])
    between = (one_hot(3, 6, 8) + one_hot(1, 1, 8)) / 2
    torch.testing.assert_close(read(maps, between), (at_cell + read(maps, one_hot(1, 1, 8))) / 2)


def test_confidence_is_in_0_1_and_falls_with_the_predicted_error(network):
    log_error = torch.linspace(-6, 3, 21)[None, :, None, None].expand(1, 21, 8, 8)
    maps = Maps(one_hot(4, 4, 8), torch.zeros(1, 63, 8, 8), torch.zeros(1, 63, 8, 8), log_error)
    confidence = network.decode(maps, 64).confidence[0]
    assert confidence.min() >= 0 and confidence.max() <= 1
    assert (confidence.diff() < 0).all()
    assert confidence[0] > 0.98 and confidence[-1] < 0.01


def test_an_untrained_network_gives_finite_hands_of_low_confidence():
    torch.manual_seed(0)
    hands = HandNetwork(DetNetLite(), 64).eval()(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
    assert hands.joints.isfinite().all()
    torch.testing.assert_close(hands.heat, torch.full((1, 21, 8, 8), 1 / 64), atol=1e-3, rtol=0)
    torch.testing.assert_close(hands.pixels, torch.full((1, 21, 2), 31.5), atol=0.5, rtol=0)


@pytest.fixture(scope="module")
def unseen(shipped) -> Iterator[SyntheticCrops]:
    """64 hands of a seed of their own before places that training never shows."""
    yield CropRenderer(shipped[1].crop_size, Backgrounds.load(None, "held_out"), seed=3_000_000).render(64)


def test_shipped_weights_have_a_manifest_and_are_small(shipped):
    network, manifest = shipped
    assert manifest.architecture == "detnet-lite" and manifest.images_seen
    assert manifest.map_size * DetNetLite.stride == manifest.crop_size == network.crop_size
    assert DEFAULT_WEIGHTS.stat().st_size <= 12_000_000


def test_shipped_weights_predict_held_out_hands(shipped, unseen):
    with torch.inference_mode():
        hands = shipped[0](unseen.images)
    error = (hands.joints - unseen.joints).norm(dim=-1)
    assert error.mean() * DEFAULT_HAND_SIZE_MM < 60
    assert (hands.pixels - unseen.pixels).norm(dim=-1).mean() < shipped[1].crop_size / 5
    # Right hands: with the wrong chirality the mirrored truth would fit as well.
    mirrored = unseen.joints * torch.tensor([-1.0, 1.0, 1.0])
    assert (hands.joints - mirrored).norm(dim=-1).mean() > 1.2 * error.mean()


def test_shipped_confidence_ranks_joint_errors(shipped, unseen):
    with torch.inference_mode():
        hands = shipped[0](unseen.images)
    error = (hands.joints - unseen.joints).norm(dim=-1)
    sure = hands.confidence > hands.confidence.median()
    assert error[sure].mean() < error[~sure].mean()
