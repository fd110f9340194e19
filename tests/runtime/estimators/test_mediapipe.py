"""MediaPipe's models follow one hand in both views, and match the mediapipe package on a real clip."""

import sys

import cv2
import numpy as np
import pytest

from capture.frames import Frame, FramePair
from capture.views import VIEWS, PerView
from hand.errors import UserError
from runtime.estimators.estimator import FollowSettings, Roi
from runtime.estimators.mediapipe import MAX_CONTRADICTIONS, MediaPipeEstimator, load_mediapipe
from tests.paths import SHARED
from tests.runtime.drawn_pairs import cameras, changed, drawn_pairs, true_pixels

pytest.importorskip("ai_edge_litert", reason="the extra [mediapipe] is not installed")
pytestmark = pytest.mark.usefixtures("mediapipe_models")

CLIP = SHARED / "clips" / "two_webcams"
PERIOD_NS = 33_333_333


@pytest.fixture(scope="module")
def drawn() -> list[FramePair]:
    return drawn_pairs(12)


def follow(estimator: MediaPipeEstimator, pairs: list[FramePair]) -> list[PerView]:
    return [estimator(pair, cameras(pair)) for pair in pairs]


def test_the_hand_is_found_where_it_is_in_both_views(drawn):
    for pair, hands in zip(drawn, follow(load_mediapipe("mediapipe"), drawn), strict=True):
        for view in VIEWS:
            hand = hands[view]
            assert hand is not None and hand.side == "right" and hand.view == view
            off = np.linalg.norm(hand.pixels - true_pixels(pair)[view], axis=1)
            assert np.median(off) < 12
            assert np.linalg.norm(hand.joints[9]) == pytest.approx(1) and not hand.joints[0].any()


def test_mirrored_pictures_show_the_other_hand(drawn):
    hands = follow(load_mediapipe("mediapipe"), changed(drawn, lambda image: np.ascontiguousarray(image[:, ::-1])))
    assert {hand.side for both in hands for hand in both if hand is not None} == {"left"}
    assert all(hand.right_margin is not None and hand.right_margin < -0.5 for both in hands for hand in both if hand is not None)
    told = follow(load_mediapipe("mediapipe", FollowSettings(hand_side="left")), drawn[:2])
    assert {hand.side for both in told for hand in both if hand is not None} == {"left"}


def test_the_requested_one_of_two_hands_is_followed(drawn):
    """The synthetic hand and, below it, its mirror image."""
    both = changed(drawn[:2], lambda image: np.vstack([image, image[:, ::-1]]))
    for settings, upper in ((FollowSettings(hand_side="right"), True), (FollowSettings(hand_side="left"), False)):
        for hands in follow(load_mediapipe("mediapipe", settings), both):
            assert {hand.side for hand in hands if hand is not None} == {settings.hand_side}
            assert all((hand.pixels.mean(0)[1] < 480) == upper for hand in hands if hand is not None)


def test_a_view_on_the_wrong_hand_returns_to_the_right_one(drawn):
    estimator = load_mediapipe("mediapipe", FollowSettings(hand_side="right"))
    mirrored = changed(drawn, lambda image: np.ascontiguousarray(image[:, ::-1]))
    # At first only the other hand is there; then, below it, comes the one that was asked for.
    follow(estimator, mirrored[:2])
    both = changed(drawn[2:3] * (MAX_CONTRADICTIONS + 2), lambda image: np.vstack([image[:, ::-1], image]))
    last = follow(estimator, both)[-1]
    assert all(hand is not None and hand.pixels.mean(0)[1] > 480 for hand in last)


def test_one_and_two_threads_give_equal_results(drawn):
    one, two = (follow(load_mediapipe("mediapipe-lite", threads=threads), drawn[:4]) for threads in (1, 2))
    for a, b in zip(one, two, strict=True):
        for view in VIEWS:
            np.testing.assert_array_equal(a[view].pixels, b[view].pixels)


def test_a_lost_hand_is_found_again(drawn):
    estimator = load_mediapipe("mediapipe")
    before, _ = follow(estimator, drawn[:2])
    estimator.lose("left")
    again = estimator(drawn[2], cameras(drawn[2]))
    assert again.left is not None
    np.testing.assert_allclose(again.left.pixels, before.left.pixels, atol=40)


def test_an_empty_frame_gives_no_hand_and_ends_the_track(drawn):
    estimator = load_mediapipe("mediapipe")
    follow(estimator, drawn[:2])
    (empty,) = follow(estimator, changed(drawn[2:3], np.zeros_like))
    assert empty == PerView(None, None)


def test_roi_limits_the_search(drawn):
    pair = drawn[0]
    found = load_mediapipe("mediapipe")(pair, cameras(pair))
    assert found.left is not None and found.right is not None
    around: PerView[Roi | None] = PerView(*((*hand.pixels.mean(0).tolist(), 300.0) for hand in (found.left, found.right)))
    inside = load_mediapipe("mediapipe", FollowSettings(roi=around))(pair, cameras(pair))
    assert inside.left is not None and inside.right is not None
    away: PerView[Roi | None] = PerView((60.0, 420.0, 100.0), (60.0, 420.0, 100.0))
    assert load_mediapipe("mediapipe", FollowSettings(roi=away))(pair, cameras(pair)) == PerView(None, None)


def test_joints_are_rotated_into_camera_axes_off_centre(drawn):
    narrow, wide = (load_mediapipe("mediapipe")(drawn[0], cameras(drawn[0], fov)).left for fov in (5.0, 100.0))
    assert narrow is not None and wide is not None
    np.testing.assert_array_equal(narrow.pixels, wide.pixels)
    np.testing.assert_allclose(np.linalg.norm(narrow.joints, axis=1), np.linalg.norm(wide.joints, axis=1))
    # Seen wide, the hand's middle lies farther off the axis, and the hand is turned away by as much more.
    assert np.linalg.norm(narrow.joints - wide.joints) > 0.1


def test_missing_litert_raises_with_install_instructions(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(UserError, match="LiteRT.*not installed: pip install"):
        load_mediapipe("mediapipe")


@pytest.mark.skipif(not CLIP.is_dir(), reason="the real clip is not here")
def test_pixels_match_those_of_the_mediapipe_package():
    reference = np.load(CLIP / "reference.npz")

    def frames(view) -> list[np.ndarray]:
        video, out = cv2.VideoCapture(str(CLIP / f"{view}.mp4")), []
        while (read := video.read())[0]:
            out.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
        return out

    both = list(zip(*PerView.of(frames), strict=True))
    pairs = [
        FramePair(*(Frame(view, i, i * PERIOD_NS, i * PERIOD_NS, image) for view, image in zip(VIEWS, images, strict=True)))
        for i, images in enumerate(both)
    ]
    hands = follow(load_mediapipe("mediapipe"), pairs)
    for view in VIEWS:
        expected = reference[f"keypoints_{view}_px"]
        there = np.isfinite(expected).all((1, 2))
        found = np.array([hand[view] is not None for hand in hands])
        off = [
            np.linalg.norm(hand[view].pixels - k, axis=1)
            for hand, k, ok in zip(hands, expected, there & found, strict=True)
            if ok
        ]
        assert np.median(off) <= 1.5
        assert found[there].mean() >= 0.98
    assert {hand.side for pair in hands for hand in pair if hand is not None} == {"right"}
