"""Appearance of people and of objects on their desks: faces, hair, clothes, per fragment, in linear RGB."""

from dataclasses import dataclass, replace

import torch

from hand.model import REGIONS
from hand.synth.appearance import Appearance, Surface, albedo, linear, noise, sample_appearance

SKIN_REGIONS = (*REGIONS, "tip")
"""The regions that `hand.synth.appearance.albedo` takes, by name."""
HEAD, TORSO, ARM, LEG = range(4)
"""Parts of a body."""


@dataclass(frozen=True, slots=True)
class Outfits:
    """Appearance of N people and of the objects on their desks."""

    appearance: Appearance
    """That of their hands; its sleeves and its two colours of cloth, top and trousers, are the body's too."""
    sleeve: torch.Tensor
    """(N,) share of the arm that is clothed."""
    hem: torch.Tensor
    """(N,) share of the leg that is clothed."""
    neck: torch.Tensor
    """(N,) height of the neckline, metres from the eyes."""
    face: torch.Tensor
    """(N, 5) random numbers in [0, 1]: lightness and redness of the hair; beard, glasses and baldness below a threshold."""
    desk: torch.Tensor
    """(N, 3) colour, linear."""
    objects: torch.Tensor
    """(N, T, 2, 3) two colours each."""


def sample_outfits(n: int, objects: int, generator: torch.Generator, device: torch.device, texture: int = 0) -> Outfits:
    """Outfits of `n` people with `objects` objects on each desk; `texture` as in `hand.synth.appearance`."""

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(n, *shape, generator=generator, device=device)

    def plain(*shape: int) -> torch.Tensor:
        # Most objects are nearly grey.
        vivid = 0.12 * torch.randn(n, *shape, 3, generator=generator, device=device)
        return linear(0.05 + 0.95 * uniform(*shape, 1) + vivid).clamp(0.01, 1)

    appearance, long = sample_appearance(n, generator, device, texture), uniform() < 0.45
    cuff = torch.where(long, -0.25 - 0.4 * uniform(), torch.full_like(appearance.sleeve, -9.0))
    short = torch.where(uniform() < 0.8, 0.15 + 0.35 * uniform(), torch.full_like(cuff, -0.1))
    cloth = torch.lerp(appearance.cloth.mean(2, keepdim=True), appearance.cloth, uniform(2, 1) ** 2)
    return Outfits(
        appearance=replace(appearance, sleeve=cuff, cloth=cloth),
        sleeve=torch.where(long, torch.full_like(cuff, 1.2), short),
        hem=torch.where(uniform() < 0.7, torch.full_like(cuff, 1.1), 0.3 + 0.3 * uniform()),
        neck=-0.19 - 0.08 * uniform(),
        face=uniform(5),
        desk=plain(),
        objects=plain(objects, 2),
    )


def body_surface(
    outfits: Outfits, image: torch.Tensor, rest: torch.Tensor, part: torch.Tensor, limb: torch.Tensor, joints: torch.Tensor
) -> Surface:
    """Material of points on bodies.

    `image` (K,) index of the person; `rest` (K, 3) position on the mean body at rest, from between the eyes; `part` (K,);
    `limb` (K,) position along arm or leg; `joints` (21, 3) of the rest hand.
    """
    appearance = outfits.appearance
    no_regions = {name: torch.zeros_like(rest[:, :1]) for name in SKIN_REGIONS}
    # Far beyond the fingers, where no hand has a sleeve, a strap or a ring: plain skin.
    beyond = rest * 6 * rest.new_tensor([1, 0, 1]) + rest.new_tensor([0, 9.0, 0])
    skin, _, gloss = albedo(appearance, image, beyond, no_regions, joints)
    chest = rest[:, 2] < outfits.neck[image] + 0.25 * rest[:, 0].abs()
    arm, leg = limb < outfits.sleeve[image], limb < outfits.hem[image]
    covered = torch.where(part == ARM, arm, torch.where(part == LEG, leg, chest)) & (part != HEAD)
    offset = appearance.offset[image]
    weave = noise(rest * (1 + 4 * offset[:, :1]) + offset, appearance.texture)
    printed = (weave[:, 1:2] > 0.6) & (offset[:, 1:2] > 0.7)
    striped = (torch.sin(rest[:, 2:] * 90) > 0.2) & (offset[:, 2:] > 0.8)
    second = printed | striped | (part == LEG)[:, None]
    cloth = torch.where(second, appearance.cloth[image, 1], appearance.cloth[image, 0]) * (1 + 0.12 * weave[:, :1])
    bare = face_colour(skin, rest, outfits.face[image])
    gloss = gloss * torch.where(covered, 0.2, 1.0)[:, None].expand_as(gloss)
    return Surface(torch.where(covered[:, None], cloth, bare).clamp(0.004, 1), (~covered).float(), gloss)


def scalp(rest: torch.Tensor) -> torch.Tensor:
    """(K,) 1 where hair grows, at points (K, 3) from between the eyes."""
    above = (rest[:, 2] - 0.055 + 0.9 * (rest[:, 1] + 0.02).clamp_max(0)) / 0.01
    behind = torch.minimum((rest[:, 1] - 0.075) / 0.01, (rest[:, 2] + 0.09) / 0.01)
    return torch.maximum(above, behind).clamp(0, 1)


def face_colour(skin: torch.Tensor, rest: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """Skin (K, 3) with hair, brows, eyes, mouth and sometimes a beard, at points `rest` (K, 3); `features` as `Outfits.face`."""
    x, z, front = rest[:, 0].abs(), rest[:, 2], (rest[:, 1] < 0.03).float()
    hair = (
        torch.stack(
            [features[:, 0] ** 2 * 0.5, features[:, 0] ** 2 * (0.25 + 0.2 * features[:, 1]), features[:, 0] ** 2 * 0.2], 1
        )
        + 0.006
    )

    def spot(height: float, aside: float, tall: float, wide: float) -> torch.Tensor:
        return (torch.exp(-(((z - height) / tall) ** 2) - ((x - aside) / wide) ** 2) * front)[:, None]

    colour = torch.lerp(skin, hair, 0.8 * (spot(0.021, 0.03, 0.005, 0.018) * 1.5).clamp_max(1))
    colour = torch.lerp(colour, torch.full_like(skin, 0.5), (spot(0.0, 0.031, 0.007, 0.014) * 1.4).clamp_max(1) * 0.6)
    colour = torch.lerp(colour, torch.full_like(skin, 0.01), (spot(0.0, 0.031, 0.006, 0.006) * 1.6).clamp_max(1))
    colour = colour * (1 - 0.4 * spot(-0.045, 0.008, 0.004, 0.006))
    lips = skin * skin.new_tensor([0.85, 0.5, 0.5])
    colour = torch.lerp(colour, lips, (spot(-0.072, 0.0, 0.008, 0.024) * 1.5).clamp_max(1))
    colour = colour * (1 - 0.5 * spot(-0.072, 0.0, 0.002, 0.022))
    beard = ((-0.05 - z + 0.4 * x) / 0.015).clamp(0, 1) * (z > -0.135) * front * (features[:, 2] < 0.25)
    colour = torch.lerp(colour, hair, 0.7 * beard[:, None] * (1 - spot(-0.072, 0.0, 0.008, 0.024)))
    glasses = ((((x - 0.032) / 0.024) ** 2 + ((z + 0.003) / 0.02) ** 2 - 1).abs() < 0.22) & (features[:, 3] < 0.25)
    colour = torch.where((glasses & (front > 0))[:, None], torch.full_like(skin, 0.02), colour)
    bald = (features[:, 4] < 0.1).float()
    return torch.lerp(colour, hair, (scalp(rest) * (1 - bald))[:, None])
