"""Hands as motion of a skeleton (.bvh), for Blender, Maya, MotionBuilder and Unity.

Centimetres, y up, z to the viewer, origin the left camera; where no hand's place is known, the wrist. The skeleton has the mean
lengths of all hands. Left out are hands of the other side, and those whose place is not known in a file in which others' are.
Frames are evenly spaced at the usual distance between captures; where no hand was seen, the last pose is held. Rest pose: all
bones along y, as their axes are (`hand.bone_frames`).
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from hand.bone_frames import bone_axes
from hand.errors import UserError
from hand.joints import FINGERS, JOINT_NAMES, PARENTS, WRIST
from runtime.outputs.hand_line import HandLine

_SPACE_FROM_CAMERA = np.diag([1.0, -1.0, -1.0])
_CM_PER_MM = 0.1
_TURNING = (WRIST, *(joint for chain in FINGERS.values() for joint in chain[:-1]))
"""Joints in the order of the file."""
_CHANNELS = "Zrotation Xrotation Yrotation"


def write_bvh(hands: Sequence[HandLine], to: Path) -> None:
    """Raises UserError where there is no hand."""
    if not hands:
        raise UserError(f"there is no hand to write to {to}: give a recording that shows one")
    sides = [hand.side for hand in hands]
    side = max(("right", "left"), key=sides.count)
    hands = [hand for hand in hands if hand.side == side]
    hands = [hand for hand in hands if hand.joints_mm] or hands
    joints_mm = np.array([_placed(hand) for hand in hands]) @ _SPACE_FROM_CAMERA
    axes = np.array([bone_axes(joints, side) for joints in joints_mm])
    rows, period_s = _evenly([hand.captured_ns for hand in hands])
    offsets_cm = _offsets(joints_mm, axes) * _CM_PER_MM
    lines = ["HIERARCHY", *_hierarchy(offsets_cm), "MOTION", f"Frames: {len(rows)}", f"Frame Time: {period_s:.6f}"]
    values = np.concatenate([joints_mm[:, WRIST] * _CM_PER_MM, _angles_deg(axes)], 1)
    lines += [" ".join(f"{value:.4f}" for value in values[row]) for row in rows]
    to.write_text("\n".join(lines) + "\n", encoding="ascii")


def _placed(hand: HandLine) -> np.ndarray:
    """(21, 3) mm."""
    return np.array(hand.joints_mm) if hand.joints_mm else np.array(hand.fused.joints) * hand.hand_size_mm


def _evenly(captured_ns: Sequence[int]) -> tuple[np.ndarray, float]:
    """For each evenly spaced frame the number of the hand to show, and the seconds between frames."""
    at_ns = np.array(captured_ns)
    steps = np.diff(at_ns)
    period_ns = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1e9 / 30
    frames = at_ns[0] + np.arange(round((at_ns[-1] - at_ns[0]) / period_ns) + 1) * period_ns
    return np.searchsorted(at_ns, frames + period_ns / 2, side="right") - 1, period_ns / 1e9


def _offsets(joints_mm: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """(21, 3) of each joint in the axes of the bone before, the mean over all hands; the wrist's is zero."""
    offsets = np.zeros((len(JOINT_NAMES), 3))
    for chain in FINGERS.values():
        base = np.einsum("nji,nj->ni", axes[:, WRIST], joints_mm[:, chain[0]] - joints_mm[:, WRIST])
        offsets[chain[0]] = base.mean(0)
        for before, joint in pairwise(chain):
            offsets[joint, 1] = np.linalg.norm(joints_mm[:, joint] - joints_mm[:, before], axis=-1).mean()
    return offsets


def _hierarchy(offsets_cm: np.ndarray) -> list[str]:
    def offset(joint: int) -> str:
        return "OFFSET " + " ".join(f"{value:.4f}" for value in offsets_cm[joint])

    lines = ["ROOT wrist", "{", f"  {offset(WRIST)}", f"  CHANNELS 6 Xposition Yposition Zposition {_CHANNELS}"]
    for chain in FINGERS.values():
        for depth, joint in enumerate(chain[:-1], 1):
            pad = "  " * depth
            lines += [f"{pad}JOINT {JOINT_NAMES[joint]}", f"{pad}{{", f"{pad}  {offset(joint)}", f"{pad}  CHANNELS 3 {_CHANNELS}"]
        pad = "  " * len(chain)
        lines += [f"{pad}End Site", f"{pad}{{", f"{pad}  {offset(chain[-1])}", f"{pad}}}"]
        lines += [f"{'  ' * depth}}}" for depth in range(len(chain) - 1, 0, -1)]
    return [*lines, "}"]


def _angles_deg(axes: np.ndarray) -> np.ndarray:
    """(N, 3 · 16) angles about z, x, y of axes (N, 21, 3, 3): each joint's against the bone before, R = R_z R_x R_y."""
    angles = []
    for joint in _TURNING:
        R = axes[:, joint] if joint == WRIST else np.swapaxes(axes[:, PARENTS[joint]], -1, -2) @ axes[:, joint]
        x = np.arcsin(np.clip(R[:, 2, 1], -1, 1))
        z, y = np.arctan2(-R[:, 0, 1], R[:, 1, 1]), np.arctan2(-R[:, 2, 0], R[:, 2, 2])
        angles += [z, x, y]
    return np.degrees(np.stack(angles, 1))
