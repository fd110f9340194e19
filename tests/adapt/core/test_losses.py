"""Targets that are met have no loss, every deviation has some, and hidden joints' heat has no target."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from adapt.core.losses import LitePredictions, Loss, adaptation_loss, lite_adaptation_loss, lite_predictions, published_loss
from adapt.core.targets import Targets
from runtime.networks.detnet import DetNet
from runtime.networks.detnet_lite import DetNetLite, read, read_scalar
from runtime.networks.network import MapNetwork, Maps, normalise
from tests.adapt.s2dhand_batch import Batch


def test_the_loss_is_the_published_one():
    batch = Batch.load()
    maps = Maps(batch["loss_pred_heat"], batch["loss_pred_delta"].flatten(1, 2), batch["loss_pred_location"].flatten(1, 2))
    location, delta = batch["loss_target_location"], batch["loss_target_delta"]
    loss = published_loss(maps, Targets(location, delta, batch["loss_target_heat"], batch["loss_veil"] > 0))
    for name, value in loss._asdict().items():
        assert float(value) == pytest.approx(batch[f"loss_{name}"].item(), rel=1e-5), name


@pytest.fixture(scope="module")
def student() -> DetNetLite:
    torch.manual_seed(0)
    network = DetNetLite(width=12, deep=12).eval()
    # Untrained maps are flat: these are not.
    torch.nn.init.normal_(network.head.weight, std=1.0)
    return network


IMAGES = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def answer(network: DetNetLite) -> LitePredictions:
    return lite_predictions(network, normalise(IMAGES))


def own_answers(network: DetNetLite) -> Targets:
    """What the network says already."""
    with torch.no_grad():
        maps = network(normalise(IMAGES))
    assert maps.log_error is not None
    location, delta = (read(m, maps.heat) for m in (maps.location, maps.delta))
    visible = torch.ones(3, 21, dtype=torch.bool)
    return Targets(location, delta, maps.heat, visible, read_scalar(maps.log_error, maps.heat))


def test_a_student_that_meets_its_targets_has_no_gradient(student):
    student.zero_grad()
    loss = lite_adaptation_loss(answer(student), own_answers(student))
    assert loss.location < 1e-5 and loss.delta < 1e-5
    # Distances have no slope of their own at zero; the heat's entropy and the log error's square have none there either.
    heat = -(own_answers(student).heat.clamp_min(1e-30).log() * own_answers(student).heat).sum((2, 3)).mean()
    assert float(loss.heat.detach()) == pytest.approx(float(heat), rel=1e-4)


@pytest.mark.parametrize("field", ["location", "delta", "log_error"])
def test_every_deviation_from_the_targets_costs(student, field):
    targets = own_answers(student)
    parts = {name: getattr(targets, name) for name in ("location", "delta", "heat", "visible", "log_error")}
    parts[field] = parts[field] + 0.5
    with torch.no_grad():
        before, after = (lite_adaptation_loss(answer(student), asked).total for asked in (targets, Targets(**parts)))
    assert after > before + 0.02


def test_heat_of_hidden_joints_has_no_target(student):
    targets = own_answers(student)
    hidden = torch.arange(21).expand(3, 21) >= 5
    other = targets.heat.clone()
    other[:, :5] = 1 / 16
    asked = [Targets(targets.location, targets.delta, heat, hidden, targets.log_error) for heat in (targets.heat, other)]
    with torch.no_grad():
        losses = [lite_adaptation_loss(answer(student), one).heat for one in asked]
        shown = lite_adaptation_loss(
            answer(student), Targets(targets.location, targets.delta, other, ~hidden, targets.log_error)
        ).heat
    torch.testing.assert_close(*losses)
    assert shown > 0


def published_answers() -> tuple[Maps, Targets]:
    """Maps that want gradients, and what a teacher might ask of them."""
    random = torch.Generator().manual_seed(1)
    heat, delta, location = (torch.rand(3, count, 4, 4, generator=random, requires_grad=True) for count in (21, 63, 63))
    asked = [torch.rand(*shape, generator=random) for shape in ((3, 21, 3), (3, 21, 3), (3, 21, 4, 4))]
    return Maps(heat, delta, location), Targets(asked[0], asked[1], asked[2], torch.ones(3, 21, dtype=torch.bool))


@pytest.fixture(params=["detnet-lite", "detnet"])
def asked(request: pytest.FixtureRequest, student: DetNetLite) -> tuple[Callable[[Targets], Loss], Targets, list[Tensor]]:
    """An architecture's loss of what is asked for, something to ask, and what learns."""
    if request.param == "detnet":
        maps, targets = published_answers()
        return lambda targets: published_loss(maps, targets), targets, [maps.heat, maps.delta, maps.location]
    targets = own_answers(student)
    targets = replace(targets, location=targets.location + 0.1, delta=targets.delta - 0.1)
    return lambda targets: lite_adaptation_loss(answer(student), targets), targets, list(student.parameters())


def elsewhere(targets: Targets) -> Targets:
    """The same, but that the first five joints are asked to be somewhere else."""
    location, delta, heat = targets.location.clone(), targets.delta.clone(), targets.heat.clone()
    location[:, :5] += 1
    delta[:, :5] *= -1
    heat[:, :5] = heat[:, :5].flip(-1)
    return replace(targets, location=location, delta=delta, heat=heat)


def test_without_a_weight_every_joint_counts_as_one_that_is_certain(asked):
    loss, targets, _ = asked
    torch.testing.assert_close(loss(replace(targets, weight=torch.ones(3, 21))), loss(targets), rtol=0, atol=0)


def test_joints_without_weight_have_no_gradient(asked):
    loss, targets, learning = asked
    weight = torch.ones(3, 21)
    weight[:, :5] = 0
    mute = replace(targets, weight=weight)
    gradients = [torch.autograd.grad(loss(each).total, learning, allow_unused=True) for each in (mute, elsewhere(mute))]
    torch.testing.assert_close(loss(elsewhere(mute)), loss(mute), rtol=0, atol=0)
    for told, otherwise in zip(*gradients, strict=True):
        assert (told is None) == (otherwise is None) and (told is None or torch.equal(told, otherwise))
    assert loss(elsewhere(targets)).total > loss(targets).total + 1e-3


def test_the_more_certain_a_joint_the_higher_its_weight(asked):
    loss, targets, _ = asked
    wrong = elsewhere(targets)
    weights = [torch.ones(3, 21) for _ in range(3)]
    for weight, sure in zip(weights, (0.2, 0.5, 0.9), strict=True):
        weight[:, :5] = sure
    losses = [loss(replace(wrong, weight=weight)) for weight in weights]
    for part in ("total", "heat", "delta", "location"):
        less, more, most = (getattr(each, part) for each in losses)
        assert less < more < most, part


@pytest.mark.parametrize("architecture", ["detnet-lite", "detnet"])
def test_one_forward_pass_for_two_targets_equals_two_passes(student, architecture):
    torch.manual_seed(3)
    network: MapNetwork = student if architecture == "detnet-lite" else DetNet(root=9).eval()
    with torch.no_grad():
        maps = network(normalise(IMAGES))
    heat, visible = maps.heat, torch.rand(3, 21) < 0.8
    sets = [
        Targets(torch.randn(3, 21, 3), torch.randn(3, 21, 3), heat.roll(shift, 1), visible, torch.zeros(3, 21), torch.rand(3, 21))
        for shift in (1, 2)
    ]
    wanted = [parameter for parameter in network.parameters() if parameter.requires_grad]

    def gradient(asked: list[Targets]) -> list[Tensor]:
        return list(torch.autograd.grad(adaptation_loss(network, IMAGES, asked).total, wanted))

    together, (first, second) = gradient(sets), (gradient([each]) for each in sets)
    for whole, one, other in zip(together, first, second, strict=True):
        torch.testing.assert_close(whole, (one + other) / 2, rtol=1e-3, atol=1e-5 * float(whole.abs().max()) + 1e-8)


def test_pixels_that_are_known_cost_by_how_far_off_they_are(student):
    targets, own = own_answers(student), answer(student)
    plain = lite_adaptation_loss(own, targets).total
    torch.testing.assert_close(
        lite_adaptation_loss(own, replace(targets, pixels=own.pixels.detach())).total, plain, atol=1e-6, rtol=1e-6
    )
    costs = [lite_adaptation_loss(own, replace(targets, pixels=own.pixels.detach() + step)).total - plain for step in (1.0, 2.0)]
    assert costs[0] > 0 and float(costs[1].detach()) == pytest.approx(2 * float(costs[0].detach()), rel=1e-3)
    # Beyond the crop there is no pixel to learn.
    hidden = replace(targets, visible=torch.zeros(3, 21, dtype=torch.bool))
    far = replace(hidden, pixels=own.pixels.detach() + 9)
    torch.testing.assert_close(lite_adaptation_loss(own, far).total, lite_adaptation_loss(own, hidden).total)
