"""One camera in both views is found, some frames apart too; two cameras, an empty wall and darkness are not."""

import cv2
import numpy as np
import pytest

from capture.views import PerView
from runtime.watch.same_camera import SameCamera
from runtime.watch.watched import WatchedPair
from tests.runtime.watch.watching import noisy, scene, show_pictures, watched, with_hand

RNG = np.random.default_rng(0)


def pairs(
    left: np.ndarray, right: np.ndarray, *, lag: int = 0, noise: float = 2.0, first: int = 0, count: int = 30
) -> list[WatchedPair]:
    """Pairs with a moving hand, which the right view shows `lag` frames later."""
    return [
        watched(n, images=PerView(noisy(with_hand(left, n), RNG, noise), noisy(with_hand(right, n - lag), RNG, noise)))
        for n in range(first, first + count)
    ]


def coded(image: np.ndarray) -> np.ndarray:
    """As another program sends it: smaller, and coded again."""
    small = cv2.resize(image, (240, 180), interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


@pytest.mark.parametrize(("lag", "count"), [(0, 30), (4, 100), (40, 100)])
def test_one_camera_in_both_views_is_an_error(lag, count):
    """Within a second; after some seconds where the pictures are of two times, by what does not move."""
    (finding,) = show_pictures(SameCamera(), pairs(scene(1), scene(1), lag=lag, count=count))
    assert (finding.kind, finding.view, finding.level) == ("same_camera", None, "error")


def test_pictures_of_another_size_and_coding_are_recognised():
    image = scene(1, (480, 360))
    assert show_pictures(SameCamera(), [watched(n, images=PerView(image, coded(image))) for n in range(30)])


@pytest.mark.parametrize(("gain", "offset"), [(0.8, 20.0), (1.0, 30.0), (0.7, 0.0)])
def test_brightness_and_contrast_do_not_hide_one_camera(gain, offset):
    def lit(image: np.ndarray) -> np.ndarray:
        return np.clip(gain * image.astype(float) + offset, 0, 255).astype(np.uint8)

    def seen(other: np.ndarray) -> list[WatchedPair]:
        return [watched(n, images=PerView(with_hand(other, n), lit(with_hand(scene(1), n)))) for n in range(30)]

    assert show_pictures(SameCamera(), seen(scene(1)))
    assert not show_pictures(SameCamera(), seen(scene(2)))


def test_two_cameras_are_two():
    assert not show_pictures(SameCamera(), pairs(scene(1), scene(2)))


def test_a_camera_that_looks_half_a_degree_aside_is_another_one():
    """As far as a camera of 60 degrees and 640 px sees by 5 px: two cameras that stand beside each other and look far away."""
    image = scene(1, (660, 480))
    assert not show_pictures(SameCamera(), pairs(image[:, :640], image[:, 7:647]))


@pytest.mark.parametrize("brightness", [0, 128, 255])
def test_pictures_that_show_nothing_are_not_compared(brightness):
    wall = np.full((240, 320, 3), brightness, np.uint8)
    assert not show_pictures(SameCamera(), [watched(n, images=PerView(wall, wall)) for n in range(30)])


def test_it_is_withdrawn_once_the_views_differ():
    watcher = SameCamera()
    assert show_pictures(watcher, pairs(scene(1), scene(1)))
    assert not show_pictures(watcher, pairs(scene(1), scene(2), first=30))
