"""Lines hold what is scored, and unusable clips are user errors."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from capture.views import PerView
from hand.joints import MIDDLE_MCP
from runtime.types import ViewHand
from tests.paths import ROOT
from tests.runtime.scenes import R_RIGHT_FROM_LEFT, Scene
from tools.prequential import hand_line


def test_a_line_holds_both_views_hands_and_the_merged_one():
    scene = Scene()
    hands = PerView.of(lambda view: ViewHand(view, "right", scene.truth(view), scene.pixels(view), np.full(21, 0.9)))
    told = json.loads(hand_line(7, hands, R_RIGHT_FROM_LEFT))
    assert told["index"] == 7 and told["side"] == "right"
    for view in ("left", "right"):
        np.testing.assert_allclose(told["views"][view]["joints"], scene.truth(view))
    # Views that agree through the rotation merge into the hand that both see.
    fused = np.array(told["fused"]["joints"])
    np.testing.assert_allclose(fused, scene.truth("left"), atol=1e-6)
    assert np.linalg.norm(fused[MIDDLE_MCP]) == pytest.approx(1)
    np.testing.assert_allclose(told["R_right_from_left"], R_RIGHT_FROM_LEFT)


def test_a_clip_that_is_not_there_is_said_in_a_sentence(tmp_path: Path):
    command = [sys.executable, "-m", "tools.prequential", tmp_path / "run", "--left", "none.mp4", "--right", "none.mp4"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2 and "none.mp4" in ended.stderr and len(ended.stderr.strip().splitlines()) == 1
