"""Spectrum mixing changes amplitudes only, by its strength, and only with photographs of the training split."""

from dataclasses import replace

import pytest
import torch

from hand.synth.backgrounds import Backgrounds
from hand.synth.spectrum import SpectrumMixer, mix_amplitude, photograph_details

SIZE = 48
PLACES = replace(Backgrounds.load(None, "train"), photographs=60)
"""Procedural images in place of photographs."""


@pytest.fixture(scope="module")
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Two batches (12, 3, S, S) in [0, 1]."""
    random = torch.Generator().manual_seed(0)
    first, second = (photograph_details(PLACES, 12, SIZE, random) for _ in range(2))
    return first, second


def mixed(images: torch.Tensor, others: torch.Tensor, strength: float, radius: float) -> torch.Tensor:
    return mix_amplitude(images, others, torch.full((len(images),), strength), torch.full((len(images),), radius))


def mixer(places: Backgrounds, share: float = 0.5, seed: int = 3) -> SpectrumMixer:
    return SpectrumMixer(places, torch.Generator().manual_seed(seed), share)


def test_an_image_mixed_with_itself_is_unchanged(pictures):
    first, _ = pictures
    torch.testing.assert_close(mixed(first, first, 1.0, 20.0), first, atol=1e-4, rtol=0)


def test_zero_strength_changes_nothing(pictures):
    first, second = pictures
    torch.testing.assert_close(mixed(first, second, 0.0, 20.0), first, atol=1e-5, rtol=0)


def test_the_phase_is_kept(pictures):
    first, second = pictures
    before, after = torch.fft.rfft2(first), torch.fft.rfft2(mixed(first, second, 0.8, 12.0))
    certain = (before.abs() > 1e-2) & (after.abs() > 1e-2)
    turned = (after * before.conj()).angle().abs()[certain]
    assert certain.float().mean() > 0.5
    assert turned.max() < 1e-2


def test_amplitudes_are_replaced_inside_the_radius_only(pictures):
    first, second = pictures
    own, other, after = (torch.fft.rfft2(p).abs() for p in (first, second, mixed(first, second, 1.0, 6.0)))
    rows, columns = torch.fft.fftfreq(SIZE, 1 / SIZE), torch.fft.rfftfreq(SIZE, 1 / SIZE)
    distance = (rows[:, None] ** 2 + columns**2).sqrt()
    inside = (distance <= 6) & (own > 1e-3)
    torch.testing.assert_close(after[inside], other[inside], atol=2e-2, rtol=1e-3)
    torch.testing.assert_close(after[..., distance >= 9], own[..., distance >= 9], atol=2e-3, rtol=1e-3)
    assert (own - other)[inside].abs().mean() > 1


def test_images_of_a_batch_are_independent(pictures):
    first, second = pictures
    backwards = mixed(first.flip(0), second.flip(0), 0.7, 8.0).flip(0)
    torch.testing.assert_close(backwards, mixed(first, second, 0.7, 8.0), atol=1e-5, rtol=0)


def test_a_share_of_the_images_changes_deterministically_by_seed(pictures):
    many = pictures[0].repeat(8, 1, 1, 1)
    once, again = mixer(PLACES)(many), mixer(PLACES)(many)
    assert torch.equal(once, again) and not torch.equal(once, mixer(PLACES, seed=4)(many))
    changed = (once != many).flatten(1).any(1).float().mean()
    assert 0.3 < changed < 0.7
    assert once.min() >= 0 and once.max() <= 1


@pytest.mark.parametrize("places", [replace(PLACES, photographs=0), replace(PLACES, split="held_out")])
def test_nothing_changes_without_training_photographs(pictures, places):
    assert torch.equal(mixer(places, share=1.0)(pictures[0]), pictures[0])


def test_details_come_from_photographs_only():
    marked = replace(PLACES, pictures=PLACES.pictures.clone(), photographs=5)
    marked.pictures[:5] = 7
    for size in (SIZE, 300):
        details = photograph_details(marked, 20, size, torch.Generator().manual_seed(0))
        assert details.shape == (20, 3, size, size)
        assert (details == 7 / 255).all()
