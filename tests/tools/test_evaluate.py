"""The figures of an evaluation are those of its hands."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hand.backgrounds import Backgrounds
from hand.draw import Drawer, DrawnCrops
from hand.joints import JOINT_NAMES
from runtime.network import Hands
from tools.evaluate import SEED, Scores, groups, held_out_hands, rank_correlation, report, score
from tools.losses import HAND_MM
from tools.train import HELD_OUT_SEED

SIZE, COUNT = 32, 60


@pytest.fixture(scope="module")
def places() -> Backgrounds:
    return Backgrounds.load(None, "held_out")


@pytest.fixture(scope="module")
def hands(places) -> DrawnCrops:
    return held_out_hands(COUNT, SIZE, places)


def scores(hands: DrawnCrops) -> Scores:
    """Errors that no two joints share."""
    n = len(hands.joints)
    error_mm = np.arange(n * 21, dtype=float).reshape(n, 21)
    return Scores(error_mm, error_mm / 100, 1 / (1 + error_mm))


class Answers(torch.nn.Module):
    """A network that knows the answers to images in their order, but for a shift in hand and picture."""

    def __init__(self, hands: DrawnCrops, shift: float):
        super().__init__()
        self.hands, self.shift, self.asked = hands, shift, 0

    def forward(self, images: torch.Tensor) -> Hands:
        mine = slice(self.asked, self.asked + len(images))
        self.asked += len(images)
        joints = self.hands.joints[mine] + torch.tensor([0.0, self.shift, 0.0])
        pixels = self.hands.pixels[mine] + torch.tensor([0.0, 10 * self.shift])
        return Hands(joints, pixels, torch.ones(len(images), 21), torch.zeros(len(images), 21, 1, 1))


def test_a_rising_relation_correlates_whatever_its_shape():
    x = np.random.default_rng(0).normal(size=(30, 21))
    assert rank_correlation(x, np.exp(3 * x)) == pytest.approx(1)
    assert rank_correlation(x, -(x**3)) == pytest.approx(-1)
    assert abs(rank_correlation(x, np.random.default_rng(1).normal(size=(30, 21)))) < 0.15


def test_hands_are_as_many_as_asked_for_and_not_those_of_training(hands, places):
    assert len(hands.images) == len(hands.joints) == COUNT
    assert hands.present.all() and not hands.mirrored.any()
    validated = Drawer(SIZE, places, HELD_OUT_SEED).draw(4)
    assert SEED > HELD_OUT_SEED
    assert (torch.cdist(validated.joints.flatten(1), hands.joints.flatten(1)) > 1e-3).all()


@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_errors_are_in_millimetres_of_the_hand_and_pixels_of_the_crop(hands, shift):
    result = score(Answers(hands, shift), hands)
    np.testing.assert_allclose(result.error_mm, np.full((COUNT, 21), shift * HAND_MM), atol=1e-4)
    np.testing.assert_allclose(result.error_px, np.full((COUNT, 21), 10 * shift), atol=1e-4)


def test_every_hand_is_in_one_group_of_each_question(hands):
    for question, answers in groups(hands).items():
        np.testing.assert_array_equal(np.sum(list(answers.values()), axis=0), np.ones(COUNT), err_msg=question)


def test_groups_hold_what_they_name(hands):
    first = replace(hands, images=hands.images[..., :1].expand(-1, -1, -1, 3))
    assert groups(first)["picture"]["grey"].all()
    assert groups(replace(hands, visible=torch.zeros_like(hands.visible)))["joints hidden"]["> 60 %"].all()
    assert groups(replace(hands, facing=-hands.facing))["camera sees"]["palm"].sum() == groups(hands)["camera sees"]["back"].sum()


def test_the_report_tells_its_count_its_figures_and_every_joint(hands):
    result = scores(hands)
    text = report(hands, result, SIZE)
    assert f"{COUNT} held-out hands" in text
    assert f"mean {result.error_mm.mean():.1f} mm" in text and f"of {SIZE}" in text
    assert "coefficient of 1.00" in text
    assert all(name in text for name in JOINT_NAMES[1:])
