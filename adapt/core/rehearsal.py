"""Rehearsal: synthetic hands with known joints in each step of adaptation, against forgetting.

With `spectra` they look more like the target domain: they take the amplitudes of its crops' low frequencies, which carry light,
tint and contrast; their own phases keep every edge, and so the labels (Yang & Soatto, "FDA", CVPR 2020).
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from tqdm import tqdm

from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer, SyntheticCrops
from hand.synth.spectrum import RADIUS, mix_amplitude
from hand.synth.turn import BORDER, turned
from runtime.estimators.framing import Framing

SEED = 5_000_000
"""First seed of the synthetic hands: neither those of training nor those of validation."""
MIXED = 0.5
"""Share of the synthetic images that take another spectrum."""
_ABSENT, _MIRRORED = 0.05, 0.06
"""Shares of images without a hand, and of left hands, as in training: there only the predicted error is trained."""
_RENDER_BATCH = 20


def render_bank(
    count: int,
    crop_size: int,
    framing: Framing,
    seed: int,
    backgrounds: Backgrounds | None = None,
    *,
    shown: bool = True,
) -> SyntheticCrops:
    """`count` hands with a border to turn them in, the same for the same seed; at 64 px some 15 ms each on a core.

    `backgrounds`: procedural ones if not given; `shown`: whether to show a progress bar.
    """
    places = backgrounds or Backgrounds.load(None, "train")
    renderer = CropRenderer(crop_size, places, SEED + seed, border=BORDER, framing=framing)
    steps = range(-(-count // _RENDER_BATCH))
    bar = tqdm(steps, desc="rendering hands for rehearsal", unit="hands", unit_scale=_RENDER_BATCH, disable=not shown)
    return SyntheticCrops.joined([renderer.render(_RENDER_BATCH, _ABSENT, _MIRRORED) for _ in bar]).rows(slice(count))


class Rehearsal:
    """Batches of synthetic hands in random order, augmented anew each time; deterministic by seed on one kind of device."""

    def __init__(
        self,
        bank: SyntheticCrops,
        share: float,
        seed: int,
        device: torch.device | str = "cpu",
        *,
        spectra: bool = False,
        read: Callable[[Tensor], Tensor] | None = None,
    ):
        """`share` in (0, 1): share of synthetic images among all that are trained on; `bank` from `render_bank`.

        `read`: what a network reads of images, where it is kept in place of them; hands are then turned once alone.
        """
        assert 0 < share < 1, f"a share of {share:g} is no rehearsal"
        self.share, self.spectra = share, spectra
        self._bank = bank.to(device)
        self._generator = torch.Generator(device=device).manual_seed(seed)
        self._order = torch.empty(0, dtype=torch.long, device=device)
        self._inputs: Tensor | None = None
        if read is not None:
            assert not spectra, "spectra change with the crops that they are taken from"
            self._bank = turned(self._bank, self._bank.images.shape[1] - 2 * BORDER, self._generator)
            self._inputs = read(self._bank.images)
            self._bank = replace(self._bank, images=self._bank.images[:, :0])

    def draw(self, images: Tensor) -> tuple[SyntheticCrops, Tensor | None]:
        """As `batch_for`; where a network's inputs are kept, hands without pictures, and these inputs."""
        if self._inputs is None:
            return self.batch_for(images), None
        rows = self._next(self._count(images))
        return self._bank.rows(rows), self._inputs[rows]

    def batch_for(self, images: Tensor) -> SyntheticCrops:
        """The synthetic hands that go with crops (N, S, S, 3) uint8 of the target domain."""
        count = self._count(images)
        drawn = turned(self._bank.rows(self._next(count)), images.shape[1], self._generator)
        return self._mixed(drawn, images) if self.spectra else drawn

    def _count(self, images: Tensor) -> int:
        return max(1, round(len(images) * self.share / (1 - self.share)))

    def _next(self, count: int) -> Tensor:
        while len(self._order) < count:
            whole = torch.randperm(len(self._bank.images), generator=self._generator, device=self._order.device)
            self._order = torch.cat([self._order, whole])
        rows, self._order = self._order[:count], self._order[count:]
        return rows

    def _mixed(self, drawn: SyntheticCrops, images: Tensor) -> SyntheticCrops:
        n, device = len(drawn.images), images.device

        def uniform() -> Tensor:
            return torch.rand(n, generator=self._generator, device=device)

        pick = torch.randint(len(images), (n,), generator=self._generator, device=device)
        others, own = (each.permute(0, 3, 1, 2).float() / 255 for each in (images[pick], drawn.images))
        # A grey camera: no amplitude would take the colours of a synthetic image away.
        grey = (others.amax(1) - others.amin(1)).amax((1, 2)) < 1e-4
        coloured = torch.where(grey[:, None, None, None], own.mean(1, keepdim=True), own)
        radius = RADIUS[0] * (RADIUS[1] / RADIUS[0]) ** uniform()
        mixed = mix_amplitude(coloured, others, uniform(), radius).clamp(0, 1)
        mixed = (mixed * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1)
        chosen = uniform() < MIXED
        return replace(drawn, images=torch.where(chosen[:, None, None, None], mixed, drawn.images))
