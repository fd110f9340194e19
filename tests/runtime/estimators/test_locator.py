"""The locator: input scaling, decoding of maps, and detections of the shipped weights."""

from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from capture.views import VIEWS
from hand.errors import UserError
from hand.synth.backgrounds import Backgrounds
from hand.synth.cutouts import CutOutBank
from hand.synth.scenes import SceneRenderer, Scenes
from runtime.estimators.locator import (
    STRIDE,
    FoundHand,
    LocatorMaps,
    LocatorNetwork,
    find_peaks,
    letter_box,
    load_locator,
    merge_searches,
)
from runtime.networks.network import fuse_batch_norms, normalise
from runtime.networks.weights import Manifest, save_tensors
from tests.paths import SHARED
from tools.evaluate.locator import SEARCH_SCORE, clip_pictures, find_drawn, score_drawn, score_real, still_pictures
from tools.train.locator_losses import LocatorStudent, locator_loss, targets
from tools.train.scene_pool import varied


def maps_of(scenes: Scenes) -> LocatorMaps:
    """The maps of a perfect network for scenes."""
    heat, away, _ = targets(scenes)
    target, owner = heat.max(1, keepdim=True)

    def of_owner(values: torch.Tensor) -> torch.Tensor:
        return values[:, :, None, None].expand(-1, -1, *target.shape[2:]).gather(1, owner)

    offset = away.gather(1, owner[..., None].expand(-1, -1, -1, -1, 2))[:, 0].permute(0, 3, 1, 2)
    size = of_owner(scenes.sizes.clamp_min(1) / STRIDE).log()
    return LocatorMaps(target.clamp(1e-4, 1 - 1e-4).logit(), of_owner(scenes.left.float()) * 2 - 1, size, offset)


def joint_maps_of(scenes: Scenes) -> torch.Tensor:
    """Where the joints of the hand around each cell are."""
    heat, _, _ = targets(scenes)
    joints = ((scenes.joints - scenes.centres[:, :, None]) / scenes.sizes[..., None, None].clamp_min(1)).flatten(2)
    owner = heat.argmax(1)
    return joints[torch.arange(len(joints))[:, None, None], owner].permute(0, 3, 1, 2)


def one_hand(centre: tuple[float, float], size: float, left: bool = False, side: int = 128) -> Scenes:
    return Scenes(
        torch.zeros(1, side, side, 3, dtype=torch.uint8),
        torch.tensor([[centre]]),
        torch.tensor(centre).expand(1, 1, 21, 2),
        torch.tensor([[size]]),
        torch.tensor([[left]]),
        torch.tensor([[True]]),
        torch.tensor([[False]]),
    )


@pytest.fixture(scope="module")
def drawn() -> Scenes:
    return SceneRenderer(96, CutOutBank(24, seed=2_000_000), Backgrounds.load(None, "held_out"), seed=2_000_000).render(48)


@pytest.mark.parametrize("centre", [(63.5, 63.5), (3.0, 120.2), (88.1, 40.0)])
@pytest.mark.parametrize("left", [False, True])
def test_peak_decodes_to_centre_size_and_side(centre: tuple[float, float], left: bool) -> None:
    [[found]] = find_peaks(maps_of(one_hand(centre, 37.0, left)), 0.3)
    assert found.centre == pytest.approx(centre, abs=1e-3)
    assert found.size == pytest.approx(37.0, rel=1e-4)
    assert found.left == left


def test_weaker_peaks_inside_a_box_are_suppressed() -> None:
    maps = maps_of(one_hand((64.0, 64.0), 60.0))
    maps.centre[0, 0, 8, 10] = 1.0
    maps.offset[0, :, 8, 10] = 0
    assert len(find_peaks(maps, 0.3)[0]) == 1
    maps.centre[0, 0, 2, 2] = 1.0
    maps.offset[0, :, 2, 2] = 0
    best, other = find_peaks(maps, 0.3)[0]
    assert best.score > other.score
    assert find_peaks(maps, 0.8)[0] == [best]


def test_agreeing_searches_raise_the_score() -> None:
    hand, again = FoundHand((40.0, 50.0), 30.0, True, 0.8), FoundHand((43.0, 50.0), 36.0, False, 0.4)
    alone, small = FoundHand((90.0, 20.0), 30.0, False, 0.7), FoundHand((40.0, 50.0), 12.0, False, 0.3)
    both, only, other = merge_searches([[hand, alone], [again, small]])
    assert both.score == pytest.approx(0.6) and both.left
    assert both.centre == pytest.approx((41.0, 50.0))
    assert 30 < both.size < 36
    for one, wanted in ((only, alone), (other, small)):
        assert (one.centre, one.size) == (pytest.approx(wanted.centre), pytest.approx(wanted.size))
        assert one.score == pytest.approx(wanted.score / 2)


def test_merged_searches_contain_a_hand_once() -> None:
    hand = FoundHand((40.0, 50.0), 30.0, True, 0.8)
    near = hand._replace(score=0.6)
    assert [round(one.score, 3) for one in merge_searches([[hand, near], []])] == [0.4, 0.3]
    assert merge_searches([[], []]) == []


def test_the_loss_of_perfect_maps_is_nearly_nothing(drawn: Scenes) -> None:
    perfect, joints = maps_of(drawn), joint_maps_of(drawn)
    least, _ = locator_loss(perfect._replace(left=perfect.left * 20), joints, drawn)
    maps, points = LocatorStudent(8)(normalise(drawn.images))
    untaught, _ = locator_loss(maps, points, drawn)
    assert least < 0.1 * untaught


@pytest.mark.parametrize("seed", range(6))
def test_augmented_scenes_keep_their_hands(seed: int) -> None:
    scenes = one_hand((40.0, 56.0), 24.0)
    scenes.images[0, 56, 40] = 255
    turned = varied(scenes, np.random.default_rng(seed))
    if turned.shown.all():
        x, y = turned.centres[0, 0].round().long().tolist()
        assert (turned.images[0, y, x] == 255).all()
    else:
        assert turned.images.shape[1] < 128
        assert turned.unsure.all()


@pytest.mark.parametrize("shape", [(720, 720), (480, 640), (1080, 1920), (640, 480), (90, 160), (50, 51)])
def test_a_letter_box_keeps_the_shape_and_can_be_undone(shape: tuple[int, int]) -> None:
    image = np.zeros((*shape, 3), np.uint8)
    image[:, shape[1] // 2 :] = 200
    boxed, scale = letter_box(image, 128)
    assert boxed.shape[0] % 32 == boxed.shape[1] % 32 == 0
    assert max(shape) * scale == pytest.approx(128)
    edge = (shape[1] // 2 - 0.5 + 0.5) * scale - 0.5
    assert boxed[2, max(0, int(edge) - 1)].max() < 100 < boxed[2, int(edge) + 2].min()


def test_folding_the_batch_norms_changes_nothing() -> None:
    network = LocatorNetwork(8)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    images = torch.rand(1, 3, 64, 96) - 0.5
    with torch.no_grad():
        expected = network.eval()(images)
        for got, wanted in zip(fuse_batch_norms(network)(images), expected, strict=True):
            torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-3)


def test_the_weights_that_ship_find_drawn_hands(drawn: Scenes) -> None:
    score = score_drawn(find_drawn(load_locator().network, drawn), drawn)
    assert score.found > 0.5
    assert score.false_per_frame < 0.8


def test_a_box_grows_with_the_frame(drawn: Scenes) -> None:
    locate = load_locator()
    image = drawn.images[int(drawn.shown.sum(1).argmax())].numpy()
    small = locate(image, "right")
    large = locate(cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST), "right")
    assert [box.view for box in small] == ["right"] * len(small)
    for one, four in zip(small[:1], large[:1], strict=True):
        assert four.size_px == pytest.approx(4 * one.size_px, rel=0.02)
        assert (np.array(four.centre_px) + 0.5) / 4 - 0.5 == pytest.approx(np.array(one.centre_px), abs=0.5)


def test_no_hand_is_found_on_a_plain_wall() -> None:
    assert load_locator()(np.full((480, 640, 3), 170, np.uint8), "left") == []


def test_missing_or_foreign_weights_raise(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        load_locator(tmp_path / "nowhere.safetensors")
    other = tmp_path / "other.safetensors"
    fields = {"root": 0, "crop_size": 128, "map_size": 16, "axes": "frame", "training_data": "none"}
    save_tensors(other, LocatorNetwork(8).state_dict(), Manifest(architecture="detnet-lite", **fields))
    with pytest.raises(UserError, match="detnet-lite"):
        load_locator(other)
    save_tensors(other, LocatorNetwork(8).state_dict(), Manifest(architecture="locator", **fields))
    with pytest.raises(UserError, match="LocatorNetwork"):
        load_locator(other)
    save_tensors(other, LocatorNetwork(8).state_dict(), Manifest(architecture="locator", options={"depth": 3}, **fields))
    with pytest.raises(UserError, match="depth"):
        load_locator(other)


@pytest.mark.skipif(not (SHARED / "clips").is_dir(), reason="the shared clips are not here")
def test_real_hands_are_found_with_few_false_positives() -> None:
    locate = load_locator(min_score=SEARCH_SCORE)
    stills = score_real(still_pictures(SHARED / "clips/stills"), locate)
    assert stills.best >= 0.9
    for view in VIEWS:
        clip = score_real(islice(clip_pictures(SHARED / "clips/two_webcams", view), 0, None, 8), locate)
        assert clip.best >= 0.7
        assert clip.any >= 0.85
        assert clip.false_per_frame <= 1.0
