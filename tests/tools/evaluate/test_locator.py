"""The locator's yardstick: what counts as found, and pictures and references as they lie on disk."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from hand.errors import UserError
from hand.synth.scenes import Scenes
from runtime.estimators.locator import FoundHand, load_locator
from runtime.estimators.tracker import overlap
from tests.paths import SHARED
from tools.evaluate.locator import (
    SEARCH_SCORE,
    clip_pictures,
    drawn_table,
    real_table,
    score_drawn,
    score_real,
    still_pictures,
)

JOINTS = np.stack([np.linspace(20, 40, 21), np.linspace(30, 50, 21)], 1)


def scenes(shown: list[list[bool]], unsure: list[list[bool]]) -> Scenes:
    """Scenes with a hand of 30 px at (20, 20) and a left one of 20 px at (70, 60)."""
    n = len(shown)
    return Scenes(
        torch.zeros(n, 96, 96, 3, dtype=torch.uint8),
        torch.tensor([[20.0, 20], [70, 60]]).expand(n, 2, 2),
        torch.zeros(n, 2, 21, 2),
        torch.tensor([30.0, 20]).expand(n, 2),
        torch.tensor([False, True]).expand(n, 2),
        torch.tensor(shown),
        torch.tensor(unsure),
    )


BOTH, NEITHER = [True, True], [False, False]
FIRST, SECOND = FoundHand((20.0, 20.0), 30.0, False, 0.9), FoundHand((70.0, 60.0), 20.0, True, 0.8)


def test_boxes_overlap_wholly_partly_or_not_at_all():
    centre = np.array([10.0, 20])
    assert overlap((10, 20), 8, centre, 8) == 1
    assert overlap((14, 20), 8, centre, 8) == pytest.approx(1 / 3)
    assert overlap((10, 20), 4, centre, 8) == pytest.approx(1 / 4)
    assert overlap((30, 20), 8, centre, 8) == 0


def test_perfect_answers_score_perfectly():
    score = score_drawn([[FIRST, SECOND], []], scenes([BOTH, NEITHER], [NEITHER, NEITHER]))
    assert (score.found, score.precision, score.side, score.centre_boxes) == (1, 1, 1, 0)
    assert score.false_per_frame == score.false_per_empty_frame == 0


@pytest.mark.parametrize(
    "wrong",
    [
        FIRST._replace(centre=(20.0, 32.0)),
        FIRST._replace(size=60.0),
        FIRST._replace(size=15.0),
        FIRST._replace(centre=(70.0, 20.0)),
    ],
)
def test_a_box_beside_a_hand_or_of_another_size_is_a_false_alarm(wrong):
    score = score_drawn([[wrong]], scenes([BOTH], [NEITHER]))
    assert (score.found, score.precision, score.false_per_frame) == (0, 0, 1)


def test_a_second_box_on_the_same_hand_is_a_false_alarm():
    score = score_drawn([[FIRST, FIRST]], scenes([BOTH], [NEITHER]))
    assert (score.found, score.precision, score.false_per_frame) == (0.5, 0.5, 1)


def test_hardly_visible_hands_may_be_found_and_may_be_missed():
    for answer in ([FIRST], []):
        score = score_drawn([answer], scenes([[False, True]], [[True, False]]))
        assert (score.found, score.false_per_frame) == (0, 0)


def test_sides_are_counted_over_found_hands_and_alarms_over_empty_frames():
    score = score_drawn([[FIRST._replace(left=True), SECOND], [FIRST]], scenes([BOTH, NEITHER], [NEITHER, NEITHER]))
    assert (score.side, score.false_per_frame, score.false_per_empty_frame) == (0.5, 0.5, 1)


@pytest.fixture
def stills(tmp_path) -> Path:
    picture = np.zeros((64, 80, 3), np.uint8)
    picture[..., 2] = 200
    cv2.imwrite(str(tmp_path / "one.png"), picture)
    (tmp_path / "reference.json").write_text(json.dumps({"one.png": {"keypoints_px": JOINTS.tolist()}}))
    return tmp_path


def test_photographs_come_as_rgb_with_their_joints(stills):
    [(image, joints)] = still_pictures(stills)
    assert image.shape == (64, 80, 3)
    assert image[0, 0].tolist() == [200, 0, 0]
    np.testing.assert_array_equal(joints, JOINTS)


def test_a_missing_reference_or_photograph_is_named(stills, tmp_path):
    (stills / "one.png").unlink()
    with pytest.raises(UserError, match="one.png"):
        list(still_pictures(stills))
    with pytest.raises(UserError, match=r"reference\.json"):
        list(still_pictures(tmp_path / "nowhere"))


def test_a_clip_gives_the_frames_that_have_a_reference(tmp_path):
    video = cv2.VideoWriter(str(tmp_path / "left.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 30, (64, 48))
    for level in (0, 120, 240):
        video.write(np.full((48, 64, 3), level, np.uint8))
    video.release()
    joints = np.stack([JOINTS, np.full((21, 2), np.nan), JOINTS + 1])
    np.savez(tmp_path / "reference.npz", keypoints_left_px=joints)
    pictures = list(clip_pictures(tmp_path, "left"))
    assert [abs(int(image.mean()) - level) < 8 for (image, _), level in zip(pictures, (0, 240), strict=True)] == [True, True]
    np.testing.assert_array_equal(pictures[1][1], JOINTS + 1)
    with pytest.raises(UserError, match=r"right\.mp4"):
        next(clip_pictures(tmp_path, "right"))


def test_a_plain_picture_holds_no_hand(stills):
    score = score_real(still_pictures(stills), load_locator(min_score=SEARCH_SCORE))
    assert score.frames == 1
    assert score.reported == 0
    with pytest.raises(UserError, match="no picture"):
        score_real([], load_locator())


@pytest.mark.skipif(not (SHARED / "clips").is_dir(), reason="the shared clips are not here")
def test_real_photographs_are_scored_and_a_report_tells_all():
    score = score_real(still_pictures(SHARED / "clips/stills"), load_locator(min_score=SEARCH_SCORE))
    assert score.frames == 30
    assert 0.7 <= score.best <= score.any
    assert score.reported <= score.any
    assert f"{score.best:.3f}" in real_table({"photographs": score})
    drawn = score_drawn([[FIRST]], scenes([BOTH], [NEITHER]))
    assert "0.500" in drawn_table({"people": drawn})
