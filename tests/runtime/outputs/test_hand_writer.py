"""hands.jsonl has a line for every hand, with both views."""

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest

from capture.views import PerView, View
from hand.errors import UserError
from hand.joints import unit_hand
from runtime.outputs.hand_writer import HandWriter
from tests.paths import SHARED
from tests.runtime.dual_hands import R_RIGHT_FROM_LEFT, dual_hand, frame_pair


def saved(tmp_path, hands) -> list[dict]:
    path = tmp_path / "made" / "hands.jsonl"
    writer = HandWriter(path, overwrite=True)
    for pair, hand in hands:
        writer.write(pair, hand)
    writer.close()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_hands_before_the_first_rotation_are_written_with_it(tmp_path):
    pairs = [frame_pair(seq) for seq in range(4)]
    rotations = [None, None, R_RIGHT_FROM_LEFT, np.eye(3)]
    lines = saved(tmp_path, [(pair, dual_hand(pair, rotation=r)) for pair, r in zip(pairs, rotations, strict=True)])
    assert [line["index"] for line in lines] == [0, 1, 2, 3]
    for line, expected in zip(lines, [R_RIGHT_FROM_LEFT] * 3 + [np.eye(3)], strict=True):
        np.testing.assert_allclose(line["R_right_from_left"], expected, atol=1e-8)


def test_a_view_without_a_hand_is_written_as_the_merged_hand(tmp_path):
    pair = frame_pair(0)

    def line(*views: View) -> dict:
        return saved(tmp_path, [(pair, dual_hand(pair, seen_by=views, rotation=R_RIGHT_FROM_LEFT))])[0]

    both, left, right = line("left", "right"), line("left"), line("right")
    assert [one["views"]["left"]["own"] for one in (both, left, right)] == [True, True, False]
    assert [one["views"]["right"]["own"] for one in (both, left, right)] == [True, False, True]
    for view in ("left", "right"):
        for one in (left, right):
            np.testing.assert_allclose(one["views"][view]["joints"], both["views"][view]["joints"], atol=2e-5)


def test_hands_are_saved_without_a_rotation(tmp_path):
    pairs = [frame_pair(seq) for seq in range(3)]
    lines = saved(tmp_path, [(pair, dual_hand(pair, seen_by=("left",))) for pair in pairs])
    assert [line["index"] for line in lines] == [0, 1, 2]
    assert all(line["R_right_from_left"] is None and line["rotation_uncertainty_deg"] is None for line in lines)
    assert all(line["views"]["right"]["joints"] is None for line in lines)


def test_a_given_rotation_that_is_not_tested_is_written_at_once_and_without_an_uncertainty(tmp_path):
    pairs = [frame_pair(seq) for seq in range(2)]
    given = replace(dual_hand(pairs[0], rotation=R_RIGHT_FROM_LEFT), rotation_uncertainty_deg=None)
    later = dual_hand(pairs[1], rotation=np.eye(3))
    first, _ = saved(tmp_path, [(pairs[0], given), (pairs[1], later)])
    assert first["rotation_uncertainty_deg"] is None
    np.testing.assert_allclose(first["R_right_from_left"], R_RIGHT_FROM_LEFT, atol=1e-8)


def test_times_and_frame_numbers_are_the_pairs_own(tmp_path):
    pair = frame_pair(7)
    (line,) = saved(tmp_path, [(pair, dual_hand(pair, rotation=R_RIGHT_FROM_LEFT))])
    assert [line["views"][view]["seq"] for view in ("left", "right")] == [7, 107]
    assert [line["views"][view]["captured_ns"] for view in ("left", "right")] == [pair.left.captured_ns, pair.right.captured_ns]
    assert line["skew_ns"] == pair.skew_ns
    assert line["merged_ns"] > line["started_ns"] > line["received_ns"]


def test_a_hand_of_the_right_camera_alone_is_in_left_axes_as_soon_as_the_rotation_is_known(tmp_path):
    pair = frame_pair(0)
    hand = dual_hand(pair, seen_by=("right",))
    assert hand.views.right is not None
    alone = replace(hand, joints=hand.views.right.joints, axes="right")
    (line,) = saved(tmp_path, [(pair, alone)])
    assert line["views"]["left"].get("joints") is None and line.get("R_right_from_left") is None
    np.testing.assert_allclose(line["fused"]["joints"], hand.views.right.joints, atol=1e-4)
    # The rotation of a later pair.
    line, _ = saved(tmp_path, [(pair, alone), (frame_pair(1), dual_hand(frame_pair(1), rotation=R_RIGHT_FROM_LEFT))])
    for joints in (line["fused"]["joints"], line["views"]["left"]["joints"]):
        np.testing.assert_allclose(joints, hand.joints, atol=1e-4)


def test_a_file_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/hands\.jsonl"):
        HandWriter(tmp_path / "file" / "hands.jsonl")
    with pytest.raises(UserError, match="--save"):
        HandWriter(tmp_path)


def test_the_clips_own_reference_saved_as_hands_scores_no_error(tmp_path):
    shared = SHARED
    clip, scorer = shared / "clips" / "two_webcams", shared / "eval" / "score_clip.py"
    if not (clip.is_dir() and scorer.is_file()):
        pytest.skip("the reference clip and its scorer are not beside this checkout")
    spec = importlib.util.spec_from_file_location("score_clip", scorer)
    assert spec and spec.loader
    score_clip = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(score_clip)
    reference = np.load(clip / "reference.npz")
    rotation = np.array(json.loads((clip / "calibration.json").read_text())["R_right_from_left"])
    hands = []
    for seq, (left, right) in enumerate(zip(reference["joints_left_mm"], reference["joints_right_mm"], strict=True)):
        if np.isfinite(left).all() and np.isfinite(right).all():
            pair = frame_pair(seq)
            hand = dual_hand(pair, rotation=rotation)
            assert hand.views.left and hand.views.right
            views = PerView(
                replace(hand.views.left, joints=unit_hand(left)),
                replace(hand.views.right, joints=unit_hand(right)),
            )
            hands.append((pair, replace(hand, joints=unit_hand(left), views=views)))
    result = score_clip.score([json.dumps(line) for line in saved(tmp_path, hands)], clip, "right")
    assert result["missed"] == 0
    assert result["mono_m_mm"] < 0.01 and result["dual_m_mm"] < 0.01
    assert result["rotation_error_deg"]["last"] < 0.01
