"""White around a hand is told from a hand on a white wall, and nothing of it is left before something else."""

import cv2
import numpy as np

from tools.photos.cutouts import mask_of, pasted


def cut_out() -> np.ndarray:
    """A disc with a white spot in it, cut out onto white."""
    image = np.full((120, 100, 3), 255, np.uint8)
    cv2.circle(image, (50, 60), 35, (190, 140, 110), -1, cv2.LINE_AA)
    cv2.circle(image, (50, 60), 8, (255, 255, 255), -1)
    return image


def test_what_is_white_all_around_is_cut_out_and_light_on_the_hand_stays():
    mask = mask_of(cut_out())
    assert mask is not None
    assert mask[60, 50] == 1 and mask[35, 50] == 1 and mask[2, 2] == 0
    before_blue = pasted(cut_out(), mask, np.full((120, 100, 3), (0, 0, 200), float))
    assert (before_blue[2, 2] == (0, 0, 200)).all() and (before_blue[60, 50] == 255).all()
    # No white rim.
    ring = mask > 0
    ring[50:72, 40:62] = False
    assert before_blue[ring].min(1).max() < 160


def test_other_pictures_are_left_as_they_are():
    noisy = np.random.default_rng(0).integers(180, 255, (60, 60, 3), dtype=np.uint8)
    assert mask_of(noisy) is None
