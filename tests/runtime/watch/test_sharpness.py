"""A picture that is blurred for long is reported, whatever its size and noise; a sharp one and an empty wall are not."""

import cv2
import numpy as np
import pytest

from capture.views import PerView
from runtime.watch.sharpness import MAX_EDGE_PX, Sharpness, edge_width_px
from tests.runtime.watch.watching import noisy, scene, show_pictures, watched

RNG = np.random.default_rng(0)
ROOM = scene(1, (640, 480))


def blurred(image: np.ndarray, sigma_px: float) -> np.ndarray:
    """By so many px of a picture 640 px wide."""
    return cv2.GaussianBlur(image, (0, 0), sigma_px * image.shape[1] / 640)


@pytest.mark.parametrize("width", [640, 1280])
@pytest.mark.parametrize("noise", [0.0, 4.0])
def test_edges_widen_with_the_blur_alone(width, noise):
    image = cv2.resize(ROOM, (width, width * 3 // 4), interpolation=cv2.INTER_LINEAR)
    sharp, soft = edge_width_px(noisy(image, RNG, noise)), edge_width_px(noisy(blurred(image, 7), RNG, noise))
    assert sharp is not None and sharp < 4
    assert soft is not None and soft > MAX_EDGE_PX


def test_a_blurred_view_is_named_after_some_seconds():
    pairs = [watched(n, images=PerView(ROOM, blurred(ROOM, 8))) for n in range(210)]
    assert not show_pictures(Sharpness(), pairs[:100])
    (finding,) = show_pictures(Sharpness(), pairs)
    assert (finding.kind, finding.view, finding.level) == ("picture_blurred", "right", "warning")


def test_pictures_without_edges_and_small_ones_are_not_judged():
    assert edge_width_px(noisy(np.full((480, 640, 3), 128, np.uint8), RNG, 4.0)) is None
    assert edge_width_px(scene(1, (200, 150))) is None
