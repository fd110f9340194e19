"""A square's crop shows that part of the frame, at any roll."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.estimators.square import Square

squares = st.builds(
    Square,
    st.tuples(st.floats(200, 440), st.floats(200, 280)),
    st.floats(40, 120),
    st.floats(-180, 180),
)


@given(squares)
def test_a_crop_shows_its_part_of_the_frame(square):
    y, x = np.mgrid[:480, :640].astype(np.float32)
    size = 32
    crop = square.cut(np.stack([x, y], -1), size)
    rows, columns = np.mgrid[:size, :size]
    there = square.to_frame(np.stack([columns, rows], -1), size)
    # OpenCV samples at multiples of a 32nd of a pixel.
    np.testing.assert_allclose(crop, there, atol=1 / 16)


@given(squares, st.floats(-1, 1), st.floats(-1, 1), st.floats(0.5, 3))
def test_a_moved_square_is_moved_along_its_own_axes(square, across, down, scale):
    moved = square.moved(across, down, scale)
    np.testing.assert_allclose(moved.centre_px, square.to_frame(np.array([0.5 + across, 0.5 + down]), 1))
    assert moved.size_px == pytest.approx(scale * square.size_px) and moved.roll_deg == square.roll_deg


def test_roll_is_clockwise():
    square = Square((100.0, 100.0), 20.0, 90.0)
    top = square.to_frame(np.array([0.5, 0.0]), 1)
    np.testing.assert_allclose(top, [110, 100], atol=1e-9)


def test_pixels_outside_the_frame_have_the_requested_border():
    white = np.full((20, 20, 3), 255, np.uint8)
    square = Square((0.0, 0.0), 20.0)
    assert square.cut(white, 10).min() == 255
    black = square.cut(white, 10, outside=cv2.BORDER_CONSTANT)
    assert black[:4, :4].max() == 0 and black[6:, 6:].min() == 255
