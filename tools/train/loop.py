"""The training loop of all networks: learning rate, optimiser step, averaged teacher, progress bar, saves and log."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec
import torch
from torch import Tensor, nn
from tqdm import tqdm

PIECE_BYTES = 15 << 20
"""Size of a checkpoint's pieces."""
_GRADIENT_NORM = 5.0
_SHOWN_EVERY = 20


class Run(Protocol):
    """A training run."""

    seen: int
    """Pictures trained on, counting each use."""
    steps: int

    def step(self, progress: float) -> dict[str, Tensor]:
        """Train on one batch at `progress` in [0, 1] of the run; its losses by name."""
        ...

    def save(self, progress: float) -> None:
        """Validate, and write log, weights and checkpoint."""
        ...


def learning_rate(peak: float, progress: float) -> float:
    """A short warm-up, a long plateau falling by half, then down to zero; `progress` in [0, 1]."""
    warm = min(1.0, progress / 0.01 + 0.02)
    falling = 0.5 * (1 + torch.cos(torch.tensor(min(1.0, progress) * torch.pi)).item())
    return peak * warm * max(falling, 1e-3)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


def optimiser_step(student: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One gradient step with the gradient's norm clipped."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(student.parameters(), _GRADIENT_NORM)
    optimiser.step()


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, steps: int, most: float) -> None:
    """Move the teacher to the average of the student's last 1 / (1 − `most`) steps, of fewer in the beginning."""
    decay = min(most, 1 - 1 / (1 + steps / 3))
    for kept, new in zip(teacher.state_dict().values(), student.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


def log(file: Path, line: Mapping[str, object]) -> None:
    """Append a line of JSON."""
    with file.open("ab") as out:
        out.write(msgspec.json.encode(line) + b"\n")


def run_training(run: Run, batch: int, minutes: float, pictures: int | None, save_minutes: float) -> None:
    """Train for `minutes`, or on so many `pictures`, with a progress bar, saving on the way and at the end."""
    first, begun = run.seen, time.monotonic()
    saved = begun

    def progress() -> float:
        if pictures is not None:
            return (run.seen - first) / pictures
        return (time.monotonic() - begun) / (minutes * 60)

    smooth: dict[str, float] = {}
    with tqdm(unit="img", unit_scale=True, initial=run.seen, smoothing=0.05, mininterval=5) as bar:
        done = 0.0
        # However short the time, there is at least one step.
        while done < 1:
            figures = run.step(done)
            if run.steps % _SHOWN_EVERY == 0:
                for name, value in figures.items():
                    smooth[name] = 0.95 * smooth.get(name, value.item()) + 0.05 * value.item()
                bar.set_postfix({name: f"{value:.2f}" for name, value in smooth.items()}, refresh=False)
            bar.update(batch)
            done = progress()
            if time.monotonic() - saved > save_minutes * 60:
                run.save(done)
                saved = time.monotonic()
        run.save(1.0)
