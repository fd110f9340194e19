"""Augmented crops show what a turned camera would show, and targets turn with them."""

import numpy as np
import pytest
import torch
from torch import Tensor

from adapt.core.augment import Augmenter
from adapt.core.label_crops import LabelledCrop
from adapt.core.targets import heat_target
from hand.rotations import from_vector
from hand.synth.turn import Turn
from runtime.estimators.crop import CropCamera
from runtime.networks.detnet_lite import mean_pixels
from runtime.types import Side
from tests.adapt.core.test_label_crops import crops_of
from tests.runtime.scenes import IMAGES

SIZE, CELLS = 64, 8
both_sides = pytest.mark.parametrize("side", ["right", "left"])


def turn_by(angle_deg: float, zoom: float) -> Turn:
    return Turn(
        torch.from_numpy(from_vector(np.array([0, 0, np.radians(angle_deg)]))[None, :2, :2]), torch.tensor([zoom]).double()
    )


def recut(crop: LabelledCrop, angle_deg: float, zoom: float) -> CropCamera:
    """The crop's camera, rolled and zoomed so that its picture turns by `angle_deg` from x to y and grows by `zoom`."""
    # A camera that rolls one way sees the picture turn the other way, and a mirror takes that back.
    roll = from_vector(np.array([0, 0, np.radians(angle_deg if crop.camera.mirror else -angle_deg)]))
    camera = crop.camera
    return CropCamera(camera.frame, SIZE, camera.focal_px * zoom, camera.R_frame_from_crop @ roll, camera.mirror)


@both_sides
@pytest.mark.parametrize(("angle_deg", "zoom"), [(25.0, 1.0), (-40.0, 0.9), (0.0, 1.2)])
def test_what_is_asked_of_a_turned_crop_is_what_the_crop_cut_so_shows(side: Side, angle_deg, zoom):
    turn = turn_by(angle_deg, zoom)
    for _, label, crop in crops_of(side):
        camera = recut(crop, angle_deg, zoom)
        joints, pixels = (torch.from_numpy(x)[None] for x in (crop.joints, crop.pixels))
        np.testing.assert_allclose(turn.vectors(joints)[0], camera.joints_in_crop(label.joints), atol=1e-9)
        side_px = crop.image.shape[0]
        np.testing.assert_allclose(turn.pixels(pixels, side_px, SIZE)[0], camera.crop_from_frame(label.pixels), atol=1e-6)


@both_sides
def test_a_turned_picture_is_the_one_that_is_cut_so(side: Side):
    for _, label, crop in crops_of(side)[:6]:
        cut = recut(crop, 30.0, 0.95).cut(IMAGES[label.view])
        whole = torch.from_numpy(crop.image).permute(2, 0, 1)[None].double()
        shown = turn_by(30.0, 0.95).pictures(whole, SIZE)[0].permute(1, 2, 0)
        # Twice resampled is a little softer; corners are beyond what the crop kept, and reflected.
        middle = (slice(14, -14),) * 2
        off = np.abs(shown.numpy() - cut)[middle]
        assert off.mean() < 0.35 * np.abs(whole[0].permute(1, 2, 0).numpy()[8:-8, 8:-8] - cut)[middle].mean()


@pytest.mark.parametrize("sigma", [0.55, 1.2])
def test_heat_turns_with_the_pixels(sigma):
    random = torch.Generator().manual_seed(1)
    turn = Turn.sample(6, random)
    pixels = SIZE / 2 + 12 * (torch.rand(6, 21, 2, generator=random) - 0.5)
    heat = turn.pictures(heat_target(pixels, CELLS, SIZE, sigma), CELLS, "zeros")
    heat = heat / heat.sum((2, 3), keepdim=True)
    before, after = heat_target(pixels, CELLS, SIZE, sigma), mean_pixels(heat, SIZE)
    start = mean_pixels(before / before.sum((2, 3), keepdim=True), SIZE)
    off = (after - turn.pixels(start, SIZE, SIZE)).norm(dim=-1)
    # A tenth of a cell: cells are wide beside such heat.
    assert off.mean() < 0.1 * SIZE / CELLS
    assert (after - start).norm(dim=-1).mean() > 2 * off.mean()


@pytest.fixture(scope="module")
def crops() -> Tensor:
    """(24, 64, 64, 3) crops of real frames' noise and shapes."""
    images = torch.stack([torch.from_numpy(crop.image[8:-8, 8:-8]) for _, _, crop in crops_of("right")])
    return images[:24]


def test_every_crop_is_changed_and_the_seed_decides_how(crops):
    def changed(seed: int) -> tuple[Tensor, Turn]:
        augment = Augmenter(seed)
        turn = augment.turn(len(crops))
        return augment(crops, turn), turn

    (once, turn), (again, same), (other, _) = changed(3), changed(3), changed(4)
    assert torch.equal(once, again) and torch.equal(turn.roll, same.roll) and not torch.equal(once, other)
    assert once.shape == crops.shape and once.dtype == torch.uint8
    assert (once.float() - crops.float()).abs().mean((1, 2, 3)).min() > 1


def test_the_same_crops_come_back_otherwise(crops):
    augment = Augmenter(0)
    assert not torch.equal(augment(crops, augment.turn(len(crops))), augment(crops, augment.turn(len(crops))))
