"""Synthetic hands of a rehearsal keep their labels, take on the light of the target domain, and lower their own error."""

from copy import deepcopy
from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import Tensor

from adapt.core.rehearsal import MIXED, Rehearsal, render_bank
from adapt.core.synthetic_losses import drawn_loss
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import SyntheticCrops
from hand.synth.spectrum import photograph_details
from hand.synth.turn import BORDER
from runtime.estimators.framing import AROUND_JOINTS, Framing, palm_box
from runtime.networks.detnet_lite import DetNetLite
from runtime.networks.network import HandNetwork

SIZE = 64


@pytest.fixture(scope="module")
def bank() -> SyntheticCrops:
    return render_bank(40, SIZE, AROUND_JOINTS, seed=0)


@pytest.fixture(scope="module")
def target() -> Tensor:
    """(12, S, S, 3) dark, bluish pictures."""
    places = Backgrounds.load(None, "held_out")
    details = photograph_details(Backgrounds(places.pictures, 60, "held_out"), 12, SIZE, torch.Generator().manual_seed(0))
    return (details.permute(0, 2, 3, 1) * torch.tensor([60.0, 80.0, 140.0])).to(torch.uint8)


def test_a_bank_is_the_same_for_a_seed_and_has_a_border(bank):
    assert bank.images.shape == (40, SIZE + 2 * BORDER, SIZE + 2 * BORDER, 3)
    assert torch.equal(render_bank(20, SIZE, AROUND_JOINTS, seed=0).images, bank.images[:20])
    assert not torch.equal(render_bank(20, SIZE, AROUND_JOINTS, seed=1).images, bank.images[:20])


def test_a_bank_is_framed_as_its_network_asks():
    framing = Framing(upright=True, around="palm")
    pixels = render_bank(20, SIZE, framing, seed=0).pixels.numpy()
    centres, sides = zip(*(palm_box(hand, 0.0) for hand in pixels), strict=True)
    # Jitter: a standard deviation of 0.07 sides, sizes of 0.82 to 1.32.
    assert np.abs(np.array(centres).mean(0) - (SIZE + 2 * BORDER - 1) / 2).max() < 0.08 * SIZE
    assert min(sides) > SIZE / 1.32 * 0.93 and max(sides) < SIZE / 0.82 * 1.07


@pytest.mark.parametrize(("share", "drawn"), [(0.5, 12), (0.33, 6), (0.01, 1)])
def test_their_share_is_of_all_that_is_learnt_from(bank, target, share, drawn):
    assert len(Rehearsal(bank, share, 0).batch_for(target).images) == drawn


def test_all_hands_are_rehearsed_before_one_comes_again(bank, target):
    rehearsal = Rehearsal(bank, 0.4, 0)
    seen = torch.cat([rehearsal.batch_for(target).tone for _ in range(5)])
    assert torch.equal(seen.sort().values, bank.tone.sort().values)


@pytest.fixture(scope="module")
def both(bank, target) -> tuple[SyntheticCrops, SyntheticCrops]:
    """The same forty hands without the target's spectra and with them."""
    many = target.repeat(4, 1, 1, 1)[:40]
    plain, mixed = (Rehearsal(bank, 0.5, 0, spectra=spectra).batch_for(many) for spectra in (False, True))
    return plain, mixed


def test_spectra_change_pictures_and_no_truth(both):
    plain, mixed = both
    for field in fields(SyntheticCrops):
        assert field.name == "images" or torch.equal(getattr(plain, field.name), getattr(mixed, field.name)), field.name
    changed = (plain.images != mixed.images).flatten(1).any(1).float().mean()
    assert abs(changed - MIXED) < 0.25


def test_mixed_pictures_lie_towards_the_targets_light_and_keep_their_edges(both, target):
    plain, mixed = (x.images.permute(0, 3, 1, 2).float() for x in both)
    changed = (plain != mixed).flatten(1).any(1)
    plain, mixed = plain[changed], mixed[changed]
    light = target.float().mean((0, 1, 2))
    before, after = ((x.mean((2, 3)) - light).norm(dim=1).mean() for x in (plain, mixed))
    assert after < 0.8 * before
    # Phases of what is strong in a picture, save for what rounding and clipping made of it.
    first, second = torch.fft.rfft2(plain), torch.fft.rfft2(mixed)
    strong = (first.abs() > 4e3) & (second.abs() > 4e3)
    turned = (second * first.conj()).angle().abs()[strong]
    assert strong.float().mean() > 0.005 and turned.median() < 0.05 and (turned < 0.5).float().mean() > 0.95


def test_a_camera_without_colours_takes_a_drawings_away(bank, target):
    grey = target.float().mean(-1, keepdim=True).to(torch.uint8).expand(-1, -1, -1, 3).repeat(4, 1, 1, 1)[:40]
    plain, mixed = (Rehearsal(bank, 0.5, 0, spectra=spectra).batch_for(grey).images for spectra in (False, True))
    changed = (plain != mixed).flatten(1).any(1)
    colour = (mixed[changed].float().amax(-1) - mixed[changed].float().amin(-1)).amax()
    assert changed.sum() > 5 and colour <= 1


def test_rehearsal_lowers_the_error_on_synthetic_hands(shipped, bank):
    network: HandNetwork = deepcopy(shipped[0])
    assert isinstance(network.network, DetNetLite)
    with torch.no_grad():
        head = network.network.head.weight
        head += 0.3 * head.std() * torch.randn(head.shape, generator=torch.Generator().manual_seed(0))
    rehearsal = Rehearsal(bank, 0.5, 0)
    optimiser = torch.optim.Adam(network.parameters(), 5e-4)
    errors = []
    for _ in range(8):
        optimiser.zero_grad()
        loss = drawn_loss(network.network, rehearsal.batch_for(torch.zeros(40, SIZE, SIZE, 3, dtype=torch.uint8)), SIZE)
        loss.total.backward()
        optimiser.step()
        errors.append(float(loss.joints.detach()))
    assert sum(errors[-2:]) < 0.9 * sum(errors[:2])
