"""The figures of an evaluation are those of its hands, and its page shows them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hand.joints import DEFAULT_HAND_SIZE_MM, JOINT_NAMES
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer
from runtime.engines.engine import Predictions
from runtime.estimators.framing import AROUND_JOINTS, Framing, palm_box
from runtime.networks.detnet_lite import CONFIDENCE_SCALE
from runtime.networks.weights import Manifest
from tools.evaluate.held_out_hands import (
    FOREIGN_SEED,
    OUR_SEED,
    Evaluation,
    HeldOutHands,
    evaluate_kind,
    groups,
    render_held_out,
    score,
    sharpness,
)
from tools.evaluate.network import breakdown, expected_error_mm, headline, headlines, reliability_of, report
from tools.report.table import table
from tools.train.network import HELD_OUT_SEED

SIZE, COUNT = 32, 25
PLACES = Backgrounds.load(None, "held_out")


@pytest.fixture(scope="module")
def hands() -> HeldOutHands:
    return render_held_out("our", COUNT, SIZE, PLACES, AROUND_JOINTS)


class Knowing:
    """An engine that knows the hands' pictures by heart, off by `shift` px across, and nothing of any other picture."""

    description = "knows"
    manifest = Manifest(architecture="detnet-lite", root=0, crop_size=SIZE, map_size=4, axes="crop", training_data="none")

    def __init__(self, hands: HeldOutHands, shift: float = 0.0):
        middle = hands.frames.images[:, SIZE // 2 : -SIZE // 2, SIZE // 2 : -SIZE // 2]
        images = torch.cat([middle, hands.upright.images]).numpy()
        self.joints = torch.cat([hands.frames.joints, hands.upright.joints]).numpy()
        self.pixels = torch.cat([hands.frames.pixels - SIZE / 2, hands.upright.pixels]).numpy() + np.array([shift, 0.0])
        self.number = {image.tobytes(): number for number, image in enumerate(images)}

    def __call__(self, images: np.ndarray) -> Predictions:
        known = [self.number.get(image.tobytes()) for image in images]
        sure = np.array([[0.0 if number is None else 0.5] * 21 for number in known])
        rows = [number or 0 for number in known]
        return Predictions(self.joints[rows], self.pixels[rows], sure)


def judged(hands: HeldOutHands, shift: float = 0.0) -> Evaluation:
    """By what is known of them, without a second look."""
    truth = hands.frames
    off = np.array([0.0, 10 * shift])
    sure = np.full((COUNT, 21), 0.5)
    frames = score(truth.joints.numpy() + [0, shift, 0], truth.pixels.numpy() + off, sure, truth, SIZE)
    other = hands.upright
    upright = score(other.joints.numpy() + [0, shift, 0], other.pixels.numpy() + off, sure, other, SIZE)
    return Evaluation(hands, frames, frames, upright)


def test_both_kinds_are_as_many_as_asked_for_and_not_those_of_training(hands):
    assert len(hands.frames.images) == len(hands.upright.images) == COUNT
    assert hands.frames.images.shape[1:] == (2 * SIZE, 2 * SIZE, 3) and hands.upright.images.shape[1:] == (SIZE, SIZE, 3)
    assert len({OUR_SEED, OUR_SEED + 1, FOREIGN_SEED, FOREIGN_SEED + 1, HELD_OUT_SEED}) == 5
    validation = CropRenderer(SIZE, PLACES, HELD_OUT_SEED).render(COUNT)
    assert not (hands.upright.joints == validation.joints).flatten(1).all(1).any()


def test_fewer_hands_are_the_first_of_more(hands):
    few = render_held_out("our", 3, SIZE, PLACES, AROUND_JOINTS)
    assert torch.equal(few.frames.images, hands.frames.images[:3])
    assert torch.equal(few.upright.pixels, hands.upright.pixels[:3])


def test_the_foreign_hand_is_another(hands):
    foreign = render_held_out("foreign", 3, SIZE, PLACES, AROUND_JOINTS)
    assert foreign.kind == "foreign"
    bones = [(h.joints[:, 8] - h.joints[:, 7]).norm(dim=1).mean() for h in (foreign.frames, hands.frames)]
    assert not torch.isclose(*bones, rtol=1e-3)


def test_frames_show_hands_of_any_roll_and_upright_ones_do_not(hands):
    def fingers_up(pixels: torch.Tensor) -> torch.Tensor:
        return (pixels[:, 0, 1] > pixels[:, [5, 9, 13, 17], 1].mean(1)).float().mean()

    assert fingers_up(hands.upright.pixels) > 0.9
    assert fingers_up(hands.frames.pixels) < 0.8


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_answers_are_judged_by_the_truth_of_their_pictures(hands, shift):
    result = evaluate_kind(Knowing(hands, shift), hands)
    for scores in (result.first, result.final, result.tracked):
        np.testing.assert_allclose(scores.error_px, shift * 128 / SIZE, atol=1e-2)
        np.testing.assert_array_equal(scores.confidence, 0.5)
    np.testing.assert_allclose(result.tracked.error_mm, 0, atol=1e-2)
    np.testing.assert_allclose(result.first.error_mm, 0, atol=1e-2)


def test_errors_are_told_in_their_units(hands):
    result = judged(hands, 0.1).tracked
    np.testing.assert_allclose(result.error_mm, 0.1 * DEFAULT_HAND_SIZE_MM, atol=1e-3)
    np.testing.assert_allclose(result.error_px, 1.0 * 128 / SIZE, atol=1e-3)
    longer = np.ptp(hands.upright.pixels.numpy(), axis=1).max(1)
    np.testing.assert_allclose(result.error_share[:, 0], 1 / longer, rtol=1e-4)


def test_every_hand_is_in_one_group_of_each_question(hands):
    for question, answers in groups(hands.frames).items():
        np.testing.assert_array_equal(np.sum(list(answers.values()), axis=0), np.ones(COUNT), err_msg=question)


def test_groups_hold_what_they_name(hands):
    frames = hands.frames
    grey = replace(frames, images=frames.images[..., :1].expand(-1, -1, -1, 3))
    assert groups(grey)["picture"]["grey"].all()
    assert groups(replace(frames, visible=torch.zeros_like(frames.visible)))["joints hidden"]["> 60 %"].all()
    turned = replace(frames, facing=-frames.facing)
    assert groups(turned)["camera sees"]["palm"].sum() == groups(frames)["camera sees"]["back"].sum()


def test_blur_takes_sharpness(hands):
    blurred = torch.nn.functional.avg_pool2d(hands.frames.images.permute(0, 3, 1, 2).float(), 5, 1, 2).permute(0, 2, 3, 1)
    sharp = sharpness(hands.frames.images)
    some = sharp > 0.4
    assert some.any() and (sharpness(blurred.byte()) < sharp)[some].all()
    assert groups(replace(hands.frames, images=blurred.byte()))["blur"]["sharp"].sum() == 0


def test_confidence_foretells_the_error_it_stands_for(hands):
    scores = judged(hands).final
    off = np.linspace(0.05, 2, COUNT * 21).reshape(COUNT, 21)
    told = replace(scores, confidence=np.exp(-off / CONFIDENCE_SCALE))
    np.testing.assert_allclose(expected_error_mm(told), off * DEFAULT_HAND_SIZE_MM, rtol=1e-6)
    result = reliability_of(Knowing(hands), replace(told, error_mm=off * DEFAULT_HAND_SIZE_MM))
    assert result is not None and result.gap < 1e-6
    assert headline(replace(told, error_mm=off * DEFAULT_HAND_SIZE_MM), hands.frames.visible.numpy())["rank"] == "1.00"


def test_the_report_tells_its_count_its_figures_and_every_joint(hands):
    one = judged(hands, 0.1)
    text = report(Knowing(hands), [one, one])
    assert f"{COUNT} held-out hands" in text and "9.0" in text
    assert all(name in text for name in JOINT_NAMES)
    assert "PCK@0.1" in breakdown(one)
    lines = table(headlines([one])).splitlines()
    assert len(lines) == 4 and len(set(map(len, lines))) == 1


def test_hands_are_drawn_and_predicted_as_the_network_frames_them():
    palms = render_held_out("our", COUNT, SIZE, PLACES, Framing(upright=True, around="palm"))
    drawn = {"at any roll": (palms.frames.pixels, SIZE - 0.5), "upright": (palms.upright.pixels, SIZE / 2 - 0.5)}
    for name, (pixels, middle) in drawn.items():
        centres, sides = zip(*(palm_box(hand, 0.0) for hand in pixels.numpy()), strict=True)
        assert np.abs(np.array(centres).mean(0) - middle).max() < 0.08 * SIZE, name
        assert min(sides) > SIZE / 1.32 * 0.93 and max(sides) < SIZE / 0.82 * 1.07, name
    result = evaluate_kind(Knowing(palms), palms)
    np.testing.assert_allclose(result.tracked.error_mm, 0, atol=1e-2)
    np.testing.assert_allclose(result.first.error_mm, 0, atol=1e-2)
