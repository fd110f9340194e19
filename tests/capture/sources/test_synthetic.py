"""The synthetic headset shows the ground-truth hand in both cameras at every capture time."""

import itertools
import time

import numpy as np
import pytest

from capture.sources.synthetic import (
    FRAMES,
    HEIGHT,
    PERIOD_NS,
    R_RIGHT_FROM_LEFT,
    RIGHT_IN_LEFT_MM,
    WIDTH,
    SyntheticSource,
    truth,
)
from capture.views import VIEWS, PerView, View
from hand.camera import PinholeCamera
from hand.joints import DEFAULT_HAND_SIZE_MM, unit_hand

TIMES_NS = [k * PERIOD_NS for k in range(FRAMES)]
FROM_LEFT = PerView((np.eye(3), np.zeros(3)), (R_RIGHT_FROM_LEFT, RIGHT_IN_LEFT_MM))
"""R_view_from_left and the camera's place in mm, left camera's axes."""


@pytest.fixture(scope="module")
def headset() -> PerView[SyntheticSource]:
    return PerView.of(SyntheticSource)


@pytest.fixture(scope="module")
def loop(headset) -> PerView[list[np.ndarray]]:
    """Both cameras' images at TIMES_NS."""
    return headset.map(lambda source: [image for _, _, image in itertools.islice(source.frames(0, paced=False), FRAMES)])


def joints_px(camera: PinholeCamera, view: View, frames_late: int = 0) -> np.ndarray:
    """(FRAMES, 21, 2) projections of the true joints at TIMES_NS, or `frames_late` frames later."""
    R, place = FROM_LEFT[view]
    joints = np.stack([truth(t + frames_late * PERIOD_NS) for t in TIMES_NS])
    return camera.project((joints - place) @ R.T)


def inside(pixels: np.ndarray) -> np.ndarray:
    """(...) whether pixels (..., 2) are in the image."""
    return np.all((pixels > 0) & (pixels < (WIDTH - 1, HEIGHT - 1)), axis=-1)


def share_on_skin(images: list[np.ndarray], pixels: np.ndarray) -> float:
    """Share of the `pixels` (FRAMES, 21, 2) in the image that are skin-coloured.

    The light on wall and sleeve is bluish, and the hand stays above the desk: red well above blue is skin.
    """
    x, y = np.rint(pixels[inside(pixels)]).astype(int).T
    colour = np.stack(images)[np.nonzero(inside(pixels))[0], y, x].astype(int)
    return float(np.mean(colour[:, 0] - colour[:, 2] > 25))


@pytest.mark.parametrize("view", VIEWS)
def test_the_hand_is_rendered_at_the_ground_truth_of_its_capture_time(headset, loop, view):
    camera = headset[view].camera
    assert share_on_skin(loop[view], joints_px(camera, view)) > 0.99
    # The hand moves: the ground truth three frames later is off it.
    assert share_on_skin(loop[view], joints_px(camera, view, frames_late=3)) < 0.9


def test_the_views_are_not_swapped(headset, loop):
    left, right = joints_px(headset.left.camera, "left"), joints_px(headset.right.camera, "right")
    assert share_on_skin(loop.left, right) < 0.9
    assert share_on_skin(loop.right, left) < 0.9


def test_ground_truth_has_the_hand_size_and_stays_in_both_images(headset):
    for t in TIMES_NS:
        joints = truth(t)
        assert np.linalg.norm(joints[9] - joints[0]) == pytest.approx(DEFAULT_HAND_SIZE_MM, rel=1e-3)
    for view in VIEWS:
        # Raised fingers touch the edge of the right image for a moment.
        assert inside(joints_px(headset[view].camera, view)).mean() > 0.98


def test_ground_truth_moves_smoothly_through_many_poses_in_a_loop():
    joints = np.stack([truth(t) for t in [*TIMES_NS, FRAMES * PERIOD_NS]])
    np.testing.assert_array_equal(joints[-1], joints[0])
    assert np.linalg.norm(np.diff(joints, axis=0), axis=2).max() < 40, "more than 1.2 m/s"
    reach = np.linalg.norm(unit_hand(joints)[:, 12], axis=1)
    assert reach.min() < 1.1 and reach.max() > 1.8


def test_frames_repeat_with_the_period_of_the_loop_only(headset, loop):
    _, captured_ns, again = next(headset.left.frames(FRAMES * PERIOD_NS, paced=False))
    assert captured_ns == FRAMES * PERIOD_NS
    np.testing.assert_array_equal(again, loop.left[0])
    assert all((image != loop.left[0]).any() for image in loop.left[1:])


def test_unpaced_frames_follow_each_other_without_a_gap(headset):
    shots = list(itertools.islice(headset.right.frames(5 * PERIOD_NS + 1, paced=False), 4))
    assert [seq for seq, _, _ in shots] == [0, 1, 2, 3]
    assert [captured_ns for _, captured_ns, _ in shots] == [k * PERIOD_NS for k in (6, 7, 8, 9)]


def test_both_cameras_give_the_same_timestamps(headset):
    start_ns = time.monotonic_ns()
    left, right = ([shot[:2] for shot in itertools.islice(source.frames(start_ns, paced=False), 5)] for source in headset)
    assert left == right


def test_paced_frames_come_at_their_time_and_late_ones_are_skipped(headset):
    start_ns = time.monotonic_ns() - 10 * PERIOD_NS
    shots = []
    for seq, captured_ns, _ in itertools.islice(headset.left.frames(start_ns, paced=True), 4):
        assert time.monotonic_ns() - captured_ns >= 0
        shots.append((seq, captured_ns))
    (first, first_ns), *later = shots
    # Ten frames were due before the first was requested.
    assert first >= 9
    for seq, captured_ns in later:
        assert captured_ns - first_ns == (seq - first) * PERIOD_NS
    assert [seq for seq, _ in shots] == sorted({seq for seq, _ in shots})
