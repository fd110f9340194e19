"""A sleeve widens the arm below its cuff only."""

from dataclasses import replace

import pytest
import torch

from hand.model import HandModel
from hand.prior import sample_poses
from hand.synth.appearance import SLEEVE_NONE, Appearance, sample_appearance
from hand.synth.sleeves import sleeved

MODEL = HandModel.load()
HANDS = 6


@pytest.fixture(scope="module")
def skin() -> torch.Tensor:
    pose, _ = sample_poses(HANDS, torch.Generator().manual_seed(0), MODEL)
    return MODEL.pose(torch.zeros(HANDS, MODEL.components), pose).vertices


def appearance(cuff: float, looseness: float = 0.1) -> Appearance:
    some = sample_appearance(HANDS, torch.Generator().manual_seed(1), torch.device("cpu"))
    return replace(some, sleeve=torch.full((HANDS,), cuff), looseness=torch.full((HANDS,), looseness))


def test_a_bare_arm_is_unchanged(skin):
    assert torch.equal(sleeved(skin, MODEL, appearance(SLEEVE_NONE)), skin)


def test_a_sleeve_widens_the_arm_below_the_cuff_only(skin):
    dressed = sleeved(skin, MODEL, appearance(-0.5))
    bare, arm = MODEL.vertices[:, 1] >= -0.5, MODEL.vertices[:, 1] < -0.6
    assert torch.equal(dressed[:, bare], skin[:, bare])
    moved = (dressed - skin)[:, arm]
    assert moved.norm(dim=-1).min() > 0.06 and moved.norm(dim=-1).max() < 0.14
    # Away from the arm's middle line, all around it.
    middle = skin[:, arm].mean(1, keepdim=True)
    assert ((skin[:, arm] - middle) * moved).sum(-1).gt(0).float().mean() > 0.9
    assert moved.mean(1).norm(dim=-1).max() < 0.05


def test_looser_sleeves_are_wider(skin):
    tight, loose = (sleeved(skin, MODEL, appearance(-0.3, value)) for value in (0.02, 0.2))
    assert ((loose - skin).norm(dim=-1) >= (tight - skin).norm(dim=-1)).all()
