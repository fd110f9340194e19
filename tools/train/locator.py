"""Train the locator on synthetic scenes: `python -m tools.train.locator runs/locator --minutes 25`.

Scenes are composed during training from cut-out hands and people, which are renewed continuously; each scene is used a few
times, mirrored and rotated by right angles. Runs are resumed from their checkpoint; the weights are saved every few minutes.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from hand import program
from hand.errors import UserError
from hand.outputs import ProgramFiles, with_manifest
from hand.synth.backgrounds import Backgrounds, Split
from hand.synth.cutouts import CutOutBank, PeopleBank
from hand.synth.scenes import SceneRenderer
from runtime.estimators.locator import ARCHITECTURE, DEEPEST_STRIDE, STRIDE, LocatorMaps
from runtime.networks.network import normalise
from runtime.networks.weights import Manifest, fill, load_tensors, save_tensors
from tools.evaluate.locator import find_drawn, score_drawn
from tools.train.backgrounds import DEFAULT_BANK
from tools.train.checkpoints import load_checkpoint, save_checkpoint
from tools.train.locator_losses import LocatorStudent, locator_loss
from tools.train.loop import PIECE_BYTES, learning_rate, log, optimiser_step, run_training, set_rate, update_teacher
from tools.train.scene_pool import ScenePool, join, varied

HELD_OUT_SEED = 1_000_000
"""Seed of the validation scenes; training seeds stay below."""
MEMORY = 0.999
"""The teacher is the mean of about the last thousand steps."""
STEM = 3
"""Stages of `LocatorNetwork.fine` above an eighth of the input's resolution."""


@dataclass
class Settings:
    """Train the locator on synthetic scenes."""

    run: tyro.conf.Positional[Path]
    """Folder of the run: checkpoint, weights and log; a run that is there already is resumed."""
    minutes: float = 25.0
    """Time to train in this call; the learning rate falls to zero at its end."""
    size: int = 96
    """Side of the scenes in px, divisible by 32."""
    longer_side: int = 96
    """What frames are shrunk to, px. Scenes may be smaller: what counts is a hand's size in pixels, not what is around it."""
    width: int = 24
    """Channels of the network's first stages."""
    batch: int = 24
    rate: float = 2.5e-3
    """Peak learning rate."""
    seed: int = 0
    backgrounds: Path | None = DEFAULT_BANK
    """Bank made by tools.train.backgrounds; 'None' for procedural backgrounds alone."""
    frozen_stem: bool = False
    """Freeze the first stages, which saves a third of a step; their filters converge first."""
    start: Path | None = None
    """A locator's weights to start from instead of random ones."""
    device: str = "auto"
    threads: int = 1
    hands: int = 600
    """Hands in stock."""
    people: int = 240
    """People in stock."""
    pool: int = 5000
    """Scenes in stock."""
    reuse: float = 3.0
    """How often a scene is used."""
    validate: int = 320
    """Held-out scenes a validation."""
    held_out_hands: int = 160
    held_out_people: int = 96
    validate_minutes: float = 4.0


class Run:
    """One training run: its networks, its data and its folder."""

    def __init__(self, settings: Settings):
        """Start, or resume where the folder holds a checkpoint. Raises UserError for settings and files that cannot be used."""
        if settings.size % DEEPEST_STRIDE:
            raise UserError(f"--size is {settings.size}, expected a multiple of {DEEPEST_STRIDE}")
        self.settings = settings
        auto = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(auto if settings.device == "auto" else settings.device)
        torch.set_num_threads(settings.threads)
        torch.manual_seed(settings.seed)
        weights = settings.run / "locator.safetensors"
        files = ProgramFiles().reads("--start", *with_manifest(settings.start)).reads("--backgrounds", settings.backgrounds)
        files.fills("RUN", settings.run).continues("RUN", *with_manifest(weights), settings.run / "log.jsonl").check()
        settings.run.mkdir(parents=True, exist_ok=True)
        self.checkpoint = settings.run / "checkpoint"
        self.student, self.teacher = (
            LocatorStudent(settings.width).to(self.device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
            for _ in range(2)
        )
        self.optimiser = self.student.optimiser(settings.rate)
        self.seen = self._restore()
        self.student.locator.fine[:STEM].requires_grad_(not settings.frozen_stem)
        self.steps = 0
        held_out = self._renderer("held_out", HELD_OUT_SEED, settings.held_out_hands, settings.held_out_people)
        self.held_out = join([held_out.render(32) for _ in range(max(1, settings.validate // 32))])
        # A resumed run renders other scenes than before.
        seed = settings.seed + 1 + self.seen % 900_000
        self.pool = ScenePool(self._renderer("train", seed, settings.hands, settings.people), settings.pool, settings.reuse)
        self._random = np.random.default_rng(seed)

    def _renderer(self, split: Split, seed: int, hands: int, people: int) -> SceneRenderer:
        places = Backgrounds.load(self.settings.backgrounds, split, self.device)
        bank, folk = CutOutBank(hands, seed, self.device), PeopleBank(people, seed, self.device)
        return SceneRenderer(self.settings.size, bank, places, seed, folk)

    def _restore(self) -> int:
        """Fill the networks from the checkpoint, else from the weights to start from; the scenes that they have seen."""
        if self.checkpoint.is_dir():
            seen = load_checkpoint(self.checkpoint, self.student, self.teacher, self.optimiser)
            print(f"resumed {self.checkpoint} after {seen:,} scenes")
            return seen
        seen = 0
        if self.settings.start:
            tensors, started = load_tensors(self.settings.start)
            fill(self.student.locator, tensors, self.settings.start)
            seen = started.images_seen or 0
        self.teacher.load_state_dict(self.student.state_dict())
        return seen

    def step(self, progress: float) -> dict[str, Tensor]:
        """Train on one batch at `progress` in [0, 1] of the run; its losses by name."""
        set_rate(self.optimiser, learning_rate(self.settings.rate, progress))
        scenes = varied(self.pool.take(self.settings.batch), self._random)
        self.student.train()
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            maps, joints = self.student(normalise(scenes.images).contiguous(memory_format=torch.channels_last))
        loss, figures = locator_loss(LocatorMaps(*(values.float() for values in maps)), joints.float(), scenes)
        optimiser_step(self.student, self.optimiser, loss)
        self.steps += 1
        self.seen += self.settings.batch
        update_teacher(self.teacher, self.student, self.steps, MEMORY)
        return figures

    def save(self, progress: float) -> None:
        """Validate the teacher; write log line, weights and checkpoint."""
        settings, locator = self.settings, self.teacher.locator
        figures = asdict(score_drawn(find_drawn(locator, self.held_out), self.held_out))
        shown = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
        tqdm.write(f"{self.seen:,} scenes, {progress:.0%} of the time: {shown}")
        line = {"seen": self.seen, "progress": progress, **figures, "settings": {k: str(v) for k, v in asdict(settings).items()}}
        log(settings.run / "log.jsonl", line)
        manifest = Manifest(
            architecture=ARCHITECTURE,
            root=0,
            crop_size=settings.longer_side,
            map_size=settings.longer_side // STRIDE,
            axes="frame",
            options={"width": settings.width},
            training_data="drawn scenes (hand.scenes)",
            seed=settings.seed,
            images_seen=self.seen,
            accuracy={f"validation_{name}": round(value, 4) for name, value in figures.items() if np.isfinite(value)},
        )
        save_tensors(settings.run / "locator.safetensors", locator.state_dict(), manifest)
        save_checkpoint(self.checkpoint, self.student, self.teacher, self.optimiser, self.seen, PIECE_BYTES)


def main(settings: Settings) -> None:
    """Train for as long as the settings say. Raises UserError for settings or files that cannot be used."""
    run_training(Run(settings), settings.batch, settings.minutes, None, settings.validate_minutes)


if __name__ == "__main__":
    program.run(main, Settings)
