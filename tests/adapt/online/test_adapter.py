"""The adapter improves a network, and under every fault it promotes none that is worse than the one in use."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from adapt.online.adapter import Adapter, Pace, Update
from adapt.online.live_pairs import Cameras, LivePair
from adapt.online.promotion import ValidationResult
from adapt.online.status import AdaptationPhase
from capture.views import PerView
from hand.rotations import from_vector
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer, SyntheticCrops
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest
from tests.adapt.live_hands import LiveHands, drawn, seen, true_error

PACE = Pace(batch=8, validate_every=3, most_refusals=2)
ROUNDS = 2
STILL_S = 300
NO_WORSE = 0.002
"""Hands: what two networks that are as good may differ by."""


@pytest.fixture(scope="module")
def hands(shipped) -> LiveHands:
    network, manifest = shipped
    return seen(drawn(1, 14.0, 7.0), deepcopy(network), manifest)


@pytest.fixture(scope="module")
def others(shipped) -> LiveHands:
    """Another person's before the same cameras."""
    network, manifest = shipped
    return seen(drawn(2, 6.0, 7.0), deepcopy(network), manifest)


@pytest.fixture(scope="module")
def known(shipped) -> SyntheticCrops:
    return CropRenderer(shipped[1].crop_size, Backgrounds.load(None, "held_out"), 7).render(24)


def adapter_of(shipped: tuple[HandNetwork, Manifest], hands: LiveHands, known: SyntheticCrops, **more) -> Adapter:
    return Adapter(*shipped, known, hands.widths_px, pace=PACE, **more)


def worked(adapter: Adapter, rounds: int = ROUNDS, before_step: Callable[[], object] = lambda: None) -> list[Update]:
    """What came of it until it was judged so often, or there was nothing more to do."""
    updates: list[Update] = []
    while adapter.has_work and len(updates) < rounds:
        before_step()
        update = adapter.work()
        if update is not None:
            updates.append(update)
    return updates


def test_hands_of_known_cameras_make_the_network_better(shipped, hands: LiveHands, known: SyntheticCrops):
    adapter = adapter_of(shipped, hands, known)
    weights = [parameter.detach().clone() for parameter in shipped[0].parameters()]
    for pair in hands.pairs:
        adapter.add_pair(pair)
    assert not adapter.has_work and adapter.status.phase is AdaptationPhase.WAITING_FOR_CAMERAS
    adapter.set_cameras(hands.cameras)
    updates = worked(adapter)
    assert adapter.status.figures.promotions >= 1 and adapter.serving is not shipped[0], [u.validation for u in updates]
    manifest = shipped[1]
    assert true_error(adapter.serving, manifest, hands) < 0.95 * true_error(shipped[0], manifest, hands)
    # What was given stays as it was.
    assert all(torch.equal(old, new) for old, new in zip(weights, shipped[0].parameters(), strict=True))
    for update in updates:
        assert (update.network is not None) == (update.validation.result is not ValidationResult.REFUSED)


def test_the_same_hands_in_the_same_order_give_the_same_network(shipped, hands: LiveHands, known: SyntheticCrops):
    def run() -> Adapter:
        adapter = adapter_of(shipped, hands, known)
        adapter.set_cameras(hands.cameras)
        for pair in hands.pairs:
            adapter.add_pair(pair)
        worked(adapter, 1)
        return adapter

    one, other = run(), run()
    assert one.validations == other.validations
    for a, b in zip(one.serving.parameters(), other.serving.parameters(), strict=True):
        assert torch.equal(a, b)


def wrong_rotation(adapter: Adapter, hands: LiveHands, others: LiveHands) -> None:
    turn = from_vector(np.radians([0.0, 30.0, 0.0]))
    g = hands.cameras.geometry
    adapter.set_cameras(replace(hands.cameras, geometry=replace(g, R_right_from_left=turn @ g.R_right_from_left)))


def nothing(adapter: Adapter, hands: LiveHands, others: LiveHands) -> None:
    pass


def right_of(pairs: list[LivePair], rights: list[LivePair]) -> list[LivePair]:
    """Pairs whose right view shows another moment, or another hand."""

    def mixed(left: LivePair, right: LivePair) -> LivePair:
        def both(a: PerView, b: PerView) -> PerView:
            return PerView(a.left, b.right)

        return replace(
            left,
            hands=both(left.hands, right.hands),
            sigma_px=both(left.sigma_px, right.sigma_px),
            crops=both(left.crops, right.crops),
        )

    return [mixed(left, rights[number % len(rights)]) for number, left in enumerate(pairs)]


def shuffled(hands: LiveHands, others: LiveHands) -> list[LivePair]:
    return right_of(hands.pairs, hands.pairs[len(hands.pairs) // 3 :] + hands.pairs[: len(hands.pairs) // 3])


def of_two_people(hands: LiveHands, others: LiveHands) -> list[LivePair]:
    return right_of(hands.pairs, others.pairs)


def covered(hands: LiveHands, others: LiveHands) -> list[LivePair]:
    """The right view goes dark, while its hands are told on as they would have been."""
    random = np.random.default_rng(0)

    def dark(pair: LivePair) -> LivePair:
        crop = pair.crops.right
        black = replace(crop, image=random.integers(0, 12, crop.image.shape, dtype=np.uint8))
        return replace(pair, crops=PerView(pair.crops.left, black))

    return [dark(pair) for pair in hands.pairs]


def as_they_are(hands: LiveHands, others: LiveHands) -> list[LivePair]:
    return hands.pairs


def poison(adapter: Adapter) -> None:
    """Noise on the momentum network's weights, again and again."""
    with torch.no_grad():
        for parameter in adapter._session.teacher.parameters():
            if parameter.ndim > 1:
                parameter += 0.2 * parameter.std() * torch.randn_like(parameter)


@pytest.mark.parametrize(
    ("pairs", "see", "labels", "poisoned"),
    [
        pytest.param(as_they_are, wrong_rotation, "both", False, id="a rotation 30 degrees wrong"),
        pytest.param(as_they_are, wrong_rotation, "s2dhand", False, id="a rotation 30 degrees wrong, S2DHand"),
        pytest.param(as_they_are, nothing, "s2dhand", True, id="a poisoned teacher"),
        pytest.param(shuffled, nothing, "s2dhand", False, id="views of different times"),
        pytest.param(covered, nothing, "s2dhand", False, id="one camera covered"),
        pytest.param(of_two_people, nothing, "s2dhand", False, id="two different hands"),
    ],
)
def test_no_fault_promotes_a_worse_network(shipped, hands, others, known, pairs, see, labels, poisoned):
    torch.manual_seed(0)
    adapter = adapter_of(shipped, hands, known, labels=labels)
    adapter.set_cameras(hands.cameras)
    see(adapter, hands, others)
    for pair in pairs(hands, others):
        adapter.add_pair(pair)
    manifest = shipped[1]
    best = true_error(shipped[0], manifest, hands)
    for update in worked(adapter, before_step=(lambda: poison(adapter)) if poisoned else lambda: None):
        if update.network is not None:
            error = true_error(update.network, manifest, hands)
            assert error <= best + NO_WORSE, f"{update.validation}: {best:.3f} to {error:.3f}"
            best = error


def test_a_hand_that_stands_still_for_five_minutes_adds_no_step(shipped, hands: LiveHands, known: SyntheticCrops):
    adapter = adapter_of(shipped, hands, known)
    adapter.set_cameras(hands.cameras)
    still, random = hands.pairs[10], np.random.default_rng(0)
    for number in range(STILL_S * 6):
        # Pixels tremble as a network's do.
        trembling = still.hands.map(lambda hand: replace(hand, pixels=hand.pixels + random.normal(0, 0.5, hand.pixels.shape)))
        adapter.add_pair(replace(still, captured_ns=still.captured_ns + number * 166_000_000, hands=trembling))
    assert not adapter.has_work and adapter.work() is None
    assert adapter.status.phase is AdaptationPhase.COLLECTING and adapter.status.figures.steps == 0
    assert adapter.status.lacking is not None and adapter.status.progress < 1
    assert len(adapter._pairs) < 400


def test_a_hand_that_then_stands_still_displaces_no_varied_pairs(shipped, hands: LiveHands, known: SyntheticCrops):
    adapter = adapter_of(shipped, hands, known)
    adapter.set_cameras(hands.cameras)
    for pair in hands.pairs:
        adapter.add_pair(pair)
    waiting = adapter._waiting
    last = hands.pairs[-1]
    for number in range(1, 200):
        adapter.add_pair(replace(last, captured_ns=last.captured_ns + number * 166_000_000))
    assert adapter._waiting <= waiting + PACE.passes, "a hand that stands still is no news"
    assert adapter.status.phase is not AdaptationPhase.COLLECTING


def test_a_network_in_use_that_is_worse_than_the_one_before_is_rolled_back(shipped, hands: LiveHands, known: SyntheticCrops):
    network, manifest = shipped
    spoilt = deepcopy(network)
    head = spoilt.network.head
    with torch.no_grad():
        head.weight[21 * 4 : 21 * 7] += (
            2.0
            * head.weight[21 * 4 : 21 * 7].std()
            * torch.randn(head.weight[21 * 4 : 21 * 7].shape, generator=torch.Generator().manual_seed(0))
        )
    assert true_error(spoilt, manifest, hands) > 1.1 * true_error(network, manifest, hands)
    adapter = adapter_of(shipped, hands, known, serving=spoilt)
    assert adapter.serving is spoilt
    adapter.set_cameras(hands.cameras)
    for pair in hands.pairs:
        adapter.add_pair(pair)
    (update,) = worked(adapter, 1)
    assert update.validation.result is ValidationResult.ROLLED_BACK and update.network is network and adapter.serving is network


def test_a_moved_camera_clears_the_pairs_and_keeps_the_network(shipped, hands: LiveHands, known: SyntheticCrops):
    adapter = adapter_of(shipped, hands, known)
    adapter.set_cameras(hands.cameras)
    for pair in hands.pairs:
        adapter.add_pair(pair)
    assert adapter.has_work
    adapter.camera_moved()
    assert not adapter.has_work and adapter.status.figures.camera_moves == 1 and len(adapter._pairs) == 0
    adapter.set_cameras(hands.cameras)
    assert adapter.status.phase is AdaptationPhase.COLLECTING and adapter.status.progress == 0


def test_a_slightly_better_calibration_keeps_labels_and_another_one_relabels(shipped, hands: LiveHands, known: SyntheticCrops):
    def turned(degrees: float) -> Cameras:
        g = hands.cameras.geometry
        turn = from_vector(np.radians([0.0, degrees, 0.0]))
        return replace(hands.cameras, geometry=replace(g, R_right_from_left=turn @ g.R_right_from_left))

    adapter = adapter_of(shipped, hands, known)
    for pair in hands.pairs:
        adapter.add_pair(pair)
    adapter.set_cameras(hands.cameras)
    first = adapter._current_split()
    adapter.set_cameras(turned(0.2))
    assert adapter._current_split() is first
    adapter.set_cameras(turned(3.0))
    second = adapter._current_split()
    assert first is not None and second is not None and second is not first
    assert not torch.equal(first.held_out.labels.right.joints[:8], second.held_out.labels.right.joints[:8])
