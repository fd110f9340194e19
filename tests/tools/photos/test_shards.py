"""A photograph's crops show what it teaches where it is, and training takes them beside drawn hands."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from hand.errors import UserError
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer
from runtime.networks.detnet_lite import DetNetLite
from runtime.networks.weights import load_network
from runtime.types import Side
from tools.photos.shards import CropCutter, TaughtPhotograph, photograph_shard, write_shards
from tools.photos.teacher import Lesson
from tools.train import bank
from tools.train.losses import lite_loss
from tools.train.network import Run, Settings, main
from tools.train.photograph_bank import PhotographBank, darkened, exchanged

SIZE = 32
DOT = (255, 0, 255)
LOOKS = 6


def photograph(side: Side, looks: int = LOOKS) -> TaughtPhotograph:
    """A rendered right or mirrored hand in a picture of 160 px, a dot on each joint."""
    crops = CropRenderer(160, Backgrounds.load(None, "train"), seed=4).render(1)
    image, pixels, joints = crops.images[0].numpy(), crops.pixels[0].numpy().astype(float), crops.joints[0].numpy().astype(float)
    if side == "left":
        image, pixels = np.ascontiguousarray(image[:, ::-1]), np.array([159.0, 0.0]) + pixels * [-1, 1]
        joints = joints * [-1, 1, 1]
    image = (image // 3).astype(np.uint8)
    for x, y in np.round(pixels).astype(int).tolist():
        cv2.circle(image, (x, y), 5, DOT, -1)
    return TaughtPhotograph(image, Lesson(side, pixels, joints, np.linspace(0.1, 0.4, 21)), looks)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    cut = CropCutter(SIZE, 0)
    assert write_shards([photograph("right", 20), photograph("left", 20)], cut, folder, np.random.default_rng(0)) == 40
    return folder


@pytest.mark.parametrize("side", ["right", "left"])
def test_each_crop_shows_the_joints_where_its_pixels_say(side):
    one = photograph(side)
    crops = list(CropCutter(64, 1)(one))
    assert len(crops) == LOOKS and len({crop.camera.focal_px for crop in crops}) == LOOKS
    for crop in crops:
        within = ((crop.pixels > 1) & (crop.pixels < 78)).all(1)
        x, y = np.round(crop.pixels[within]).astype(int).T
        # Magenta: red and blue far above green.
        colours = crop.image[y, x].astype(int)
        assert within.sum() > 15 and (colours[:, [0, 2]].min(1) - colours[:, 1] > 90).mean() > 0.9
        # A right hand, whichever it was: the same one but for the small turn of the crop's camera about its axis and to the hand.
        right = photograph("right").lesson.joints
        np.testing.assert_allclose(np.linalg.norm(crop.joints, axis=1), np.linalg.norm(right, axis=1), atol=1e-4)
        assert np.linalg.det(np.linalg.lstsq(right, crop.joints, rcond=None)[0]) == pytest.approx(1, abs=1e-3)


def test_pixels_count_fully_and_depth_as_the_teacher_is_sure():
    shard = photograph_shard(list(CropCutter(64, 1)(photograph("right"))))
    assert (shard.weight == 1).all() and shard.taught.all()
    assert (shard.weight_3d[:, 1:] < shard.weight_3d[:, :-1]).all() and shard.weight_3d[0, 0] == pytest.approx(0.9)


def test_the_weight_of_depth_leaves_pixels_alone():
    shard = photograph_shard(list(CropCutter(SIZE, 1)(photograph("right"))))
    shard = dataclasses.replace(shard, images=shard.images[:, 8:-8, 8:-8].contiguous(), pixels=shard.pixels - 8)
    torch.manual_seed(0)
    network = untrained()
    losses = []
    for weight in (0.0, 1.0):
        weighed = dataclasses.replace(shard, weight_3d=torch.full_like(shard.weight_3d, weight))
        network.zero_grad()
        total, figures = lite_loss(network, weighed, SIZE)
        total.backward()
        assert network.head.weight.grad is not None
        losses.append((figures, network.head.weight.grad[:, :, 0, 0].clone()))
    (without, gradient), (full, other) = losses
    assert without["3d_mm"] == 0 < full["3d_mm"] and without["2d_px"] == full["2d_px"]
    # Heat maps come first, then delta, location and doubt.
    torch.testing.assert_close(gradient[:21], other[:21], atol=2e-2, rtol=0.2)
    assert (gradient[21:] == 0).all() and (other[21 : 21 * 7].abs().sum() > 0)


def untrained() -> DetNetLite:
    return DetNetLite()


def test_photographs_are_taken_anew_and_some_are_the_wrong_hand(shards):
    taken = [PhotographBank(shards, SIZE, seed, 0.5, torch.device("cpu")).take(200) for seed in (1, 1, 2)]
    assert torch.equal(taken[0].images, taken[1].images) and not torch.equal(taken[0].images, taken[2].images)
    one = taken[0]
    assert 4 < one.mirrored.sum() < 40
    assert (one.weight_3d[one.mirrored] == 1).all() and one.weight_3d[~one.mirrored].max() < 0.5


def test_skin_is_darkened_and_what_is_of_another_colour_is_not():
    light = torch.empty(40, 3, 16, 16)
    light[:] = torch.tensor([0.5, 0.3, 0.2])[:, None, None]
    light[..., :4] = torch.tensor([0.1, 0.2, 0.6])[:, None, None]
    pixels = torch.full((40, 21, 2), 9.0)
    darker = darkened(light, pixels, torch.Generator().manual_seed(0))
    assert (darker[..., 4:] <= light[..., 4:] + 1e-6).all()
    changed = (darker[:, 0, 8, 8] < 0.45).float().mean()
    assert 0.2 < changed < 0.6
    torch.testing.assert_close(darker[..., :4], light[..., :4], atol=0.01, rtol=0.01)


def test_exchanging_red_and_blue_leaves_green():
    light = torch.rand(300, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    other = exchanged(light, torch.Generator().manual_seed(0))
    changed = (other != light).flatten(1).any(1)
    assert 3 < changed.sum() < 40 and torch.equal(other[changed], light[changed].flip(1))


def test_a_run_learns_from_photographs_beside_drawn_hands_and_its_manifest_says_so(tmp_path, shards):
    rendered = bank.Settings(tmp_path / "hands", shards=1, crop_size=SIZE, backgrounds=None)
    bank.save_shard(bank.render_shard(rendered, 0, 20), bank.shard_file(tmp_path / "hands", 0))
    settings = Settings(
        run=tmp_path / "run",
        bank=tmp_path / "hands",
        photos=shards,
        photos_share=0.25,
        pictures=16,
        crop_size=SIZE,
        batch=8,
        backgrounds=None,
        validate=8,
        device="cpu",
    )
    batch = Run(settings).batch()
    assert batch.taught.tolist() == [False] * 6 + [True] * 2 and batch.images.shape[1] == SIZE
    main(settings)
    assert "photographs" in load_network(settings.run / "weights.safetensors")[1].training_data
    with pytest.raises(UserError, match="leave nothing for drawn hands"):
        Run(dataclasses.replace(settings, taught=shards, taught_share=0.8, run=tmp_path / "other"))
