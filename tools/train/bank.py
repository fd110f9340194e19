"""Render a bank of hands to train on, once for many runs: `python -m tools.train.bank data/hands --shards 60`.

On a CPU rendering a hand takes longer than training on it, so hands are rendered in advance, in shards. Each shard has its own
seed: several processes may fill one bank, shards may be added while networks are trained, and a shard is always the same.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from safetensors import safe_open
from safetensors.torch import load_file, save
from tqdm import tqdm

from hand import program
from hand.errors import UserError
from hand.files import saving
from hand.joints import JOINTS
from hand.outputs import ProgramFiles
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer, SyntheticCrops
from hand.synth.turn import BORDER
from tools.train.backgrounds import DEFAULT_BANK

SHARD = 2000
"""Crops a shard."""
_RENDER_BATCH = 20


@dataclass
class Settings:
    """Render a bank of synthetic hands to train on."""

    bank: tyro.conf.Positional[Path]
    """Folder of the bank; existing shards are kept."""
    shards: int = 60
    """Shards that the bank is to hold, of 2,000 hands each."""
    crop_size: int = 64
    seed: int = 0
    absent: float = 0.05
    """Share of pictures without a hand."""
    mirrored: float = 0.06
    """Share of pictures of a left hand, for which DetNet-lite learns only a low confidence."""
    backgrounds: Path | None = DEFAULT_BANK
    """Bank made by tools.train.backgrounds; 'None' for procedural backgrounds alone."""
    backwards: bool = False
    """Begin with the last shard: for a second process that fills the same bank."""


def shard_file(bank: Path, number: int) -> Path:
    return bank / f"{number:05d}.safetensors"


def render_shard(settings: Settings, number: int, count: int = SHARD) -> SyntheticCrops:
    """The `number`-th shard: always the same."""
    torch.set_num_threads(1)
    # Seeds of shards lie far apart from each other and below those of held-out hands.
    seed = (settings.seed * 1_009 + number) % 900_000
    renderer = CropRenderer(settings.crop_size, Backgrounds.load(settings.backgrounds, "train"), seed, border=BORDER)
    bar = tqdm(range(0, count, _RENDER_BATCH), desc=f"shard {number}", unit="hands", unit_scale=_RENDER_BATCH, leave=False)
    return SyntheticCrops.joined([renderer.render(_RENDER_BATCH, settings.absent, settings.mirrored) for _ in bar])


def main(settings: Settings) -> None:
    """Render the shards that the bank lacks. Raises UserError for backgrounds that are not there."""
    ProgramFiles().reads("--backgrounds", settings.backgrounds).fills("BANK", settings.bank).check()
    numbers = range(settings.shards)
    for number in reversed(numbers) if settings.backwards else numbers:
        file = shard_file(settings.bank, number)
        if file.exists():
            continue
        crops = render_shard(settings, number)
        save_shard(crops, file)
        print(f"{file}: {len(crops.images):,} hands")


def save_shard(crops: SyntheticCrops, file: Path) -> None:
    """Raises UserError where it cannot be written."""
    tensors = {name: getattr(crops, name) for name in SyntheticCrops.__slots__}
    if not crops.taught.any():
        # Synthetic hands have full weight and no pseudo-labels.
        del tensors["weight"], tensors["weight_3d"], tensors["taught"]
    # Training reads complete files only.
    with saving(file) as part:
        part.write_bytes(save(tensors))


def load_shard(file: Path) -> SyntheticCrops:
    tensors = load_file(file)
    present = tensors["present"]
    full = {name: torch.ones(len(present), JOINTS) for name in ("weight", "weight_3d")}
    return SyntheticCrops(**full | {"taught": torch.zeros_like(present)} | tensors)


class HandBank:
    """Random batches from a bank's shards, all held in memory."""

    def __init__(self, folder: Path, crop_size: int, seed: int, maker: str = "tools.train.bank"):
        """`maker` is the tool that fills such folders. Raises UserError where this one is empty, or its crops are not of
        `crop_size` px.
        """
        self._folder = folder
        self._random = torch.Generator().manual_seed(seed)
        self._files: list[Path] = []
        self._shards: list[SyntheticCrops] = []
        found = self.crop_size_of(folder, maker)
        if found != crop_size:
            raise UserError(f"{folder} holds crops of {found} px, expected those of {crop_size}: give a bank of that size")
        self.refresh()

    @staticmethod
    def crop_size_of(folder: Path, maker: str = "tools.train.bank") -> int:
        """Side of the bank's crops in px. Raises UserError where the folder holds no shard."""
        file = next(iter(sorted(folder.glob("*.safetensors"))), None)
        if file is None:
            raise UserError(f"{folder} holds no hands to train on; make them with 'python -m {maker} {folder}'")
        with safe_open(file, "pt") as shard:
            return shard.get_slice("images").get_shape()[1] - 2 * BORDER

    def refresh(self) -> None:
        """Load the shards that were added since."""
        for file in sorted(set(self._folder.glob("*.safetensors")) - set(self._files)):
            self._shards.append(load_shard(file))
            self._files.append(file)

    def __len__(self) -> int:
        return sum(len(shard.images) for shard in self._shards)

    def take(self, n: int) -> SyntheticCrops:
        """`n` crops at random, from up to eight shards."""
        groups = min(8, n)
        sizes = [n // groups + (k < n % groups) for k in range(groups)]
        picks = torch.randint(len(self._shards), (groups,), generator=self._random).tolist()
        parts: list[SyntheticCrops] = []
        for size, number in zip(sizes, picks, strict=True):
            shard = self._shards[number]
            rows = torch.randint(len(shard.images), (size,), generator=self._random)
            parts.append(shard.rows(rows))
        return SyntheticCrops.joined(parts)


if __name__ == "__main__":
    program.run(main, Settings)
