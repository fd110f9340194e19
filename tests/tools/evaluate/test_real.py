"""A clip and photographs are scored by their own reference: perfect answers are 0 mm off, and nothing else is."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.rotations import from_vector
from runtime.engines.engine import Predictions
from runtime.engines.selection import select_engine
from runtime.estimators.crop import CropCamera
from runtime.estimators.framing import box_around
from runtime.estimators.locator import load_locator
from runtime.networks.weights import Manifest
from tests.runtime.hands import flexed_hand, moving_hand
from tools.evaluate.real import clip_report, overlap, score_clip, score_stills, stills_report
from tools.photographs import LOCATOR_SCORE, NetworkSearch

SIDE, SIZE, PAIRS = 128, 64, 6
CAMERA = PinholeCamera.from_fov(SIDE, SIDE)
R_RIGHT_FROM_LEFT = from_vector(np.array([0.1, -1.0, 0.2]))
HANDS = moving_hand(np.random.default_rng(0), PAIRS)


def projected(joints: np.ndarray) -> np.ndarray:
    """(N, 21, 2) px of hands in the middle of the picture, where crops are not turned."""
    flat = joints[..., :2] - (joints[..., :2].min(1, keepdims=True) + joints[..., :2].max(1, keepdims=True)) / 2
    return flat * 25 + (SIDE - 1) / 2


VIEWS = np.stack([HANDS, HANDS @ R_RIGHT_FROM_LEFT.T], 1)
PIXELS = np.stack([projected(VIEWS[:, view]) for view in (0, 1)], 1)


@pytest.fixture
def clip(tmp_path) -> Path:
    """Frames of one colour; the reference of the third pair is missing."""
    for name in ("left", "right"):
        video = cv2.VideoWriter(str(tmp_path / f"{name}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 30, (SIDE, SIDE))
        for _ in range(PAIRS):
            video.write(np.full((SIDE, SIDE, 3), (200, 90, 40), np.uint8))
        video.release()
    joints = VIEWS * 83.0 + np.array([10.0, 20.0, 400.0])
    joints[2] = np.nan
    np.savez(
        tmp_path / "reference.npz",
        joints_left_mm=joints[:, 0],
        joints_right_mm=joints[:, 1],
        keypoints_left_px=PIXELS[:, 0],
        keypoints_right_px=PIXELS[:, 1],
    )
    (tmp_path / "calibration.json").write_text(json.dumps({"R_right_from_left": R_RIGHT_FROM_LEFT.tolist()}))
    return tmp_path


class Reciting:
    """An engine that gives the clip's true hands in their order, both views at once, but for the pair without a reference."""

    description = "recites"
    manifest = Manifest(architecture="detnet", root=0, crop_size=SIZE, map_size=8, axes="crop", training_data="none")

    def __init__(self, right_turned: np.ndarray | None = None):
        self.pairs = iter([number for number in range(PAIRS) if number != 2])
        self.turn = np.eye(3) if right_turned is None else right_turned
        self.images: list[np.ndarray] = []

    def __call__(self, images: np.ndarray) -> Predictions:
        assert len(images) == 2
        self.images.append(images)
        number = next(self.pairs)
        joints = np.stack([VIEWS[number, 0], VIEWS[number, 1] @ self.turn.T])
        pixels = np.stack([self._in_crop(hand) for hand in PIXELS[number]])
        return Predictions(joints, pixels, np.full((2, 21), 0.8))

    def _in_crop(self, pixels: np.ndarray) -> np.ndarray:
        centre, size = box_around(pixels)
        return CropCamera.at(CAMERA, centre, size, SIZE, mirror=False).crop_from_frame(pixels)


def test_the_truth_is_right_in_every_figure(clip):
    scores = score_clip(Reciting(), clip)
    assert len(scores.mono_mm) == PAIRS - 1
    for errors in (scores.mono_mm, scores.dual_mm, scores.dual_true_mm):
        np.testing.assert_allclose(errors, 0, atol=0.1)
    assert scores.rotation_deg < 0.2 and scores.error_px.max() < 0.1 and scores.error_share.max() < 1e-3
    assert f"{PAIRS - 1} pairs" in clip_report(scores) and "PCK@0.1 1.000" in clip_report(scores)


def test_a_view_that_is_turned_spoils_what_it_should(clip):
    scores = score_clip(Reciting(from_vector(np.array([0.0, 0.0, 0.3]))), clip)
    np.testing.assert_allclose(scores.mono_mm[:, 0], 0, atol=0.1)
    assert scores.mono_mm[:, 1].mean() > 10
    # The estimated rotation takes the turn in; the true one does not.
    assert scores.rotation_deg == pytest.approx(np.degrees(0.3), abs=0.5)
    np.testing.assert_allclose(scores.dual_mm[:, 0], 0, atol=0.3)
    assert scores.dual_true_mm.mean() > 3
    assert scores.error_px.max() < 0.1


@pytest.mark.parametrize(("colour", "coloured"), [("as taken", True), ("grey", False), ("hues turned", True)])
def test_a_clip_is_shown_in_the_colours_that_are_asked_for(clip, colour, coloured):
    engine = Reciting()
    scores = score_clip(engine, clip, colour)
    assert scores.mono_mm.max() < 0.1 and f"clip, {colour}," in clip_report(scores, colour)
    assert bool(np.ptp(np.concatenate(engine.images), axis=-1).max() > 30) == coloured


@pytest.mark.parametrize("name", ["left.mp4", "reference.npz", "calibration.json"])
def test_a_missing_file_is_named(clip, name):
    (clip / name).unlink()
    with pytest.raises(UserError, match=f"{name} is not there"):
        score_clip(Reciting(), clip)


def test_photographs_are_scored_given_and_searched(tmp_path):
    pixels = projected(HANDS[:1])[0]
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((SIDE, SIDE, 3), 128, np.uint8))
    (tmp_path / "reference.json").write_text(json.dumps({"grey.png": {"keypoints_px": pixels.tolist()}}))
    scores = score_stills(select_engine(), NetworkSearch(select_engine(), load_locator(min_score=LOCATOR_SCORE)), tmp_path)
    assert scores.given.shape == scores.searched.shape == (1, 21) and scores.found in (0, 1)
    # There is no hand to see, so nobody can be right.
    assert scores.given.mean() > 0.02
    assert f"found {scores.found}" in stills_report(scores)
    with pytest.raises(UserError, match=r"reference\.json is not there"):
        score_stills(select_engine(), NetworkSearch(select_engine(), load_locator()), tmp_path / "elsewhere")


def test_boxes_overlap_by_their_common_share():
    hand = flexed_hand()[:, :2]
    assert overlap(hand, hand) == pytest.approx(1)
    assert overlap(hand, hand + [np.ptp(hand[:, 0]) / 2, 0]) == pytest.approx(1 / 3)
    assert overlap(hand, hand + 10) == 0
