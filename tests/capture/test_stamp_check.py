"""Times and numbers that cannot be what they claim are recognised after two seconds; right ones never are."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.stamp_check import StampCheck, StampFault

SECOND = 1_000_000_000
UPTIME = 5000 * SECOND
WALL = 1_800_000_000 * SECOND
"""Wall clock minus monotonic clock."""


def check_of(stamp, *, number=lambda n: n, rate: float = 30.0, seconds: float = 3.0) -> StampCheck:
    """After some seconds of a camera, whose times and numbers are made of the true ones."""
    check = StampCheck(WALL)
    for n in range(round(seconds * rate)):
        true_ns = UPTIME + round(n * SECOND / rate)
        check.add(number(n), stamp(n, true_ns), true_ns + 20_000_000)
    return check


def kind(found: StampFault | None) -> tuple[str, str | None] | None:
    return None if found is None else (found.kind, found.unit)


@pytest.mark.parametrize("rate", [5, 15, 30, 120])
@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        (lambda n, ns: ns, None),
        (lambda n, ns: 123456789, ("constant", None)),
        (lambda n, ns: n, ("counter", None)),
        (lambda n, ns: ns // 1000, ("unit", "microseconds")),
        (lambda n, ns: ns // 10**6, ("unit", "milliseconds")),
        (lambda n, ns: ns // 10**9, ("unit", "seconds")),
        (lambda n, ns: ns // 100, ("unit", "ticks of 100 ns")),
        (lambda n, ns: round(ns * 90_000 / 1e9), ("unit", "ticks of a 90 kHz clock (RTP)")),
        (lambda n, ns: ns * 1000, ("unit", "picoseconds")),
        (lambda n, ns: (ns + WALL) // 1000, ("unit", "microseconds")),
        (lambda n, ns: ns + 3600 * SECOND, ("ahead", None)),
        (lambda n, ns: ns + SECOND // 5, ("ahead", None)),
        (lambda n, ns: ns - 60 * SECOND, ("behind", None)),
        (lambda n, ns: ns + WALL, ("wall_clock", None)),
        # In another time zone.
        (lambda n, ns: ns + WALL - 5 * 3600 * SECOND, ("wall_clock", None)),
        (lambda n, ns: ns - n % 3 * SECOND // 2, ("backwards", None)),
    ],
)
def test_what_the_times_are_is_recognised(stamp, expected, rate):
    assert kind(check_of(stamp, rate=rate).time_fault()) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (lambda n: n, None),
        # Every third frame arrives.
        (lambda n: 3 * n, None),
        # The sender has started again once.
        (lambda n: n if n < 60 else n - 60, None),
        (lambda n: 0, "number_constant"),
        (lambda n: n // 2, "number_repeats"),
        (lambda n: n % 2, "number_repeats"),
        (lambda n: n * 33_333, "number_jumps"),
    ],
)
def test_what_the_numbers_are_is_recognised(number, expected):
    found = check_of(lambda n, ns: ns, number=number).number_fault()
    assert (None if found is None else found.kind) == expected


def test_nothing_is_said_of_few_frames_or_of_a_short_time():
    assert check_of(lambda n, ns: 0, seconds=1.9).time_fault() is None
    assert check_of(lambda n, ns: 0, rate=2, seconds=3).time_fault() is None
    assert check_of(lambda n, ns: 0, number=lambda n: 0, seconds=1.9).number_fault() is None


def test_a_clock_that_is_set_once_is_no_wrong_unit():
    for step_ns in (-WALL, WALL, 5 * SECOND, -5 * SECOND):
        found = check_of(lambda n, ns, step_ns=step_ns: WALL + ns + (step_ns if n > 60 else 0)).time_fault()
        assert found is None or found.kind in ("wall_clock", "ahead", "behind")


def test_a_clock_that_is_set_to_and_fro_is_no_wrong_unit():
    found = check_of(lambda n, ns: ns + (n in (65, 70)) * 3600 * SECOND).time_fault()
    assert found is None


def test_a_fault_is_over_two_seconds_after_its_last_frame():
    check = check_of(lambda n, ns: ns if n > 60 else 7, seconds=5)
    assert check.time_fault() is None


@settings(max_examples=60, deadline=None)
@given(
    rate=st.floats(4, 200), delay_s=st.floats(0, 2), jitter_s=st.floats(0, 0.3), loss=st.floats(0, 0.7), seed=st.integers(0, 99)
)
def test_right_times_are_never_called_wrong(rate, delay_s, jitter_s, loss, seed):
    """Whatever the link's delay and jitter, and however many frames it loses."""
    chance, check, arrived_ns = random.Random(seed), StampCheck(WALL), 0
    for n in range(round(6 * rate)):
        true_ns = UPTIME + round(n * SECOND / rate)
        arrived_ns = max(arrived_ns, true_ns + round((delay_s + chance.uniform(0, jitter_s)) * SECOND))
        if chance.random() >= loss:
            check.add(n, true_ns, arrived_ns)
        assert check.time_fault() is None and check.number_fault() is None
