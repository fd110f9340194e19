"""Hands are judged as the published metrics judge them: true ones are 0 mm off, turned and missing ones are told."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from hand.errors import UserError
from hand.joints import unit_hand
from hand.rotations import from_vector
from tests.paths import SHARED
from tests.runtime.hands import moving_hand
from tools.evaluate.clip_scores import score_hands

COUNT = 6
R_RIGHT_FROM_LEFT = from_vector(np.array([0.1, -1.0, 0.2]))
HANDS = moving_hand(np.random.default_rng(0), COUNT)
SCORER = SHARED / "eval" / "score_clip.py"


@pytest.fixture
def clip(tmp_path) -> Path:
    """The reference of the third pair is missing."""
    joints = np.stack([HANDS, HANDS @ R_RIGHT_FROM_LEFT.T]) * 83.0 + np.array([10.0, 20.0, 400.0])
    joints[:, 2] = np.nan
    np.savez(tmp_path / "reference.npz", joints_left_mm=joints[0], joints_right_mm=joints[1])
    (tmp_path / "calibration.json").write_text(json.dumps({"R_right_from_left": R_RIGHT_FROM_LEFT.tolist()}))
    return tmp_path


def told(clip: Path, turn_deg: float = 0.0, noise: float = 0.0, without: tuple[int, ...] = (), side: str = "right") -> Path:
    """What the program might have written, its rotation off by `turn_deg`."""
    random = np.random.default_rng(1)
    R = from_vector(np.array([0, np.radians(turn_deg), 0])) @ R_RIGHT_FROM_LEFT
    lines = []
    for index in range(COUNT):
        if index in without:
            continue

        def seen(joints: np.ndarray) -> dict[str, list]:
            return {"joints": (unit_hand(joints) + random.normal(0, noise, (21, 3))).tolist()}

        left, right = seen(HANDS[index]), seen(HANDS[index] @ R_RIGHT_FROM_LEFT.T)
        fused = seen(HANDS[index])
        line = {"index": index, "side": side, "R_right_from_left": R.tolist(), "fused": fused}
        lines.append(json.dumps(line | {"views": {"left": left, "right": right}}))
    file = clip / "hands.jsonl"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_the_truth_is_not_off(clip):
    scores = score_hands(told(clip), clip)
    assert scores.mono_mm < 1e-6 and scores.dual_mm < 1e-6 and scores.rotation_deg < 1e-4 and scores.missed == 0


def test_a_wrong_rotation_shows_in_the_merged_hand_alone(clip):
    scores = score_hands(told(clip, turn_deg=20.0), clip)
    assert scores.mono_mm < 1e-6 and scores.dual_mm > 5 and scores.rotation_deg == pytest.approx(20.0, abs=1e-3)


def test_missing_pairs_are_counted_where_the_reference_has_them(clip):
    assert score_hands(told(clip, without=(1, 2)), clip).missed == 1
    with pytest.raises(UserError, match="no right hand"):
        score_hands(told(clip, side="left"), clip)


def test_the_scores_are_those_that_clips_are_scored_by(clip):
    if not SCORER.is_file():
        pytest.skip("the scorer of clips is not beside the repository")
    spec = importlib.util.spec_from_file_location("score_clip", SCORER)
    assert spec is not None and spec.loader is not None
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    file = told(clip, turn_deg=7.0, noise=0.1, without=(4,))
    wanted, scores = scorer.score(file.read_text().splitlines(), clip, "right"), score_hands(file, clip)
    assert scores.mono_mm == pytest.approx(wanted["mono_m_mm"]) and scores.dual_mm == pytest.approx(wanted["dual_m_mm"])
    assert scores.rotation_deg == pytest.approx(wanted["rotation_error_deg"]["median"], abs=1e-6)
    assert scores.missed == wanted["missed"] == 1
