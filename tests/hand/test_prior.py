"""Sampled poses are anatomically possible and cover all families."""

import math

import pytest
import torch

from hand.joints import FINGERS, TIPS
from hand.model import HandModel, HandPose
from hand.prior import FAMILIES, FLEX_LIMITS, THUMB_FLEX_LIMITS, family_pose, sample_poses

MODEL = HandModel.load()
PARTS = ("flex", "spread", "twist", "wrist")


def sampled(seed: int, n: int) -> tuple[HandPose, torch.Tensor]:
    return sample_poses(n, torch.Generator().manual_seed(seed), MODEL)


def joints_of(family: str) -> torch.Tensor:
    """(21, 3) joints of the mean hand in the family's template pose."""
    return MODEL.pose_joints(torch.zeros(1, MODEL.components), family_pose([list(FAMILIES).index(family)], MODEL))[0]


def straightness(joints: torch.Tensor, finger: str) -> float:
    """Distance from a finger's base to its tip over the length of its bones: 1 for a straight finger."""
    chain = joints[list(FINGERS[finger])]
    return float((chain[3] - chain[0]).norm() / chain.diff(dim=0).norm(dim=1).sum())


@pytest.fixture(scope="module")
def poses() -> tuple[HandPose, torch.Tensor]:
    return sampled(0, 3000)


def test_sampled_angles_are_within_their_limits(poses):
    flex = poses[0].flex.rad2deg()
    for finger in range(5):
        for part, (low, high) in enumerate(FLEX_LIMITS if finger else THUMB_FLEX_LIMITS):
            angles = flex[:, finger, part]
            assert low - 1e-3 <= angles.min() and angles.max() <= high + 1e-3
    assert poses[0].wrist.abs().max() <= math.radians(75) + 1e-5
    assert poses[0].spread[:, 0].abs().max() <= math.radians(32) + 1e-5


def test_all_poses_are_finite(poses):
    assert all(getattr(poses[0], part).isfinite().all() for part in PARTS)
    assert MODEL.pose_joints(torch.zeros(3000, MODEL.components), poses[0]).isfinite().all()


def test_fingers_seldom_collide(poses):
    joints = MODEL.pose_joints(torch.zeros(3000, MODEL.components), poses[0])
    ends = joints[:, [joint for chain in FINGERS.values() for joint in chain[1:]]]
    owner = torch.arange(5).repeat_interleave(3)
    gap = (torch.cdist(ends, ends) + 9 * (owner[:, None] == owner)).amin((1, 2))
    # A finger is about 0.2 thick. Without the choice among candidates there would be seven times as many.
    assert (gap < 0.12).float().mean() < 0.01


def test_families_are_sampled_about_equally_often(poses):
    counts = torch.bincount(poses[1], minlength=len(FAMILIES))
    assert len(counts) == len(FAMILIES)
    assert counts.min() > 3000 / len(FAMILIES) / 3


def test_poses_are_deterministic_by_seed():
    first, again, other = (sampled(seed, 8)[0] for seed in (1, 1, 2))
    for part in PARTS:
        assert torch.equal(getattr(first, part), getattr(again, part))
        assert not torch.equal(getattr(first, part), getattr(other, part))


def test_dip_flexion_follows_pip_flexion(poses):
    # One tendon flexes both; a loaded finger tip is the exception.
    pip, dip = poses[0].flex[:, 1:, 1].flatten(), poses[0].flex[:, 1:, 2].flatten()
    assert torch.corrcoef(torch.stack([pip, dip]))[0, 1] > 0.6


@pytest.mark.parametrize(
    ("family", "raised"),
    [
        ("point", {"index"}),
        ("two", {"index", "middle"}),
        ("three", {"index", "middle", "ring"}),
        ("four", {"index", "middle", "ring", "little"}),
        ("little", {"little"}),
        ("horns", {"index", "little"}),
        ("fist", set()),
        ("open", {"index", "middle", "ring", "little"}),
    ],
)
def test_counting_families_extend_their_fingers(family, raised):
    joints = joints_of(family)
    for finger in list(FINGERS)[1:]:
        share = straightness(joints, finger)
        assert share > 0.95 if finger in raised else share < 0.7, finger


def test_a_fist_curls_the_tips_to_the_palm_and_a_pinch_joins_thumb_and_index():
    assert (joints_of("fist")[list(TIPS[1:])].norm(dim=1) < 0.6 * joints_of("open")[list(TIPS[1:])].norm(dim=1)).all()
    gap = {family: float((joints_of(family)[4] - joints_of(family)[8]).norm()) for family in ("open", "pinch", "pinch_closed")}
    assert gap["pinch"] < 0.3 < gap["open"]
    assert gap["pinch_closed"] < 0.3


def test_families_differ_from_each_other():
    hands = MODEL.pose_joints(torch.zeros(len(FAMILIES), MODEL.components), family_pose(list(range(len(FAMILIES))), MODEL))
    apart = torch.cdist(hands.flatten(1), hands.flatten(1)) + torch.eye(len(FAMILIES))
    assert apart.min() > 0.05
