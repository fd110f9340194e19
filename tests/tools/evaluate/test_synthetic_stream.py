"""A drawn stream shows its hand where its truth says, to both cameras at one moment, and is the same for the same seed."""

import numpy as np
import pytest

from capture.views import VIEWS, PerView
from hand.joints import unit_hand
from tools.evaluate.synthetic_stream import SyntheticStream, render_stream
from tools.evaluate.two_views import sample_rig


def drawn(seed: int) -> SyntheticStream:
    rng = np.random.default_rng(seed)
    return render_stream(rng, sample_rig(rng, 60, PerView(60.0, 60.0)), 1.0, 4.0)


@pytest.fixture(scope="module")
def stream() -> SyntheticStream:
    return drawn(1)


def test_both_cameras_see_each_moment_once(stream: SyntheticStream):
    assert len(stream.pairs) == len(stream.joints_mm) == 4
    for number, pair in enumerate(stream.pairs):
        assert pair.left.captured_ns == pair.right.captured_ns and stream.number(pair.left.captured_ns) == number
        assert all(frame.image.shape == (480, 640, 3) and not frame.image.flags.writeable for frame in (pair.left, pair.right))


@pytest.mark.parametrize("view", VIEWS)
def test_the_hand_is_drawn_where_the_truth_has_it(stream: SyntheticStream, view):
    pixels = stream.rig.geometry.project(stream.joints_mm)[view]
    pictures = np.stack([pair[view].image for pair in stream.pairs]).astype(float)
    # What never changes is the place behind; where a joint is, the hand stands before it.
    changed = np.abs(pictures - np.median(pictures, 0)).mean(-1)
    seen, elsewhere = [], float(np.median(changed))
    for number, joints in enumerate(pixels.round().astype(int)):
        inside = (joints >= 0).all(1) & (joints < (640, 480)).all(1)
        seen += changed[number][joints[inside, 1], joints[inside, 0]].tolist()
    assert np.median(seen) > 4 * elsewhere


def test_its_truth_is_of_unit_hands_in_each_cameras_axes(stream: SyntheticStream):
    g = stream.rig.geometry
    np.testing.assert_allclose(stream.truth.right, unit_hand(stream.joints_mm @ g.R_right_from_left.T), atol=1e-9)


def test_a_seed_gives_the_same_stream_and_another_one_another(stream: SyntheticStream):
    again, other = drawn(1), drawn(2)
    np.testing.assert_array_equal(again.pairs[2].right.image, stream.pairs[2].right.image)
    assert not np.array_equal(other.pairs[2].right.image, stream.pairs[2].right.image)
