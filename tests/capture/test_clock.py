"""Laws of clock probes: the truth is always within the bound, the bound is never looser than the best round trip says."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.clock import MOST_DRIFT, PATIENCE, SLOT_NS, SLOTS, Probe, RemoteClock

MS = 1_000_000
SECOND = 1_000_000_000


class Host:
    """Another host's clock, which drifts, and a way to it whose two directions differ."""

    def __init__(self, offset_ns: int, drift_ppm: float, seed: int, shortest_ns: tuple[int, int], jitter_ns: tuple[int, int]):
        self.offset_ns = offset_ns
        self.drift = drift_ppm * 1e-6
        self._random = random.Random(seed)
        self._shortest_ns = shortest_ns
        self._jitter_ns = jitter_ns

    def shows(self, at_ns: int) -> int:
        return at_ns + self.true_offset_ns(at_ns)

    def true_offset_ns(self, at_ns: int) -> int:
        return self.offset_ns + round(self.drift * at_ns)

    def answer(self, sent_ns: int) -> Probe:
        there, back = (
            shortest + round(self._random.expovariate(1 / (1 + jitter)))
            for shortest, jitter in zip(self._shortest_ns, self._jitter_ns, strict=True)
        )
        return Probe(sent_ns, self.shows(sent_ns + there), sent_ns + there + back)


@st.composite
def hosts(draw) -> Host:
    ways = st.tuples(st.integers(0, 20 * MS), st.integers(0, 20 * MS))
    offset_ns = draw(st.integers(-(10**18), 10**18))
    return Host(offset_ns, draw(st.floats(-450, 450)), draw(st.integers(0, 10**6)), draw(ways), draw(ways))


def probed(host: Host, clock: RemoteClock, count: int, every_ns: int, start_ns: int = 0) -> Iterator[Probe]:
    """Probe the host, one after the other; after each, its answer."""
    now_ns = start_ns
    for _ in range(count):
        probe = host.answer(now_ns)
        clock.add(probe)
        yield probe
        now_ns = max(now_ns + every_ns, probe.received_ns)


@settings(max_examples=20, deadline=None)
@given(hosts(), st.integers(1, 60), st.integers(10 * MS, SECOND))
def test_the_truth_is_always_within_the_bound(host, count, every_ns):
    clock = RemoteClock()
    for probe in probed(host, clock, count, every_ns):
        for at_ns in (probe.received_ns, probe.received_ns + every_ns, max(0, probe.sent_ns - 100 * MS)):
            told = clock.offset(at_ns)
            assert abs(told.ns - host.true_offset_ns(at_ns)) <= told.bound_ns
            ours = clock.to_local(host.shows(at_ns))
            assert abs(ours.ns - at_ns) <= ours.bound_ns
        drift = clock.reading(probe.received_ns)
        assert abs(drift.drift_ppm - host.drift * 1e6) <= drift.drift_bound_ppm + 1e-6
    assert clock.steps == 0


@settings(max_examples=20, deadline=None)
@given(hosts(), st.integers(1, 60))
def test_the_bound_is_half_of_the_smallest_round_trip_and_what_drift_may_have_added(host, count):
    clock, best_ns = RemoteClock(), 10**18
    for probe in probed(host, clock, count, 100 * MS):
        # Slots keep the best of their time; what is lost is how old the best of all is.
        best_ns = min(best_ns, probe.round_trip_ns)
        age_ns = probe.received_ns
        assert clock.offset(probe.received_ns).bound_ns <= best_ns / 2 + 2.1 * MOST_DRIFT * (age_ns + probe.round_trip_ns) + 2


def test_a_minute_of_probes_tells_the_drift_to_some_parts_in_a_million():
    host = Host(5 * SECOND, 80.0, 1, (MS, MS), (2 * MS, 3 * MS))
    clock = RemoteClock()
    for _ in probed(host, clock, 300, 200 * MS):
        pass
    told = clock.reading(60 * SECOND)
    assert told.drift_ppm == pytest.approx(80.0, abs=25)
    assert told.drift_bound_ppm < 50
    # Though each round trip takes 7 ms on average, and its two ways differ.
    assert told.bound_ns < 1.5 * MS


@settings(max_examples=20, deadline=None)
@given(hosts(), st.integers(1, 100), st.integers(100 * MS, 10**15), st.booleans())
def test_a_clock_that_was_set_is_found_out_by_the_next_probe(host, before, step_ns, back):
    clock = RemoteClock()
    for _ in probed(host, clock, before, 200 * MS):
        pass
    host.offset_ns += -10 * step_ns if back else 10 * step_ns
    probe = next(probed(host, clock, 1, 0, start_ns=(before + 1) * 200 * MS + 50 * MS))
    assert clock.steps == 1
    told = clock.offset(probe.received_ns)
    assert abs(told.ns - host.true_offset_ns(probe.received_ns)) <= told.bound_ns


@pytest.mark.parametrize(("shortest_ns", "answers"), [(MS, 1), (20 * MS, PATIENCE)])
def test_a_clock_is_settled_by_a_good_answer_or_by_many(shortest_ns, answers):
    host, clock = Host(0, 0, 0, (shortest_ns, shortest_ns), (0, 0)), RemoteClock()
    settled = []
    for _ in probed(host, clock, 2 * PATIENCE, 20 * MS):
        settled.append(clock.settled)
    assert settled == [False] * (answers - 1) + [True] * (2 * PATIENCE - answers + 1)


def test_memory_is_bounded_and_old_probes_go():
    host, clock = Host(0, 0, 0, (MS, MS), (0, 0)), RemoteClock()
    for _ in probed(host, clock, 5 * SLOTS, SLOT_NS):
        pass
    assert len(clock._probes) == SLOTS
