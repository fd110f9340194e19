"""Frames of one video count as one picture, and no collection or articulation crowds out the others."""

import cv2
import numpy as np
import pytest

from tools.photos.balance import articulation, looks, near_duplicates, picture_hash, shares


@pytest.fixture
def pictures() -> list[np.ndarray]:
    random = np.random.default_rng(3)
    coarse = random.integers(0, 255, (8, 8, 8, 3), dtype=np.uint8)
    return [cv2.resize(one, (120, 100), interpolation=cv2.INTER_CUBIC) for one in coarse]


def test_light_size_and_compression_leave_a_near_duplicate(pictures):
    first, *others = pictures
    darker = (first * 0.7 + 10).astype(np.uint8)
    smaller = cv2.resize(first, (60, 50), interpolation=cv2.INTER_AREA)
    packed = cv2.imdecode(cv2.imencode(".jpg", first, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)
    assert packed is not None
    counts = near_duplicates([picture_hash(one) for one in (first, darker, smaller, packed, *others)])
    assert (counts[:4] == 4).all() and (counts[4:] == 1).all()


def test_duplicates_together_are_shown_as_often_as_one_picture():
    share = shares(["a"] * 5, [(True,)] * 5, np.array([4, 4, 4, 4, 1]))
    assert share.sum() == pytest.approx(1)
    assert share[:4].sum() == pytest.approx(share[4])


def test_a_rare_articulation_is_shown_more_often_and_a_common_one_still_more_in_all():
    share = shares(["a"] * 10, [(True,)] * 9 + [(False,)], np.ones(10))
    assert share[9] > share[0] and share[:9].sum() > share[9]


def test_a_collection_four_times_as_large_is_shown_twice_as_often():
    share = shares(["a"] * 8 + ["b"] * 2, [(True,)] * 10, np.ones(10))
    assert share[:8].sum() == pytest.approx(2 * share[8:].sum())


def test_looks_add_up_but_for_those_beyond_the_most_of_one():
    share = np.array([0.5, 0.3, 0.1, 0.1])
    counts = np.mean([looks(share, 10, 4, np.random.default_rng(seed)) for seed in range(200)], 0)
    np.testing.assert_allclose(counts, [4, 3, 1, 1], atol=1e-9)
    counts = np.mean([looks(share, 5, 9, np.random.default_rng(seed)) for seed in range(2000)], 0)
    np.testing.assert_allclose(counts, 5 * share, atol=0.05)


def test_an_articulation_tells_which_fingers_are_straight():
    joints = np.zeros((21, 3))
    for number, chain in enumerate((range(1, 5), range(5, 9), range(9, 13), range(13, 17), range(17, 21))):
        joints[list(chain), 0] = number
        joints[list(chain), 1] = np.arange(4)
    assert articulation(joints) == (True,) * 5
    # The index finger's end comes back to its knuckle.
    joints[7:9, 1] = [1, 0]
    assert articulation(joints) == (True, False, True, True, True)
