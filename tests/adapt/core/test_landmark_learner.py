"""Own layers and heads on MediaPipe's features learn from joints alone: what is MediaPipe's stays, and is computed once."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from adapt.core.augment import Augmenter
from adapt.core.crop_pairs import CropPairs
from adapt.core.learner import kept_inputs, learner_of, predict, rehearsal_of, with_inputs
from adapt.core.mean_teacher import MeanTeacher
from adapt.core.rehearsal import render_bank
from adapt.core.targets import GeometryLabelBatch, Recipe, TrainedPart
from capture.views import PerView
from hand.errors import UserError
from hand.joints import unit_hand
from hand.synth.crops import SyntheticCrops
from runtime.estimators.framing import Framing
from runtime.networks.mediapipe_3d import MediaPipe3D
from runtime.networks.mediapipe_landmarks import INPUT_PX, MediaPipeLandmarksLite
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest
from tests.runtime.hands import moving_hand

COUNT = 3
MANIFEST = Manifest(architecture="mediapipe-3d", root=0, crop_size=INPUT_PX, axes="crop", upright=True, training_data="none")
TRAINED: dict[TrainedPart, tuple[str, ...]] = {
    "layers": ("own_trunk.", "own_hidden.", "correction."),
    "heads": ("own_hidden.", "correction."),
}
PARTS = pytest.mark.parametrize("part", list(TRAINED))


@pytest.fixture(scope="module")
def network() -> HandNetwork:
    """On a base that has learned nothing, with a hand of its own to begin with."""
    torch.manual_seed(0)
    inside = MediaPipe3D(hidden=16)
    with torch.no_grad():
        inside.world.bias.copy_(torch.from_numpy(unit_hand(moving_hand(np.random.default_rng(9), 1))[0]).flatten())
    return HandNetwork(inside, INPUT_PX).eval()


@pytest.fixture(scope="module")
def pairs() -> CropPairs:
    """Noise, of right hands and of a left one."""
    random = torch.Generator().manual_seed(0)
    shape = (COUNT, INPUT_PX, INPUT_PX, 3)
    images = PerView.of(lambda view: torch.randint(0, 256, shape, dtype=torch.uint8, generator=random))
    turns = PerView.of(lambda view: torch.eye(3, dtype=torch.float64).expand(COUNT, 3, 3))
    return CropPairs(images, turns, torch.tensor([False, True, False]))


@pytest.fixture(scope="module")
def told(pairs) -> PerView[GeometryLabelBatch]:
    """One hand that all those crops are said to show: what has learned nothing hardly tells them apart."""
    hand = torch.from_numpy(unit_hand(moving_hand(np.random.default_rng(5), 1))).float().expand(COUNT, 21, 3)

    def label(frame_from_crop: Tensor) -> GeometryLabelBatch:
        return GeometryLabelBatch(hand @ frame_from_crop.to(hand).mT, torch.full((COUNT, 21, 2), 99.0), torch.ones(COUNT, 21))

    return pairs.frame_from_crop("crop").map(label)


def session(network: HandNetwork, part: TrainedPart = "layers", **more) -> MeanTeacher:
    return MeanTeacher(network, MANIFEST, Recipe(memory=0.5, rate=1e-2, part=part), np.eye(3), **more)


def off(network: HandNetwork, pairs: CropPairs, told: PerView[GeometryLabelBatch]) -> float:
    """Mean distance from the labels in both views, hands."""

    def of(view) -> float:
        joints, _, _ = predict(network, pairs.images[view], None, COUNT)
        seen = joints @ pairs.frame_from_crop("crop")[view].to(joints).mT
        return float((seen - told[view].joints).norm(dim=-1).mean())

    return sum(PerView.of(of)) / 2


def weights(network: HandNetwork) -> Tensor:
    return torch.cat([value.flatten() for value in network.state_dict().values()])


@PARTS
def test_steps_come_nearer_to_the_labels_and_leave_what_is_mediapipes(network, pairs, told, part):
    adaptation = session(network, part)
    before = {name: value.clone() for name, value in network.network.state_dict().items()}
    kept = with_inputs(network, pairs, adaptation.recipe)
    for _ in range(12):
        figures = adaptation.step(kept, np.eye(3), labels="geometry", geometry_labels=told)
    assert off(adaptation.teacher, pairs, told) < 0.8 * off(network, pairs, told)
    assert figures.location > 0 and figures.delta > 0 and figures.heat == 0
    for learnt in (adaptation.student, adaptation.teacher):
        for name, value in learnt.network.state_dict().items():
            assert torch.equal(value, before[name]) != name.startswith(TRAINED[part]), name
    with torch.inference_mode():
        was, now = network(pairs.images.left), adaptation.teacher(pairs.images.left)
    for name in ("pixels", "presence", "right"):
        assert torch.equal(getattr(was, name), getattr(now, name))
    assert not torch.equal(was.joints, now.joints)


@PARTS
def test_what_is_kept_of_crops_gives_the_same_hands_and_the_same_step(network, pairs, told, part):
    kept = with_inputs(network, pairs, Recipe(part=part))
    assert kept.inputs is not None and with_inputs(network, kept) is kept
    for name, again, once in zip(
        ("joints", "pixels", "confidence"),
        predict(network, pairs.images.left, kept.inputs.left, 2),
        predict(network, pairs.images.left, None, 2),
        strict=True,
    ):
        torch.testing.assert_close(again, once, msg=name, atol=1e-4, rtol=1e-4)
    steps = []
    for given in (kept, pairs):
        adaptation = session(network, part)
        figures = adaptation.step(given, np.eye(3), labels="both", geometry_labels=told)
        steps.append((figures.loss, weights(adaptation.teacher)))
    (loss_of_kept, from_kept), (loss, from_images) = steps
    assert loss_of_kept == loss > 0 and torch.equal(from_kept, from_images)
    rows = torch.tensor([2, 0])
    some = kept.rows(rows).inputs
    assert some is not None and torch.equal(some.right, kept.inputs.right[rows])


def test_both_labels_cost_the_mean_of_each_and_labels_without_weight_nothing(network, pairs, told):
    kept = with_inputs(network, pairs)

    def cost(labels, weight: float = 1.0) -> float:
        weighted = told.map(lambda of_view: replace(of_view, weight=torch.full((COUNT, 21), weight)))
        return session(network).step(kept, np.eye(3), labels=labels, geometry_labels=weighted).loss

    assert cost("both") == pytest.approx((cost("s2dhand") + cost("geometry")) / 2, rel=1e-5)
    assert cost("geometry", 0.0) == 0 < cost("geometry", 0.5) == pytest.approx(cost("geometry") / 2, rel=1e-5)


def test_a_teacher_that_doubts_a_joint_follows_agreement_less_there(network, pairs, told):
    doubting = session(network)
    with torch.no_grad():
        for each in (doubting.teacher, doubting.student):
            inside = each.network
            assert isinstance(inside, MediaPipe3D)
            inside.expected_error.usual[4] += 3
    sure, unsure = session(network), doubting
    learner, inputs = learner_of(network), kept_inputs(network, pairs.images.left)
    everywhere = torch.ones(COUNT, 21, dtype=torch.bool)

    def weight(adaptation: MeanTeacher) -> Tensor:
        with torch.no_grad():
            seen = learner.see(adaptation.teacher, inputs)
        return learner.agreed_targets(adaptation.student, told.left.joints, everywhere, seen, None).weight

    usual, doubted = weight(sure), weight(unsure)
    others = torch.arange(21) != 4
    assert (doubted[:, 4] < 0.1 * usual[:, 4]).all() and torch.equal(doubted[:, others], usual[:, others])


def test_the_student_reads_augmented_crops_anew(network, pairs, told):
    kept = with_inputs(network, pairs)
    assert kept.inputs is not None
    blank = replace(kept, images=kept.images.map(torch.zeros_like))

    def learnt(given: CropPairs, augment: Augmenter | None) -> Tensor:
        adaptation = session(network, augment=augment)
        adaptation.step(given, np.eye(3), labels="geometry", geometry_labels=told)
        return weights(adaptation.teacher)

    # Plain crops are never read again; augmented ones are.
    assert torch.equal(learnt(kept, None), learnt(blank, None))
    assert not torch.equal(learnt(kept, Augmenter(0)), learnt(blank, Augmenter(0)))


@pytest.fixture(scope="module")
def bank() -> SyntheticCrops:
    return render_bank(20, INPUT_PX, Framing.of(MANIFEST), seed=0, shown=False)


def test_rehearsed_hands_are_read_once_and_their_error_falls(network, pairs, told, bank):
    rehearsal = rehearsal_of(network, bank, 0.6, 0)
    drawn, inputs = rehearsal.draw(torch.zeros(6, 1))
    assert len(drawn.images) == len(drawn.joints) == 9 and drawn.images.numel() == 0
    assert inputs is not None and len(inputs) == 9
    adaptation, learner = session(network, rehearsal=rehearsal), learner_of(network)

    def error() -> float:
        with torch.no_grad():
            return float(learner.drawn_loss(adaptation.teacher, drawn, inputs).joints)

    # Of real hands that teach nothing.
    silent = told.map(lambda of_view: replace(of_view, weight=torch.zeros(COUNT, 21)))
    before, kept = error(), with_inputs(network, pairs)
    for _ in range(12):
        adaptation.step(kept, np.eye(3), labels="geometry", geometry_labels=silent)
    assert error() < 0.95 * before


def test_spectra_change_with_the_crops_so_pictures_are_kept(network, bank):
    real = torch.zeros(2, INPUT_PX, INPUT_PX, 3, dtype=torch.uint8)
    drawn, inputs = rehearsal_of(network, bank, 0.5, 0, spectra=True).draw(real)
    assert inputs is None and drawn.images.shape == (2, INPUT_PX, INPUT_PX, 3)


def test_a_fetched_model_has_nothing_that_learns():
    fetched = HandNetwork(MediaPipeLandmarksLite(), INPUT_PX)
    with pytest.raises(UserError, match="MediaPipeLandmarksLite has no part that learns: adapt weights of"):
        MeanTeacher(fetched, MANIFEST)
