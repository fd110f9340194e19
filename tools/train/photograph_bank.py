"""Photographs in a batch of training (`--photos`): taken anew by a random camera, of other skin, some as the wrong hand.

The collections show few people, mostly light, before good cameras. So skin is darkened and cameras are those of drawn hands: grey
or infrared ones, dim light, blur, noise, JPEG. A mirrored picture shows a left hand in a right hand's crop, for which the network
is to be in doubt as it is for drawn ones.
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from hand.synth.appearance import linear
from hand.synth.crops import SyntheticCrops
from hand.synth.photo import Camera
from tools.train.bank import HandBank

MIRRORED = 0.1
"""Share of pictures that are shown as the wrong hand."""
DARKENED = 0.45
"""Share whose skin is darkened."""
EXCHANGED = 0.05
"""Share whose red and blue are exchanged."""
_DARKEST = (0.12, 0.09, 0.07)
"""Linear light of the darkest skin as a share of light skin's: red, green, blue."""
_SKIN_SPREAD = 0.28
"""How far skin's colour spreads around that of the joints: standard deviation of a channel's logarithm, without brightness."""


class PhotographBank:
    """Random batches of photographs out of shards (`tools.photos`)."""

    def __init__(self, folder: Path, crop_size: int, seed: int, weight_3d: float, device: torch.device):
        """`weight_3d`: how much the teacher's depth counts. Raises UserError as `HandBank` does."""
        self._bank = HandBank(folder, crop_size, seed, "tools.photos")
        self._weight_3d = weight_3d
        self._device = device
        self._generator = torch.Generator(device=device).manual_seed(seed)
        self._camera = Camera(self._generator, device)

    def take(self, n: int) -> SyntheticCrops:
        """`n` crops at random, each changed anew."""
        crops = self._bank.take(n).to(self._device)
        light = linear(crops.images.permute(0, 3, 1, 2).float() / 255)
        light = exchanged(darkened(light, crops.pixels, self._generator), self._generator)
        wrong = torch.rand(n, generator=self._generator, device=self._device) < MIRRORED
        light = torch.where(wrong[:, None, None, None], light.flip(3), light)
        # That it is the wrong hand is certain, whatever the teacher thinks of its joints.
        full = torch.ones_like(crops.weight)
        return replace(
            crops,
            images=self._camera.shoot(light),
            mirrored=wrong,
            weight=torch.where(wrong[:, None], full, crops.weight),
            weight_3d=torch.where(wrong[:, None], full, crops.weight_3d * self._weight_3d),
        )


def darkened(light: Tensor, pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (N, 3, S, S), linear light, some of them of darker skin: what has the colour of the joints (N, 21, 2) px."""
    n, _, side, _ = light.shape
    amount = torch.rand(n, generator=generator, device=light.device)
    chosen = torch.rand(n, generator=generator, device=light.device) < DARKENED
    amount = torch.where(chosen, amount, torch.zeros_like(amount))
    logarithm = light.clamp_min(1e-3).log()
    chroma = logarithm - logarithm.mean(1, keepdim=True)
    place = pixels.round().long().clamp(0, side - 1)
    cells = (place[..., 1] * side + place[..., 0])[:, None].expand(-1, 3, -1)
    skin = chroma.flatten(2).gather(2, cells).median(2).values
    distance = ((chroma - skin[..., None, None]) ** 2).sum(1, keepdim=True)
    share = torch.exp(-distance / (2 * _SKIN_SPREAD**2)) * amount[:, None, None, None]
    return light * light.new_tensor(_DARKEST)[:, None, None] ** share


def exchanged(light: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (N, 3, S, S), some of them with red and blue exchanged, as by a camera whose channels are mistaken."""
    chosen = torch.rand(len(light), generator=generator, device=light.device) < EXCHANGED
    return torch.where(chosen[:, None, None, None], light.flip(1), light)
