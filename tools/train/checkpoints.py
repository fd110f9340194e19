"""A training run's state on disk, in pieces small enough to travel."""

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hand.errors import UserError


def save_checkpoint(
    folder: Path, student: nn.Module, teacher: nn.Module, optimiser: torch.optim.Optimizer, seen: int, piece_bytes: int
) -> None:
    """Write everything that resuming needs; the old state stays whole until the new one is."""
    tensors: dict[str, Tensor] = {"seen": torch.tensor(seen)}
    for part, module in (("student", student), ("teacher", teacher)):
        tensors |= {f"{part}.{name}": value for name, value in module.state_dict().items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value for name, value in state.items()}
    pieces: list[dict[str, Tensor]] = [{}]
    room = piece_bytes
    for name, value in tensors.items():
        size = value.numel() * value.element_size()
        if size > room and pieces[-1]:
            pieces.append({})
            room = piece_bytes
        pieces[-1][name] = value.cpu().contiguous()
        room -= size
    fresh, old = folder.with_suffix(".new"), folder.with_suffix(".old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir(parents=True)
    for number, piece in enumerate(pieces):
        save_file(piece, fresh / f"{number:03d}.safetensors")
    if folder.is_dir():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(folder: Path, student: nn.Module, teacher: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Restore what `save_checkpoint` wrote; returns the pictures seen. Raises UserError for another network's checkpoint."""
    tensors: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(file)
    for part, module in (("student", student), ("teacher", teacher)):
        prefix = f"{part}."
        try:
            module.load_state_dict(
                {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            )
        except RuntimeError as error:
            raise UserError(f"{folder} is of another network: give this run a folder of its own") from error
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, number, key = name.split(".", 2)
            state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(tensors["seen"])
