"""Laws of drawn scenes and of the cut-out hands that they are made of."""

import pytest
import torch

from hand.backgrounds import Backgrounds
from hand.cutouts import SIZE, CutOutBank
from hand.props import Canvas
from hand.scenes import HANDS, Placement, SceneDrawer, Scenes


@pytest.fixture(scope="module")
def bank() -> CutOutBank:
    return CutOutBank(24, seed=3)


@pytest.fixture(scope="module")
def scenes(bank: CutOutBank) -> Scenes:
    return SceneDrawer(64, bank, Backgrounds.load(None, "train"), seed=5).draw(96)


def covered(bank: CutOutBank, pixels: torch.Tensor) -> torch.Tensor:
    """Coverage of the bank's cut-outs at pixels (N, J, 2)."""
    spot = pixels.round().long().clamp(0, SIZE - 1)
    return bank.levels[0][torch.arange(len(bank))[:, None], 3, spot[..., 1], spot[..., 0]].float()


def test_a_cut_outs_joints_lie_on_its_hand_and_within_it(bank: CutOutBank) -> None:
    assert ((bank.joints > 0) & (bank.joints < SIZE - 1)).all()
    assert covered(bank, bank.joints).mean() > 0.95


def test_an_arm_ends_on_the_arm_and_beyond_that_there_is_less_of_it(bank: CutOutBank) -> None:
    arms = bank.arms
    before = covered(bank, (arms.place - 0.15 * arms.radius[:, None] * arms.direction)[:, None])
    beyond = covered(bank, (arms.place + 2.5 * arms.radius[:, None] * arms.direction)[:, None])
    assert before.mean() > 0.9
    # Where the forearm leaves the cut-out, its border pixels still show it.
    assert beyond[arms.elbow].mean() < 0.5
    torch.testing.assert_close(arms.direction.norm(dim=1), torch.ones(len(bank)))


def test_coarser_levels_hold_the_same_light(bank: CutOutBank) -> None:
    for level in bank.levels[1:]:
        torch.testing.assert_close(level.float().mean((2, 3)), bank.levels[0].float().mean((2, 3)), atol=2e-3, rtol=1e-2)


def test_renewing_replaces_the_oldest_alone() -> None:
    bank = CutOutBank(4, seed=1)
    before = bank.joints.clone()
    bank.renew(1)
    assert (bank.joints[0] != before[0]).any()
    assert torch.equal(bank.joints[1:], before[1:])


def test_placing_maps_back() -> None:
    generator = torch.Generator().manual_seed(0)
    placement = Placement(*(torch.randn(5, *shape, generator=generator) * 9 for shape in ((2, 2), (2,), (2,))))
    pixels = torch.rand(5, 7, 2, generator=generator) * 100
    torch.testing.assert_close(placement.to_cutout(placement.to_scene(pixels)), pixels, atol=1e-2, rtol=1e-3)


def test_paint_hides_the_joints_below_it_and_no_others() -> None:
    canvas = Canvas(torch.zeros(2, 3, 16, 16), hands=1)
    joints = torch.full((2, 21, 2), 4.0)
    joints[:, 0] = 12.0
    joints[:, 1] = -5.0
    canvas.add_hand(torch.arange(2), 0, joints)
    assert canvas.seen[:, 0, 0].tolist() == [1, 1]
    assert canvas.seen[:, 0, 1].tolist() == [0, 0]
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :8, :8] = 1
    canvas.paint(torch.tensor([1]), torch.ones(1, 3, 1, 1), mask)
    assert canvas.seen[0, 0, 2:].tolist() == [1] * 19
    assert canvas.seen[1, 0, 2:].tolist() == [0] * 19
    assert canvas.seen[1, 0, 0] == 1
    assert canvas.light[0].sum() == 0
    assert canvas.light[1].sum() == 3 * 64


def test_scenes_have_hands_of_both_sides_and_places_without_any(scenes: Scenes) -> None:
    assert scenes.images.shape == (96, 64, 64, 3)
    assert scenes.shown.shape == (96, HANDS)
    assert 0.3 < scenes.left[scenes.shown].float().mean() < 0.7
    assert (~(scenes.shown | scenes.unsure)).all(1).any()
    assert scenes.shown.sum(1).max() >= 2


def test_hands_to_be_found_have_their_centre_in_the_picture(scenes: Scenes) -> None:
    assert not (scenes.shown & scenes.unsure).any()
    assert ((scenes.centres[scenes.shown] > 0) & (scenes.centres[scenes.shown] < 63)).all()
    sizes = scenes.sizes[scenes.shown]
    assert sizes.min() < 16
    assert sizes.max() > 32


def test_the_same_seed_draws_the_same_scenes(bank: CutOutBank) -> None:
    places = Backgrounds.load(None, "held_out")
    first, again, other = (SceneDrawer(64, bank, places, seed).draw(4) for seed in (1, 1, 2))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.centres, again.centres)
    assert not torch.equal(first.images, other.images)
