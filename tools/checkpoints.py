"""A training run's state on disk, in pieces small enough to travel."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


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
    fresh.mkdir(parents=True, exist_ok=True)
    for number, piece in enumerate(pieces):
        save_file(piece, fresh / f"{number:03d}.safetensors")
    if folder.is_dir():
        folder.rename(old)
    fresh.rename(folder)
    if old.is_dir():
        for file in old.iterdir():
            file.unlink()
        old.rmdir()


def load_checkpoint(folder: Path, student: nn.Module, teacher: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Restore what `save_checkpoint` wrote; returns the pictures seen."""
    tensors: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(file)
    for part, module in (("student", student), ("teacher", teacher)):
        module.load_state_dict(
            {name.removeprefix(f"{part}."): value for name, value in tensors.items() if name.startswith(f"{part}.")}
        )
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, number, key = name.split(".", 2)
            state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(tensors["seen"])
