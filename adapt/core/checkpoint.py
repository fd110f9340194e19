"""Checkpoints of an adaptation: all that resuming it needs, so that it continues exactly."""

import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from adapt.core.mean_teacher import MeanTeacher
from hand.errors import UserError

_MODULES = ("student", "teacher")


def save_progress(session: MeanTeacher, file: Path, epoch: int, source: Path) -> None:
    """Write a checkpoint after `epoch`, whole or not at all; `source`: the weights that adaptation began with.

    Raises UserError where it cannot be written.
    """
    tensors: dict[str, Tensor] = {"steps": torch.tensor(session.steps)}
    for name in _MODULES:
        tensors |= {f"{name}.{key}": value for key, value in getattr(session, name).state_dict().items()}
    for number, state in session.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{key}": value for key, value in state.items()}
    if session.R_right_from_left is not None:
        tensors["rotation"] = torch.from_numpy(session.R_right_from_left)
    part = file.with_suffix(f".{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        stored = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        save_file(stored, part, metadata={"epoch": str(epoch), "source": str(source.resolve())})
        part.replace(file)
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot write {file}: {error}: give a --checkpoint folder that may be written to") from error


def progress_at(file: Path) -> tuple[int, Path] | None:
    """Epoch of a checkpoint and the weights that adaptation began with; None where it is missing, or those are gone."""
    try:
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata() or {}
    except (OSError, SafetensorError):
        return None
    source = Path(metadata.get("source", ""))
    return (int(metadata["epoch"]), source) if "epoch" in metadata and source.is_file() else None


def load_progress(session: MeanTeacher, file: Path) -> None:
    """Resume from a checkpoint. Raises UserError where it is of another network."""
    with safe_open(file, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (safe_open is not a mapping)
    for name in _MODULES:
        prefix = f"{name}."
        own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        try:
            getattr(session, name).load_state_dict(own)
        except RuntimeError as error:
            raise UserError(f"{file} is of another network: give another --checkpoint folder, or begin anew") from error
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, number, key = name.split(".", 2)
            state.setdefault(int(number), {})[key] = value
    groups = session.optimiser.state_dict()["param_groups"]
    session.optimiser.load_state_dict({"state": state, "param_groups": groups})
    session.steps = int(tensors["steps"])
    if "rotation" in tensors:
        session.set_rotation(tensors["rotation"].numpy())
