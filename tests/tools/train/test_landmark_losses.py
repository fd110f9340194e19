"""The losses of MediaPipe 3D: a hand fits its own projection at any place and size; expected errors fall on true ones."""

import numpy as np
import pytest
import torch

from hand.camera import PinholeCamera
from hand.joints import JOINTS
from runtime.estimators.crop import CropCamera
from runtime.networks.mediapipe_3d import MediaPipe3D, Output3D
from runtime.networks.mediapipe_landmarks import LandmarkOutput
from tests.runtime.hands import flexed_hand
from tools.evaluate.metrics import aligned_errors
from tools.train.frozen_bank import FrozenCrops, frame_from_crop
from tools.train.landmark_losses import bone_misfits, fit_expected_error, landmark_loss, looks_apart, misfits, usual_bones

HANDS = torch.from_numpy(flexed_hand()).float() * torch.tensor([1.0, 1.0, 0.5])[None, None] + torch.zeros(6, 1, 1)
SAME = torch.eye(3).expand(6, 3, 3)
PIXELS = HANDS[..., :2] * 40 + torch.tensor([100.0, 80.0])


def output(joints: torch.Tensor, pixels: torch.Tensor, presence: torch.Tensor | None = None) -> Output3D:
    n = len(joints)
    screen = torch.cat([pixels, torch.zeros(n, JOINTS, 1)], 2).flatten(1)
    presence = torch.ones(n) if presence is None else presence
    return Output3D(LandmarkOutput(screen, presence, presence, joints.flatten(1)), joints, torch.zeros(n, 2 * JOINTS))


def test_a_hand_fits_its_pixels_at_any_place_and_size_and_no_others():
    assert misfits(HANDS, PIXELS).max() < 1e-5
    assert misfits(HANDS, PIXELS * 3 - 50).max() < 1e-5
    bent = PIXELS.clone()
    bent[:, 8] += 20
    assert misfits(HANDS, bent)[:, 8].min() > 0.3


def test_bones_of_their_usual_lengths_cost_nothing():
    assert bone_misfits(HANDS, usual_bones(HANDS)).max() < 1e-5
    assert bone_misfits(1.1 * HANDS, usual_bones(HANDS)).mean().item() == pytest.approx(np.log(1.1), rel=1e-3)


def test_looks_agree_where_they_see_one_hand_turned_or_mirrored():
    camera = PinholeCamera.from_fov(640, 480)
    joints, turns = [], []
    for roll_deg, mirror in ((0.0, False), (30.0, False), (-20.0, True)):
        crop = CropCamera.at(camera, np.array([500.0, 100.0]), 200.0, 64, mirror=mirror, roll_deg=roll_deg)
        joints.append(torch.from_numpy(crop.joints_in_crop(flexed_hand())))
        turns.append(torch.from_numpy(frame_from_crop(crop)))
    for first, second in ((0, 1), (0, 2)):
        pair = [first, second]
        apart = looks_apart(torch.stack([joints[n] for n in pair]), torch.stack([turns[n] for n in pair]))
        assert apart.shape == (1, JOINTS) and apart.max() < 1e-6
        assert looks_apart(torch.stack([joints[0], joints[0]]), torch.stack([turns[n] for n in pair])).max() > 0.1


def test_drawn_hands_teach_which_way_depth_goes_and_photographs_do_not():
    unknown = torch.full_like(HANDS, torch.nan)
    drawn, shown = FrozenCrops(HANDS, HANDS, PIXELS, SAME), FrozenCrops(HANDS, unknown, unknown[..., :2], SAME)
    bones, behind = usual_bones(HANDS), HANDS * torch.tensor([1.0, 1.0, -1.0])
    for crops, taught in ((drawn, True), (shown, False)):
        (right, _), (wrong, figures) = (landmark_loss(output(hands, PIXELS), crops, bones) for hands in (HANDS, behind))
        assert right.item() == pytest.approx(0, abs=1e-5) and (wrong.item() > 0.05) == taught
        assert ("misfit" in figures) != taught


def test_expected_errors_become_the_mean_errors_and_rank_by_presence():
    torch.manual_seed(0)
    presence = torch.where(torch.arange(400) % 2 == 0, 0.999, 0.7)
    joints = HANDS[:1].expand(400, -1, -1)
    size = torch.where(presence > 0.9, 0.1, 0.3)[:, None, None]
    truth = joints + size * torch.nn.functional.normalize(torch.randn(400, JOINTS, 3), dim=-1)
    network = MediaPipe3D(hidden=4)
    found = output(joints, PIXELS[:1].expand(400, -1, -1), presence)
    fit_expected_error(network, found, FrozenCrops(joints, truth, PIXELS[:1].expand(400, -1, -1), torch.eye(3).expand(400, 3, 3)))
    expected = network.expected_error(joints, presence).exp().detach()[:, 1:JOINTS]
    assert expected[::2].mean().item() == pytest.approx(0.1, rel=0.05)
    assert expected[1::2].mean().item() == pytest.approx(0.3, rel=0.05)


def test_alignment_forgives_place_size_and_rotation_alone():
    hand = flexed_hand()
    turned = 1.7 * hand[:, [1, 0, 2]] * [1, -1, 1] + 3.0
    assert aligned_errors(turned[None], hand[None]).max() < 1e-9
    assert aligned_errors(hand[None] * [1, 1, -1], hand[None]).mean() > 0.01
