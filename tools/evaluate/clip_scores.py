"""The errors of the whole program's hands on a recorded clip, as `stream.py --save` writes them.

For scoring only. The clip's folder is as in `tools.evaluate.real`.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capture.views import VIEWS, PerView
from hand.errors import UserError
from hand.joints import MIDDLE_MCP, unit_hand
from hand.rotations import angle_deg
from runtime.types import Side


@dataclass(frozen=True, slots=True)
class WholeScores:
    """Of all pairs that the reference covers."""

    mono_mm: float
    """Mean joint error of both views' own hands, wrist-aligned and scaled to the reference's wrist to middle MCP length."""
    dual_mm: float
    """The same of the merged hand, in both cameras' axes."""
    rotation_deg: float
    """Median error of the rotation in use."""
    missed: int
    """Pairs without a hand."""


def score_hands(hands: Path, clip: Path, side: Side = "right") -> WholeScores:
    """Raises UserError where no hand of that side matches a pair of the reference."""
    with np.load(clip / "reference.npz") as reference:
        truth_mm = PerView.of(lambda view: reference[f"joints_{view}_mm"])
    true_R = np.array(json.loads((clip / "calibration.json").read_text())["R_right_from_left"])
    by_pair: dict[int, dict] = {}
    for line in hands.read_text().splitlines():
        hand = json.loads(line)
        if hand["side"] == side:
            # Of several for one pair, the first.
            by_pair.setdefault(hand["index"], hand)
    covered = np.flatnonzero(np.isfinite(truth_mm.left).all((1, 2)) & np.isfinite(truth_mm.right).all((1, 2)))
    numbers = [int(number) for number in covered if int(number) in by_pair]
    if not numbers:
        raise UserError(f"{hands} has no {side} hand of a pair that the reference in {clip} covers")
    chosen = [by_pair[number] for number in numbers]
    R = np.array([hand["R_right_from_left"] for hand in chosen])
    fused = np.array([hand["fused"]["joints"] for hand in chosen])
    fused = PerView(fused, (fused - fused[:, :1]) @ R.mT)
    mono, dual = [], []
    for view in VIEWS:
        own = np.array([hand["views"][view]["joints"] for hand in chosen])
        mono.append(_error_mm(own, truth_mm[view][numbers]))
        dual.append(_error_mm(fused[view], truth_mm[view][numbers]))
    off_deg = [angle_deg(each, true_R) for each in R]
    return WholeScores(float(np.mean(mono)), float(np.mean(dual)), float(np.median(off_deg)), missed=len(covered) - len(numbers))


def _error_mm(joints: np.ndarray, truth_mm: np.ndarray) -> float:
    """Of hands (N, 21, 3) of any root and scale."""
    rooted = truth_mm - truth_mm[:, :1]
    length = np.linalg.norm(rooted[:, MIDDLE_MCP], axis=-1)[:, None, None]
    return float(np.linalg.norm(unit_hand(joints) * length - rooted, axis=-1).mean())
