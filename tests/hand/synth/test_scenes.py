"""Synthetic scenes, and the cut-out hands and people in them."""

import pytest
import torch

from hand.synth.backgrounds import Backgrounds
from hand.synth.cutouts import PEOPLE_SIZE, SIZE, CutOutBank, PeopleBank
from hand.synth.placement import Placement, resample, turn_of
from hand.synth.props import Canvas
from hand.synth.scenes import HANDS, SceneRenderer, Scenes


@pytest.fixture(scope="module")
def bank() -> CutOutBank:
    return CutOutBank(24, seed=3)


@pytest.fixture(scope="module")
def scenes(bank: CutOutBank) -> Scenes:
    return SceneRenderer(64, bank, Backgrounds.load(None, "train"), seed=5).render(96)


def test_occluded_hands_need_not_be_found() -> None:
    bank, places = CutOutBank(4, seed=3), Backgrounds.load(None, "train")
    bank.free[:] = 1.0
    free = SceneRenderer(64, bank, places, 5).render(48)
    bank.free[:] = 0.5
    half = SceneRenderer(64, bank, places, 5).render(48)
    bank.free[:] = 0.1
    hidden = SceneRenderer(64, bank, places, 5).render(48)
    assert torch.equal(half.shown, free.shown)
    assert free.shown.any() and not hidden.shown.any()
    assert hidden.unsure[free.shown].all()


def covered(bank: CutOutBank, pixels: torch.Tensor) -> torch.Tensor:
    """Coverage of the bank's cut-outs at pixels (N, J, 2)."""
    spot = pixels.round().long().clamp(0, SIZE - 1)
    return bank.levels[0][torch.arange(len(bank))[:, None], 3, spot[..., 1], spot[..., 0]].float()


def test_joints_of_a_cut_out_are_on_its_hand(bank: CutOutBank) -> None:
    assert ((bank.joints > 0) & (bank.joints < SIZE - 1)).all()
    assert covered(bank, bank.joints).mean() > 0.95


def test_arm_ends_are_on_the_arm_at_its_end(bank: CutOutBank) -> None:
    arms = bank.arms
    before = covered(bank, (arms.place - 0.15 * arms.radius[:, None] * arms.direction)[:, None])
    beyond = covered(bank, (arms.place + 2.5 * arms.radius[:, None] * arms.direction)[:, None])
    assert before.mean() > 0.9
    # Where the forearm leaves the cut-out, its border pixels still show it.
    assert beyond[arms.elbow].mean() < 0.5
    torch.testing.assert_close(arms.direction.norm(dim=1), torch.ones(len(bank)))


def test_coarser_levels_have_the_same_mean_light(bank: CutOutBank) -> None:
    for level in bank.levels[1:]:
        torch.testing.assert_close(level.float().mean((2, 3)), bank.levels[0].float().mean((2, 3)), atol=2e-3, rtol=1e-2)


def test_renewing_replaces_only_the_oldest_cut_outs() -> None:
    bank = CutOutBank(4, seed=1)
    before = bank.joints.clone()
    bank.renew(1)
    assert (bank.joints[0] != before[0]).any()
    assert torch.equal(bank.joints[1:], before[1:])


def test_to_cutout_inverts_to_scene() -> None:
    generator = torch.Generator().manual_seed(0)
    placement = Placement(*(torch.randn(5, *shape, generator=generator) * 9 for shape in ((2, 2), (2,), (2,))))
    pixels = torch.rand(5, 7, 2, generator=generator) * 100
    torch.testing.assert_close(placement.to_cutout(placement.to_scene(pixels)), pixels, atol=1e-2, rtol=1e-3)


def test_turn_of_is_a_similarity_mirrored_on_request() -> None:
    generator = torch.Generator().manual_seed(1)
    angle, scale, mirrored = torch.randn(6, generator=generator), torch.rand(6, generator=generator) + 0.5, torch.arange(6) < 3
    turn = turn_of(angle, scale, mirrored)
    even = torch.eye(2) * scale[:, None, None] ** 2
    torch.testing.assert_close(turn @ turn.transpose(1, 2), even)
    torch.testing.assert_close(torch.linalg.det(turn), scale**2 * torch.where(mirrored, -1.0, 1.0))


def test_paint_occludes_only_the_joints_below_it() -> None:
    canvas = Canvas(torch.zeros(2, 3, 16, 16), hands=1)
    joints = torch.full((2, 21, 2), 4.0)
    joints[:, 0] = 12.0
    joints[:, 1] = -5.0
    canvas.add_hand(torch.arange(2), 0, joints)
    assert canvas.visible[:, 0, 0].tolist() == [1, 1]
    assert canvas.visible[:, 0, 1].tolist() == [0, 0]
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :8, :8] = 1
    canvas.paint(torch.tensor([1]), torch.ones(1, 3, 1, 1), mask)
    assert canvas.visible[0, 0, 2:].tolist() == [1] * 19
    assert canvas.visible[1, 0, 2:].tolist() == [0] * 19
    assert canvas.visible[1, 0, 0] == 1
    assert canvas.light[0].sum() == 0
    assert canvas.light[1].sum() == 3 * 64


def test_scenes_have_left_and_right_hands_and_some_have_none(scenes: Scenes) -> None:
    assert scenes.images.shape == (96, 64, 64, 3)
    assert scenes.shown.shape == (96, HANDS)
    assert 0.3 < scenes.left[scenes.shown].float().mean() < 0.7
    assert (~(scenes.shown | scenes.unsure)).all(1).any()
    assert scenes.shown.sum(1).max() >= 2


def test_shown_hands_have_their_centre_in_the_image(scenes: Scenes) -> None:
    assert not (scenes.shown & scenes.unsure).any()
    assert ((scenes.centres[scenes.shown] > 0) & (scenes.centres[scenes.shown] < 63)).all()
    sizes = scenes.sizes[scenes.shown]
    assert sizes.min() < 16
    assert sizes.max() > 32


def test_scenes_are_deterministic_by_seed(bank: CutOutBank) -> None:
    places = Backgrounds.load(None, "held_out")
    first, again, other = (SceneRenderer(64, bank, places, seed).render(4) for seed in (1, 1, 2))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.centres, again.centres)
    assert not torch.equal(first.images, other.images)


@pytest.fixture(scope="module")
def people() -> PeopleBank:
    return PeopleBank(12, seed=8)


def test_people_have_a_left_and_a_right_hand(bank: CutOutBank, people: PeopleBank) -> None:
    scenes = SceneRenderer(64, bank, Backgrounds.load(None, "train"), 5, people, people_share=1.0).render(96)
    assert (scenes.left[:, 0] != scenes.left[:, 1]).all()
    assert 0.3 < scenes.left[:, 0].float().mean() < 0.7
    assert scenes.shown[:, :2].any(1).float().mean() > 0.4
    assert not (scenes.shown | scenes.unsure)[:, 2].any()


def test_without_a_bank_of_people_none_are_rendered(bank: CutOutBank, people: PeopleBank) -> None:
    places = Backgrounds.load(None, "train")
    none, never = SceneRenderer(64, bank, places, 5), SceneRenderer(64, bank, places, 5, people, people_share=0.0)
    assert torch.equal(none.render(8).images, never.render(8).images)


def test_resampling_by_the_identity_changes_nothing(people: PeopleBank) -> None:
    eye, middle = torch.eye(2).expand(3, 2, 2), torch.full((3, 2), (PEOPLE_SIZE - 1) / 2)
    pick = torch.tensor([4, 0, 7])
    same = resample(people.layers, pick, Placement(eye, middle, middle), PEOPLE_SIZE, PEOPLE_SIZE)
    torch.testing.assert_close(same, people.layers[pick].float(), atol=2e-3, rtol=0)


def test_renewing_replaces_only_the_oldest_people() -> None:
    people = PeopleBank(3, seed=1)
    before = people.joints.clone()
    people.renew(1)
    assert (people.joints[0] != before[0]).any()
    assert torch.equal(people.joints[1:], before[1:])
