"""Hands as NumPy arrays (.npz).

Of N hands, NaN where a value is unknown: captured_ns (N,), index (N,), skew_ns (N,), side (N,) str, joints (N, 21, 3) unit hands,
joints_mm (N, 21, 3), joint_sigma_mm (N, 21), rotations (N, 21, 4), hand_size_mm (N,), weight_left (N, 21), wrist_mm (N, 3),
R_right_from_left (N, 3, 3), and, of each view, joints_* (N, 21, 3), pixels_* (N, 21, 2) and confidence_* (N, 21).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hand.joints import JOINTS
from runtime.outputs.hand_line import HandLine, ViewLine


def write_arrays(hands: Sequence[HandLine], to: Path) -> None:
    """Compressed."""
    arrays = {
        "captured_ns": np.array([hand.captured_ns for hand in hands], np.int64),
        "index": np.array([hand.index for hand in hands], np.int64),
        "skew_ns": np.array([hand.skew_ns for hand in hands], np.int64),
        "side": np.array([hand.side for hand in hands], "U5"),
        "hand_size_mm": np.array([hand.hand_size_mm for hand in hands], float),
        "joints": _stack([hand.fused.joints for hand in hands], (JOINTS, 3)),
        "joints_mm": _stack([hand.joints_mm for hand in hands], (JOINTS, 3)),
        "joint_sigma_mm": _stack([hand.joint_sigma_mm for hand in hands], (JOINTS,)),
        "rotations": _stack([hand.rotations for hand in hands], (JOINTS, 4)),
        "weight_left": _stack([hand.fused.weight_left for hand in hands], (JOINTS,)),
        "wrist_mm": _stack([hand.wrist_mm for hand in hands], (3,)),
        "R_right_from_left": _stack([hand.R_right_from_left for hand in hands], (3, 3)),
    }
    for view in ("left", "right"):
        views: list[ViewLine] = [getattr(hand.views, view) for hand in hands]
        arrays[f"joints_{view}"] = _stack([each.joints for each in views], (JOINTS, 3))
        arrays[f"pixels_{view}"] = _stack([each.pixels for each in views], (JOINTS, 2))
        arrays[f"confidence_{view}"] = _stack([each.confidence for each in views], (JOINTS,))
    with to.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _stack(values: list, shape: tuple[int, ...]) -> np.ndarray:
    """(N, *shape), NaN in place of None."""
    nothing = np.full(shape, np.nan)
    return np.array([nothing if value is None else value for value in values], float).reshape(-1, *shape)
