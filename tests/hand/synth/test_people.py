"""Synthetic people: hands on their arms, joints on their hands, and occlusion."""

import pytest
import torch

from hand.model import HandModel
from hand.synth.dress import ARM, HEAD, LEG, TORSO, body_surface, face_colour, sample_outfits, scalp
from hand.synth.people import People, PeopleRenderer, SyntheticPeople

SIZE = 96
COUNT = 12


@pytest.fixture(scope="module")
def people() -> People:
    return People.load("cpu")


@pytest.fixture(scope="module")
def rendered() -> SyntheticPeople:
    return PeopleRenderer(SIZE, seed=4).render(COUNT)


def test_faces_point_outwards_and_use_every_vertex(people):
    assert torch.equal(people.faces.unique(), torch.arange(len(people.rest)))
    a, b, c = (people.bodies[:, people.faces[:, k]] for k in range(3))
    assert ((torch.linalg.cross(a, b) * c).sum((1, 2)) > 0).all()


def test_forearm_frames_are_rotations_and_continue_the_body(people):
    eye = torch.eye(3).expand_as(people.forearms)
    torch.testing.assert_close(people.forearms @ people.forearms.transpose(2, 3), eye, atol=1e-4, rtol=0)
    assert (torch.linalg.det(people.forearms) > 0.99).all()
    mirror = torch.tensor([[1.0, 1, 1], [-1, 1, 1]])
    # The body's forearm is at this distance before the wrist; beyond the wrist there is only the hand, which is not in `bodies`.
    for reach, low, high in ((-0.16, 0.0, 0.09), (0.16, 0.12, 1.0)):
        places = (people.wrists + reach * people.forearms[..., 1]) * mirror
        nearest = torch.cdist(places, people.bodies).amin(2)
        assert low < nearest.median() < high


def test_arms_have_human_lengths(people):
    assert ((people.hand_sizes > 0.075) & (people.hand_sizes < 0.11)).all()
    assert ((people.wrists - people.eyes[:, None]).norm(dim=2) < 1.2).all()


def test_visible_joints_are_on_rendered_pixels(rendered):
    spot = rendered.joints.flatten(1, 2).round().long().clamp(0, SIZE - 1)
    alpha = rendered.layers[torch.arange(COUNT)[:, None], 3, spot[..., 1], spot[..., 0]].unflatten(1, (2, 21))
    assert rendered.visible.sum() > 100
    assert alpha[rendered.visible > 0].mean() > 0.93


def test_joints_outside_the_image_are_not_visible(rendered):
    outside = ((rendered.joints < -1) | (rendered.joints > SIZE)).any(-1)
    assert not rendered.visible[outside].any()


def test_wearers_of_the_camera_have_no_head_and_light_is_finite(rendered):
    worn = rendered.heads[:, 0] < -1000
    assert worn.any() and not worn.all()
    assert rendered.layers.isfinite().all()
    assert rendered.layers[:, :3][rendered.layers[:, 3:].expand(-1, 3, -1, -1) == 0].abs().max() == 0


def test_people_are_deterministic_by_seed(rendered):
    again, other = (PeopleRenderer(SIZE, seed).render(COUNT) for seed in (4, 5))
    assert torch.equal(again.layers, rendered.layers)
    assert torch.equal(again.joints, rendered.joints)
    assert not torch.equal(other.joints, rendered.joints)


def test_clothes_end_at_sleeve_and_hem_and_never_cover_the_head():
    outfits = sample_outfits(1, 2, torch.Generator().manual_seed(0), torch.device("cpu"))
    joints = HandModel.load().joints
    low = torch.tensor([[0.2, 0.0, -0.6]]).expand(6, 3)
    parts = torch.tensor([ARM, ARM, LEG, LEG, TORSO, HEAD])
    sleeve, hem = outfits.sleeve.item(), outfits.hem.item()
    limb = torch.tensor([sleeve - 0.05, sleeve + 0.05, hem - 0.05, hem + 0.05, 0.0, -1.0])
    surface = body_surface(outfits, torch.zeros(6, dtype=torch.long), low, parts, limb, joints)
    assert surface.skin.tolist() == [0, 1, 0, 1, 0, 1]


def test_eyes_are_darker_than_cheeks_and_hair_grows_above_and_behind():
    skin = torch.full((4, 3), 0.4)
    crown, nape, forehead, cheek = [0.0, 0.0, 0.11], [0.0, 0.12, 0.0], [0.0, -0.01, 0.035], [0.04, -0.01, -0.04]
    assert scalp(torch.tensor([crown, nape, forehead, cheek])).tolist() == [1, 1, 0, 0]
    chances = torch.tensor([[0.2, 0.5, 0.9, 0.9, 0.9]]).expand(4, -1)
    places = torch.tensor([[0.031, 0.0, 0.0], [-0.031, 0.0, 0.0], cheek, crown])
    left, right, plain, hair = face_colour(skin, places, chances).mean(1).tolist()
    assert left == pytest.approx(right)
    assert left < 0.5 * plain
    assert plain == pytest.approx(0.4, rel=0.05)
    assert hair < 0.1
