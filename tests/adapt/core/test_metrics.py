"""Mono-M and Dual-M: what they leave out of account, that parts add up, and that they agree with the clip's own scorer."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from adapt.core.metrics import PairScores, joint_errors_mm, score_pairs
from capture.views import PerView
from hand.joints import unit_hand
from tests.paths import SHARED
from tests.runtime.hands import moving_hand, random_rotation

N = 12


class Pairs:
    """Truth, and predictions that are off at random, in random units and places."""

    def __init__(self, seed: int):
        rng = np.random.default_rng(seed)
        hands = moving_hand(rng, N) * rng.uniform(70, 110, (N, 1, 1))
        self.R = random_rotation(rng)
        self.truth_mm = PerView(hands + [20.0, 10, 500], hands @ self.R.T + [-20.0, 10, 400])
        self.predicted = self.truth_mm.map(lambda truth: unit_hand(truth + rng.normal(0, 8, truth.shape)))
        self.merged = unit_hand((self.predicted.left + self.predicted.right @ self.R) / 2)
        self.valid = PerView.of(lambda _: rng.random((N, 21)) < 0.8)
        self.every = PerView.of(lambda _: np.ones((N, 21), bool))

    def score(self, rows: slice = slice(None), valid: PerView[np.ndarray] | None = None, root: int = 0) -> PairScores:
        predicted, truth_mm, valid = (
            each.map(lambda v: v[rows]) for each in (self.predicted, self.truth_mm, valid or self.valid)
        )
        return score_pairs(predicted, self.merged[rows], self.R, truth_mm, valid, root)


@pytest.mark.parametrize("root", [0, 9])
def test_unit_and_place_of_hands_do_not_matter(root):
    pairs = Pairs(0)
    scale = np.random.default_rng(1).uniform(0.1, 900, (N, 1, 1))
    moved = pairs.predicted.map(lambda hands: hands * scale + [3.0, -2, 7])
    again = score_pairs(moved, pairs.merged * scale - 5, pairs.R, pairs.truth_mm, pairs.valid, root)
    before = pairs.score(root=root)
    assert (again.mono_m, again.dual_m) == pytest.approx((before.mono_m, before.dual_m), rel=1e-9)


def test_the_true_hand_is_off_by_nothing_and_a_root_never_is():
    pairs = Pairs(2)
    exact = score_pairs(pairs.truth_mm, pairs.truth_mm.left, pairs.R, pairs.truth_mm, pairs.valid)
    assert exact.mono_m == pytest.approx(0, abs=1e-9) and exact.dual_m == pytest.approx(0, abs=1e-9)
    for root in (0, 9):
        errors_mm = joint_errors_mm(pairs.predicted.left, pairs.truth_mm.left, root)
        assert (errors_mm[:, root] == 0).all() and (errors_mm[:, 20] > 0).all()


def test_scores_of_shards_add_up_to_those_of_the_whole():
    pairs = Pairs(3)
    whole = pairs.score()
    parts = sum((pairs.score(slice(shard, None, 5)) for shard in range(5)), PairScores())
    assert (parts.pairs, parts.missed) == (whole.pairs, whole.missed) == (N, 0)
    assert (parts.mono_m, parts.dual_m) == pytest.approx((whole.mono_m, whole.dual_m), rel=1e-12)


def test_only_valid_joints_count_each_as_much_as_any_other():
    pairs = Pairs(4)
    errors_mm = PerView.of(lambda view: joint_errors_mm(pairs.predicted[view], pairs.truth_mm[view]))
    expected = np.concatenate([errors_mm[view][pairs.valid[view]] for view in ("left", "right")]).mean()
    assert pairs.score().mono_m == pytest.approx(expected, rel=1e-12)


def test_joints_that_are_not_valid_may_be_anything():
    pairs = Pairs(10)
    before = pairs.score()
    for view in ("left", "right"):
        pairs.truth_mm[view][:, 1:9][~pairs.valid[view][:, 1:9]] = np.nan
    after = pairs.score()
    assert (after.pairs, after.mono_m, after.dual_m) == (N, before.mono_m, before.dual_m)


@pytest.mark.parametrize("spoilt", ["prediction", "merged", "truth"])
def test_a_pair_without_a_whole_hand_is_counted_as_missed_and_in_no_mean(spoilt):
    pairs = Pairs(5)
    if spoilt == "prediction":
        pairs.predicted.right[3] = np.nan
    elif spoilt == "merged":
        pairs.merged[3] = np.nan
    else:
        pairs.truth_mm.left[3] = 0
    scores = pairs.score()
    rest = pairs.score(slice(0, 3)) + pairs.score(slice(4, None))
    assert (scores.pairs, scores.missed) == (N - 1, 1)
    assert (scores.mono_m, scores.dual_m) == pytest.approx((rest.mono_m, rest.dual_m), rel=1e-12)


def test_a_wrong_rotation_shows_in_dual_m_alone():
    pairs = Pairs(6)
    before = pairs.score()
    pairs.R = random_rotation(np.random.default_rng(7))
    after = pairs.score()
    assert after.mono_m == before.mono_m and after.dual_mm.left == before.dual_mm.left
    assert after.dual_mm.right.value > before.dual_mm.right.value + 10


def test_the_line_is_the_published_ones():
    scores = Pairs(8).score()
    line = scores.line(1, 0, (1, 2))
    told = re.fullmatch(r"1-set0-1,2: num:(\d+), Mono-M:(\d+\.\d\d), Dual-M:(\d+\.\d\d)", line)
    assert told is not None and int(told[1]) == 2 * N
    assert (float(told[2]), float(told[3])) == pytest.approx((scores.mono_m, scores.dual_m), abs=0.0051)
    assert PairScores().line(0, 1, (2, 3)) == "0-set1-2,3: num:0, Mono-M:nan, Dual-M:nan"


def test_a_clips_own_scorer_says_the_same(tmp_path):
    scorer, clip = SHARED / "eval" / "score_clip.py", SHARED / "clips" / "two_webcams"
    if not (scorer.is_file() and clip.is_dir()):
        pytest.skip("the clip and its scorer are not beside the repository")
    rng = np.random.default_rng(9)
    reference = np.load(clip / "reference.npz")
    truth_mm = PerView(reference["joints_left_mm"], reference["joints_right_mm"])
    kept = np.flatnonzero(np.isfinite(truth_mm.left + truth_mm.right).all((1, 2)))
    truth_mm = truth_mm.map(lambda mm: mm[kept])
    R = random_rotation(rng)
    predicted = truth_mm.map(lambda mm: mm - mm[:, :1] + rng.normal(0, 9, mm.shape))
    predicted = predicted.map(lambda mm: mm - mm[:, :1])
    merged = predicted.left * 0.7 + predicted.right @ R * 0.3
    lines = [
        {
            "index": int(index),
            "side": "right",
            "views": {view: {"joints": predicted[view][row].tolist()} for view in ("left", "right")},
            "fused": {"joints": merged[row].tolist()},
            "R_right_from_left": R.tolist(),
        }
        for row, index in enumerate(kept)
    ]
    file = tmp_path / "hands.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    command = [sys.executable, str(scorer), str(file), str(clip), "--json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    valid = predicted.map(lambda mm: np.ones(mm.shape[:2], bool))
    scores = score_pairs(predicted, merged, R, truth_mm, valid)
    assert told["missed"] == 0 and told["pairs"] == scores.pairs
    ours = (scores.mono_m, scores.mono_mm.right.value, scores.dual_m, scores.dual_mm.right.value)
    assert ours == pytest.approx((told["mono_m_mm"], told["mono_right_mm"], told["dual_m_mm"], told["dual_right_mm"]), rel=1e-7)
