"""A hand's motion: averages over windows, what is known, and the speed."""

import numpy as np

from runtime.synchronization.motion import HandMotion
from tests.runtime.synchronization.motions import clips


def test_averages_keep_what_is_straight():
    rng = np.random.default_rng(0)
    times_s = np.sort(rng.uniform(0, 3, 90))
    start, step = rng.normal(0, 100, (2, 21, 2))
    motion = HandMotion(times_s, start + step * times_s[:, None, None])
    inside = np.linspace(0.3, 2.7, 40)
    np.testing.assert_allclose(motion.averaged(inside), start + step * inside[:, None, None], atol=1e-8)


def test_an_average_does_not_jump_between_the_instants_of_frames():
    motion = clips(0.0).left
    at = np.linspace(2.0, 2.2, 200)
    assert np.abs(np.diff(motion.averaged(at), axis=0)).max() < 0.05 * np.abs(np.diff(motion.pixels, axis=0)).max()


def test_nothing_is_known_in_a_gap_and_outside():
    motion = clips(0.0).left
    seen = (motion.times_s < 2) | (motion.times_s > 3)
    part = HandMotion(motion.times_s[seen], motion.pixels[seen])
    at = np.array([-0.1, 1.0, 2.5, 3.5, 9.0])
    assert part.known(at).tolist() == [False, True, False, True, False]
    assert np.isnan(part.speed(at)).tolist() == [True, False, True, False, True]


def test_speed_does_not_depend_on_the_size_of_the_picture():
    motion = clips(0.0).left
    at = np.linspace(1, 7, 50)
    np.testing.assert_allclose(HandMotion(motion.times_s, 0.37 * motion.pixels + 50).speed(at), motion.speed(at))


def test_frames_of_one_time_count_once_and_none_make_none():
    pixels = np.zeros((21, 2))
    assert len(HandMotion.of([(0.0, pixels), (0.0, pixels), (0.1, pixels)]).times_s) == 2
    assert HandMotion.of([]).duration_s == 0
    assert not HandMotion.of([]).known(np.array([0.0])).any()
