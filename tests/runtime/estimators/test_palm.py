"""Decoding of the palm detector's outputs."""

import numpy as np
import pytest

from runtime.estimators.palm import INPUT_PX, anchors, palms_of
from runtime.estimators.square import Square

FRAME = Square((320.0, 240.0), 640.0)


def answer(*palms: tuple[tuple[float, float], float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Raw boxes and logits in which an anchor each says ((x, y), side, logit), in shares of the square; fingers up."""
    at = anchors()
    raw, logits = np.zeros((len(at), 18), np.float32), np.full(len(at), -20.0, np.float32)
    for (x, y), side, logit in palms:
        free = np.where(logits > -20, np.inf, np.linalg.norm(at - [x, y], axis=1))
        k = int(np.argmin(free))
        points = np.array([[0, 0.5], [0.3, -0.4], [0, -0.5], [-0.2, -0.4], [-0.4, -0.3], [0.4, 0.2], [0.5, 0]]) * side
        raw[k] = np.concatenate([[x, y] - at[k], [side, side], (points + [x, y] - at[k]).ravel()]) * INPUT_PX
        logits[k] = logit
    return raw, logits


def test_there_is_one_anchor_for_each_model_output():
    at = anchors()
    assert at.shape == (2016, 2) and at.min() > 0 and at.max() < 1
    np.testing.assert_allclose(at[:3], [[1 / 48, 1 / 48], [1 / 48, 1 / 48], [3 / 48, 1 / 48]])
    np.testing.assert_allclose(at[-1], [23 / 24, 23 / 24])


def test_palm_is_decoded_relative_to_its_anchor():
    (palm,) = palms_of(*answer(((0.25, 0.5), 0.1, 3.0)), anchors(), FRAME)
    np.testing.assert_allclose((palm.low_px, palm.high_px), [[128, 208], [192, 272]], atol=1e-3)
    np.testing.assert_allclose(palm.keypoints_px[0], [160, 272], atol=1e-3)
    assert palm.score == pytest.approx(1 / (1 + np.exp(-3.0)))


def test_palms_are_sorted_by_score_and_weak_ones_dropped():
    palms = palms_of(*answer(((0.2, 0.2), 0.1, 1.0), ((0.7, 0.7), 0.1, 4.0), ((0.5, 0.2), 0.1, -0.1)), anchors(), FRAME)
    assert [palm.score > 0.9 for palm in palms] == [True, False]


def test_boxes_of_one_palm_are_averaged_by_their_scores():
    (palm,) = palms_of(*answer(((0.5, 0.5), 0.2, 4.0), ((0.52, 0.5), 0.2, 0.5)), anchors(), FRAME)
    weight = 1 / (1 + np.exp(-np.array([4.0, 0.5])))
    x = 640 * (weight @ [0.5, 0.52]) / weight.sum()
    np.testing.assert_allclose((palm.low_px + palm.high_px) / 2, [x, 240], atol=1e-3)
    assert palm.score == pytest.approx(weight[0])


def test_no_palm_without_scores():
    assert palms_of(*answer(), anchors(), FRAME) == []


def test_hand_square_is_shifted_from_the_palm_towards_the_fingers():
    (palm,) = palms_of(*answer(((0.5, 0.5), 0.1, 3.0)), anchors(), FRAME)
    hand = palm.hand
    assert hand.roll_deg == pytest.approx(0, abs=1e-4) and hand.size_px == pytest.approx(2.6 * 64, rel=1e-5)
    np.testing.assert_allclose(hand.centre_px, [320, 240 - 32], atol=1e-3)


def test_palms_of_a_rotated_roi_are_in_frame_pixels():
    part = Square((100.0, 50.0), 200.0, 90.0)
    (palm,) = palms_of(*answer(((0.5, 0.5), 0.1, 3.0)), anchors(), part)
    np.testing.assert_allclose(palm.keypoints_px[0], [90, 50], atol=1e-3)
    assert palm.hand.roll_deg == pytest.approx(90, abs=1e-4)
