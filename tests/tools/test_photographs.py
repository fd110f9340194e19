"""Every estimator finds the hand of a drawn picture, and what does not go together is refused in one sentence."""

from pathlib import Path

import numpy as np
import pytest

from hand.errors import UserError
from tests.runtime.drawn_pairs import drawn_pairs, true_pixels
from tools.photographs import load_network_engine, load_search


@pytest.mark.usefixtures("mediapipe_models")
@pytest.mark.parametrize("estimator", ["mediapipe-3d", "mediapipe", "mediapipe-lite"])
def test_the_hand_of_a_picture_is_found_once_with_its_side(estimator):
    pytest.importorskip("ai_edge_litert", reason="the extra [mediapipe] is not installed")
    (pair,) = drawn_pairs(1)
    find, image, truth = load_search(estimator), pair.left.image, true_pixels(pair).left
    (best,) = find(image, 70.0)
    assert best.hand.side == "right" and 0.5 < best.score <= 1
    assert np.median(np.linalg.norm(best.hand.pixels - truth, axis=1)) < 15
    (mirrored,) = find(np.ascontiguousarray(image[:, ::-1]), 70.0)
    assert mirrored.hand.side == "left"


@pytest.mark.usefixtures("mediapipe_models")
def test_a_picture_without_a_hand_gives_none_that_is_sure():
    pytest.importorskip("ai_edge_litert", reason="the extra [mediapipe] is not installed")
    black = np.zeros((96, 128, 3), np.uint8)
    assert load_search("mediapipe")(black) == []
    assert all(one.score < 0.5 for one in load_search("mediapipe-3d")(black))


def test_models_that_run_in_litert_alone_take_no_weights_and_no_boxes():
    with pytest.raises(UserError, match="--weights a.pth is for a network of ours: leave it out with --estimator mediapipe"):
        load_search("mediapipe", Path("a.pth"))
    with pytest.raises(UserError, match="--estimator mediapipe-lite runs in LiteRT alone: give mediapipe-3d"):
        load_network_engine("mediapipe-lite")
