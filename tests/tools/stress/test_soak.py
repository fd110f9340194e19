"""A short soak: every kind of fault once, through real processes and sockets. `python -m tools.stress.soak` runs for longer."""

import math
import multiprocessing
import random

import pytest

from capture import wire
from capture.sources.pattern import PatternSource
from tools.stress.soak import Settings, soak
from tools.stress.soak_faults import FAULTS, GIVEN_UP_S, SHOWS
from tools.stress.soak_headset import Mischievous, corrupted
from tools.stress.soak_report import table

MS = 1_000_000


def test_every_fault_is_counted_and_survived():
    outcome = soak(Settings(seconds=math.inf, seed=1, every_s=(0.1, 0.3), fps=30, faults=len(FAULTS)))
    # Each kind comes once before any comes twice.
    assert {event.fault for event in outcome.events} == set(FAULTS)
    assert outcome.wrong == 0
    for event in outcome.events:
        assert set(event.shown) & set(SHOWS[event.fault]), event
        # How soon service is normal again depends on the machine; that it is, does not.
        assert event.recovered_s < GIVEN_UP_S - 1, event
    first, last = outcome.settled_mb
    assert abs(last - first) <= 20
    assert "0 wrong" in table(outcome)
    assert not multiprocessing.active_children()


MESSAGE = wire.encode("right", 3, 1000, PatternSource(64, 64, 60, paced=False).picture(5))


@pytest.mark.parametrize("seed", range(20))
def test_what_is_corrupted_is_no_message_any_more(seed):
    with pytest.raises(wire.WireError):
        wire.unpack(corrupted(MESSAGE, random.Random(seed)))


@pytest.mark.parametrize("kind", ["late", "duplicated", "reordered", "stalled"])
def test_mischief_ends_and_loses_nothing_but_what_a_stall_does(kind):
    mischievous, sent = Mischievous(random.Random(0)), []
    mischievous.begin(kind, 0)
    for number in range(100):
        sent += [(number, message[0]) for message in mischievous([b"%d" % number, b"", b""], number * 16 * MS)]
    assert mischievous.over
    numbers = [int(topic) for _, topic in sent]
    if kind == "stalled":
        assert numbers == list(range(50, 100))
    else:
        assert set(numbers) == set(range(100))
        assert (numbers != sorted(numbers)) == (kind != "duplicated")
        assert len(numbers) == (110 if kind == "duplicated" else 100)
    # Afterwards all is as it was.
    assert [int(topic) for number, topic in sent if number >= 60] == list(range(60, 100))
