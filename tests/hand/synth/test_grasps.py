"""Held objects are in contact with the hand; others are in front of it or behind it."""

import pytest
import torch

from hand.model import HandModel
from hand.prior import sample_poses
from hand.synth import grasps
from hand.synth.aim import random_rotations
from hand.synth.grasps import ObjectSampler, hand_spheres
from hand.synth.objects import SceneObjects

MODEL = HandModel.load()
HANDS, SIDE, FOCAL = 150, 64, 140.0
CPU = torch.device("cpu")


def hands(n: int = HANDS, seed: int = 0) -> torch.Tensor:
    """(n, 21, 3) hands at a distance of 5 unit hands, in all orientations."""
    random = torch.Generator().manual_seed(seed)
    pose, _ = sample_poses(n, random, MODEL)
    joints = MODEL.pose_joints(torch.zeros(n, MODEL.components), pose)
    return joints @ random_rotations(n, random, CPU).mT + torch.tensor([0.0, 0.0, 5.0])


def sampled(joints: torch.Tensor, seed: int = 1) -> SceneObjects:
    return ObjectSampler(torch.Generator().manual_seed(seed), CPU).sample(joints, torch.full((len(joints),), FOCAL), SIDE)


@pytest.fixture(scope="module")
def joints() -> torch.Tensor:
    return hands()


@pytest.fixture(scope="module")
def objects(joints: torch.Tensor) -> SceneObjects:
    return sampled(joints)


def of_slot(objects: SceneObjects, slot: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images that have a body in this slot, and the bodies' rows."""
    image = objects.exists[:, slot].nonzero()[:, 0]
    return image, image * objects.exists.shape[1] + slot


def test_hand_spheres_reach_the_skin():
    balls, radii, _ = hand_spheres(MODEL.joints[None])
    away = torch.cdist(balls[0], MODEL.vertices)
    below = away.amin(1) - radii
    assert below.min() > -0.07, "a ball stands out of the skin"
    assert below.abs().mean() < 0.035


def test_held_objects_touch_the_hand_without_penetration(joints, objects):
    image, rows = of_slot(objects, 0)
    assert 0.6 * grasps.HELD < len(image) / HANDS <= 1.3 * grasps.HELD
    balls, radii, owner = hand_spheres(joints[image])
    room = objects.bodies[rows].distance(balls) - radii
    assert room.amin(1).min() > -0.1
    touched = torch.stack([((room < 0.06) & (owner == part)).any(1) for part in range(6)], 1).sum(1)
    assert (touched >= 2).float().mean() > 0.95
    assert touched.float().mean() > 3


def test_objects_in_front_are_nearer_and_objects_behind_are_farther_than_the_hand(joints, objects):
    for slot, nearer in ((2, True), (3, False), (4, False)):
        image, rows = of_slot(objects, slot)
        assert len(image) > 5
        depth, centre = joints[image, :, 2], objects.bodies.centre[rows, 2]
        assert (centre < depth.amin(1)).all() if nearer else (centre > depth.amax(1)).all()


def test_objects_are_deterministic_by_seed(joints, objects):
    again, other = sampled(joints), sampled(joints, seed=2)
    assert torch.equal(objects.bodies.centre, again.bodies.centre) and torch.equal(objects.exists, again.exists)
    assert not torch.equal(objects.exists, other.exists)


def test_bodies_have_rotations_positive_sizes_and_albedo_below_one(objects):
    turn = objects.bodies.turn
    torch.testing.assert_close(turn @ turn.mT, torch.eye(3).expand_as(turn), atol=1e-4, rtol=0)
    assert (torch.linalg.det(turn) > 0.99).all()
    assert objects.colour.min() > 0 and objects.colour.max() < 1
    assert objects.bodies.half.min() > 0 and objects.bodies.power.min() >= 2


def test_sampling_works_for_a_single_hand(joints):
    for seed in range(20):
        assert sampled(joints[:1], seed).exists.shape[0] == 1
