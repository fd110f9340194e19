"""Skin tones are ordered, cloth bounds the skin, and light is additive."""

from dataclasses import replace

import pytest
import torch

from hand.model import HandModel
from hand.synth.appearance import SLEEVE_NONE, TONES, Appearance, albedo, grain, linear, noise, sample_appearance
from hand.synth.light import Lights, sample_lights, shade

MODEL = HandModel.load()
CPU = torch.device("cpu")
VERTICES = len(MODEL.vertices)


def plain_appearances(n: int) -> Appearance:
    """Bare arms that differ by skin tone only, from the lightest to the darkest."""
    appearance = sample_appearance(1, torch.Generator().manual_seed(0), CPU)
    equal = ("tint", "cloth", "gloss", "offset", "ring_finger", "metal")
    same = {name: getattr(appearance, name).expand(n, *getattr(appearance, name).shape[1:]) for name in equal}
    return replace(
        appearance,
        **same,
        tone=torch.linspace(0, TONES - 1, n),
        blotch=torch.zeros(n, 4),
        nail=torch.zeros(n, 3),
        sleeve=torch.full((n,), SLEEVE_NONE),
        band=torch.tensor([[0.0, -1.0]]).expand(n, 2),
        flush=torch.zeros(n),
        ring=torch.full((n,), -1.0),
    )


def surface(appearance: Appearance) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, V, 3) colours and (N, V) skin shares of the whole hand."""
    n = len(appearance.tone)
    image = torch.arange(n).repeat_interleave(VERTICES)
    areas = MODEL.regions | {"tip": torch.zeros(VERTICES)}
    regions = {name: values.repeat(n)[:, None] for name, values in areas.items()}
    matter = albedo(appearance, image, MODEL.vertices.repeat(n, 1), regions, MODEL.joints)
    return matter.colour.view(n, VERTICES, 3), matter.skin.view(n, VERTICES)


def lit(lights: Lights, ambient_visibility: float = 1.0) -> torch.Tensor:
    """(50, 3) light reflected by a matt, skin-coloured sphere in each of the 50 directions."""
    random = torch.Generator().manual_seed(1)
    normal = torch.nn.functional.normalize(torch.randn(50, 3, generator=random), dim=1)
    appearance = replace(plain_appearances(1), gloss=torch.tensor([[0.0, 10.0]]))
    image, ones = torch.zeros(50, dtype=torch.long), torch.ones(50)
    ahead = torch.tensor([0.0, 0.0, 5.0]).expand(50, 3)
    return shade(
        lights,
        appearance.gloss.expand(50, 2),
        image,
        normal,
        ahead,
        torch.full((50, 3), 0.4),
        ones,
        ones,
        ones * ambient_visibility,
    )


def test_skin_tones_are_ordered_from_light_to_dark():
    colour, skin = surface(plain_appearances(30))
    brightness = colour.mean((1, 2))
    # The scale's third tone is yellower, not darker, than its second.
    assert (brightness[:-6] > brightness[6:]).all()
    assert brightness[0] > 5 * brightness[-1]
    assert (skin == 1).all()


def test_cloth_covers_the_arm_up_to_the_edge_of_the_sleeve():
    appearance = replace(plain_appearances(2), sleeve=torch.tensor([SLEEVE_NONE, -0.5]))
    _, skin = surface(appearance)
    assert (skin[0] == 1).all()
    assert torch.equal(skin[1] == 0, MODEL.vertices[:, 1] < -0.5)


def test_a_ring_is_a_band_around_one_finger():
    appearance = replace(plain_appearances(2), ring=torch.tensor([-1.0, 0.08]), ring_finger=torch.tensor([13, 13]))
    _, skin = surface(appearance)
    ring = MODEL.vertices[skin[1] == 0]
    assert (skin[0] == 1).all() and len(ring) >= 4
    bone = MODEL.joints[14] - MODEL.joints[13]
    along = (ring - MODEL.joints[13]) @ bone / bone.square().sum()
    assert along.min() > 0 and along.max() < 1
    middles = (MODEL.joints[[5, 9, 13, 17]] + MODEL.joints[[6, 10, 14, 18]]) / 2
    assert torch.cdist(ring, middles).argmin(1).eq(2).float().mean() > 0.9, "on a finger beside it"


def test_grain_is_noise_at_its_grid_points():
    random = torch.Generator().manual_seed(3)
    points = (torch.randint(32, (500, 3), generator=random) + 0.5) / 32
    torch.testing.assert_close(grain(points, 0), noise(points, 0), atol=1e-3, rtol=0)


def test_albedo_is_between_zero_and_one():
    colour, _ = surface(sample_appearance(40, torch.Generator().manual_seed(2), CPU))
    assert colour.isfinite().all() and colour.min() > 0 and colour.max() <= 1


def test_noise_repeats_after_its_period_and_has_unit_variance():
    points = torch.rand(4000, 3, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(noise(points + 2, 0), noise(points, 0), atol=1e-3, rtol=0)
    assert (noise(points, 0).std(0) > 0.6).all() and (noise(points, 0).std(0) < 1.2).all()


def test_held_out_hands_have_another_noise_texture():
    points = torch.rand(4000, 3, generator=torch.Generator().manual_seed(3))
    related = torch.corrcoef(torch.cat([noise(points, 0).T, noise(points, 1).T]))[:4, 4:]
    assert related.abs().max() < 0.3


def test_light_is_additive():
    lights = sample_lights(1, torch.Generator().manual_seed(4), CPU)
    dark = replace(lights, colour=torch.zeros_like(lights.colour), above=torch.zeros(1, 3), below=torch.zeros(1, 3))
    lamps, sky = replace(lights, above=dark.above, below=dark.below), replace(lights, colour=dark.colour)
    assert (lit(dark) == 0).all()
    torch.testing.assert_close(lit(lamps) + lit(sky), lit(lights))
    torch.testing.assert_close(lit(replace(lamps, colour=2 * lamps.colour)), 2 * lit(lamps))
    torch.testing.assert_close(lit(sky, ambient_visibility=0.5), 0.5 * lit(sky))


def test_surfaces_facing_away_from_all_lights_are_dark():
    lights = sample_lights(1, torch.Generator().manual_seed(5), CPU)
    towards = torch.nn.functional.normalize(torch.tensor([[0.2, -0.5, -0.8]]), dim=1)
    only = replace(lights, direction=towards[:, None].expand(1, 3, 3), above=torch.zeros(1, 3), below=torch.zeros(1, 3))
    random = torch.Generator().manual_seed(1)
    facing = torch.nn.functional.normalize(torch.randn(50, 3, generator=random), dim=1) @ towards[0]
    light = lit(only).sum(1)
    # Light wraps around skin by up to 0.3.
    assert (light[facing < -0.31] == 0).all()
    assert light[facing > 0.8].min() > light[facing < 0.2].max()


@pytest.mark.parametrize("value", [0.0, 0.2, 1.0])
def test_linear_inverts_the_srgb_power(value):
    assert linear(torch.tensor(value)) ** (1 / 2.2) == pytest.approx(value, abs=1e-6)
