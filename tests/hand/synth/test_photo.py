"""Simulated cameras: deterministic by seed, independent per image, within plausible ranges."""

import pytest
import torch

from hand.synth.photo import Camera

CPU = torch.device("cpu")


def camera(seed: int = 0) -> Camera:
    return Camera(torch.Generator().manual_seed(seed), CPU)


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """(64, 3, 32, 32) smooth images in [0, 1]."""
    coarse = torch.rand(64, 3, 4, 4, generator=torch.Generator().manual_seed(9))
    return torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bicubic", align_corners=False).clamp(0, 1)


def test_camera_is_deterministic_by_seed(pictures):
    assert torch.equal(camera(1).shoot(pictures), camera(1).shoot(pictures))
    assert not torch.equal(camera(1).shoot(pictures), camera(2).shoot(pictures))


def test_images_are_uint8_of_the_same_size(pictures):
    shot = camera().shoot(pictures)
    assert (shot.shape, shot.dtype) == ((64, 32, 32, 3), torch.uint8)
    assert shot.flatten(1).float().std(1).min() > 3


def test_a_minority_of_cameras_is_monochrome(pictures):
    exposed = camera().expose(pictures)
    grey = (exposed.amax(1) - exposed.amin(1)).flatten(1).amax(1) < 1e-3
    assert 0.02 < grey.float().mean() < 0.3
    assert exposed.min() >= 0 and exposed.max() <= 1


def test_exposure_is_monotonic():
    ramp = torch.linspace(0, 3, 64).expand(16, 3, 64, 64)
    assert (camera().expose(ramp).diff(dim=3) >= -1e-6).all()


def test_blur_keeps_a_constant_image_and_sharpens_none(pictures):
    even = torch.full((64, 3, 32, 32), 0.3)
    torch.testing.assert_close(camera().blur(even), even)
    noisy = torch.rand(64, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    blurred = camera().blur(noisy)
    untouched = (blurred == noisy).flatten(1).all(1)
    assert 0.3 < untouched.float().mean() < 0.8
    assert (blurred.flatten(1).std(1) <= noisy.flatten(1).std(1)).all()


def test_sharpening_keeps_a_constant_image_and_steepens_edges():
    even = torch.full((64, 3, 32, 32), 0.3)
    torch.testing.assert_close(camera().sharpen(even), even)
    edges = (torch.arange(32) % 16 < 8).float().expand(64, 3, 32, 32) * 0.4 + 0.3
    sharpened = camera().sharpen(edges)
    changed = (sharpened != edges).flatten(1).any(1)
    assert 0.1 < changed.float().mean() < 0.4
    assert (sharpened[changed].amax((1, 2, 3)) > 0.72).all() and (sharpened[changed].amin((1, 2, 3)) < 0.28).all()


def test_vignetting_never_adds_light(pictures):
    shaded = camera().vignette(pictures)
    changed = (shaded != pictures).flatten(1).any(1)
    assert 0.05 < changed.float().mean() < 0.4
    assert (shaded <= pictures).all() and (shaded >= 0.1 * pictures).all()


def test_monochrome_cameras_give_equal_channels():
    colours = torch.rand(64, 3, 1, 1, generator=torch.Generator().manual_seed(2)).expand(64, 3, 32, 32)
    first = camera(3)
    exposed = first.expose(first.vignette(colours))
    grey = (exposed.amax(1) - exposed.amin(1)).flatten(1).amax(1) < 1e-4
    tinted = torch.tensor([1.2, 0.9, 0.6])[:, None, None]
    shot = camera(3).shoot(colours, lambda image: image * tinted).int()
    equal = (shot.amax(3) - shot.amin(3)).flatten(1).amax(1) <= 1
    assert grey.any() and torch.equal(equal, grey)


def test_sensor_noise_has_no_bias(pictures):
    difference = camera().noise(pictures) - pictures
    assert difference.mean().abs() < 1e-3
    assert 0.005 < difference.std() < 0.05


def test_jpeg_error_is_small_on_smooth_images_and_some_stay_unchanged(pictures):
    stored = camera().jpeg(pictures)
    untouched = (stored == pictures).flatten(1).all(1)
    assert 0.4 < untouched.float().mean() < 0.8
    assert 1e-4 < (stored - pictures)[~untouched].abs().mean() < 0.03


def test_jpeg_error_is_larger_on_fine_patterns(pictures):
    checks = (torch.arange(32) + torch.arange(32)[:, None]) % 2 * 0.1 + 0.45
    fine = checks.expand(64, 3, 32, 32)
    lost = [(camera().jpeg(p) - p).abs().mean() / p.std() for p in (fine, pictures)]
    assert lost[0] > 3 * lost[1]
