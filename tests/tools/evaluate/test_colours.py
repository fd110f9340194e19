"""Pictures in other colours keep what is in them: grey has no colour, exchanging and turning twice give the picture back."""

import numpy as np
import pytest

from tools.evaluate.colours import COLOURS

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (40, 60, 3), np.uint8)
GREY = np.repeat(RNG.integers(0, 256, (40, 60, 1), np.uint8), 3, axis=2)


@pytest.mark.parametrize("name", COLOURS)
def test_size_type_and_grey_pictures_stay(name):
    changed = COLOURS[name](PICTURE)
    assert changed.shape == PICTURE.shape and changed.dtype == np.uint8
    np.testing.assert_array_equal(COLOURS[name](GREY), GREY)


def test_grey_has_equal_channels_and_exchanging_twice_is_nothing():
    assert not np.ptp(COLOURS["grey"](PICTURE), axis=2).any()
    exchange = COLOURS["red and blue exchanged"]
    np.testing.assert_array_equal(exchange(exchange(PICTURE)), PICTURE)
    assert tuple(exchange(np.array([[[200, 120, 90]]], np.uint8))[0, 0]) == (90, 120, 200)


def test_turned_hues_make_skin_blue_and_keep_its_brightness():
    turn, skin = COLOURS["hues turned"], np.array([[[220, 170, 140]]], np.uint8)
    red, green, blue = turn(skin)[0, 0].tolist()
    assert blue > green > red and max(red, green, blue) == 220
    assert np.abs(turn(turn(skin)).astype(int) - skin).max() <= 4
