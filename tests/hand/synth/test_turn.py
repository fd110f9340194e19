"""Rotation and zoom of stored crops apply to image, joints and pixels alike."""

from dataclasses import fields, replace

import pytest
import torch
from torch.nn.functional import avg_pool2d

from adapt.core.targets import heat_target
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import SURFACE_CELL, CropRenderer, SyntheticCrops
from hand.synth.turn import BORDER, turned
from tests.hand.pinhole import reprojection_error_px

SIZE = 32


@pytest.fixture(scope="module")
def crops() -> SyntheticCrops:
    """24 crops of 32 px with a border of 8 px."""
    return CropRenderer(SIZE, Backgrounds.load(None, "train"), seed=7, border=BORDER).render(24)


@pytest.fixture(scope="module")
def batch(crops) -> SyntheticCrops:
    return turned(crops, SIZE, torch.Generator().manual_seed(3))


def spots(crops: SyntheticCrops, joint: int) -> SyntheticCrops:
    """Black images with a soft white spot at one joint."""
    side = crops.images.shape[1]
    spot = heat_target(crops.pixels[:, joint, None], side, side, 1.5)[:, 0] * 200
    return replace(crops, images=spot[..., None].expand(-1, -1, -1, 3).to(torch.uint8))


def test_joints_and_pixels_rotate_together(crops, batch):
    # The rotated joints project to the rotated pixels.
    assert reprojection_error_px(batch.joints, batch.pixels, SIZE).max() < 1e-2
    torch.testing.assert_close(batch.joints.norm(dim=2), crops.joints.norm(dim=2))
    torch.testing.assert_close(batch.joints[..., 2], crops.joints[..., 2])
    unturned = reprojection_error_px(crops.joints, batch.pixels, SIZE)
    assert unturned.median() > 0.5


@pytest.mark.parametrize("joint", [0, 9, 12])
def test_the_image_rotates_with_its_pixels(crops, joint):
    after = turned(spots(crops, joint), SIZE, torch.Generator().manual_seed(3))
    light = after.images[..., 0].double()
    grid = torch.arange(SIZE).double()
    mass = light.sum((1, 2))
    centre = torch.stack([(light.sum(1) * grid).sum(1), (light.sum(2) * grid).sum(1)], 1) / mass[:, None]
    place = after.pixels[:, joint].double()
    # Spots at the border are truncated, and some images are black beyond the frame's edge.
    whole = ((place > 5) & (place < SIZE - 6)).all(1) & (light.amax((1, 2)) > 120)
    assert whole.sum() > 8
    off = (centre - place).norm(dim=1)[whole]
    assert off.median() < 0.15 and (off < 0.5).float().mean() > 0.8


def test_surface_maps_rotate_with_the_image(crops):
    # The coverage rotated at the maps' resolution equals that of the rotated image.
    bright = crops.surface[:, :1].float().repeat_interleave(SURFACE_CELL, 2).repeat_interleave(SURFACE_CELL, 3)
    shown = replace(crops, images=(bright * 200).permute(0, 2, 3, 1).expand(-1, -1, -1, 3).to(torch.uint8))
    after = turned(shown, SIZE, torch.Generator().manual_seed(3))
    assert after.surface.shape == (24, 5, SIZE // SURFACE_CELL, SIZE // SURFACE_CELL)
    seen = avg_pool2d(after.images[..., :1].permute(0, 3, 1, 2).float() / 200, SURFACE_CELL)
    lit = seen.flatten(1).mean(1) > 0.1
    assert lit.sum() > 12
    assert torch.corrcoef(torch.stack([seen[lit].flatten(), after.surface[lit, :1].flatten()]))[0, 1] > 0.9


def test_each_call_rotates_the_same_hands_differently(crops, batch):
    again = turned(crops, SIZE, torch.Generator().manual_seed(3))
    other = turned(crops, SIZE, torch.Generator().manual_seed(4))
    assert torch.equal(again.images, batch.images) and torch.equal(again.pixels, batch.pixels)
    assert not torch.equal(other.pixels, batch.pixels)
    assert batch.images.shape == (24, SIZE, SIZE, 3)
    for name in {f.name for f in fields(SyntheticCrops)} - {"images", "joints", "pixels", "focal", "surface"}:
        assert getattr(batch, name) is getattr(crops, name)
