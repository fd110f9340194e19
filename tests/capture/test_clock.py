"""Laws of clock probes: the true offset is always within the bound, which is as tight as the best round trip."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.clock import MAX_DRIFT, PATIENCE, SLOT_NS, SLOTS, Probe, RemoteClock

MS = 1_000_000
SECOND = 1_000_000_000


class Host:
    """Another host's drifting clock, and a link to it with asymmetric delays."""

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

    def reply(self, sent_ns: int) -> Probe:
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
    """Probe the host repeatedly; yields after each reply."""
    now_ns = start_ns
    for _ in range(count):
        probe = host.reply(now_ns)
        clock.add(probe)
        yield probe
        now_ns = max(now_ns + every_ns, probe.received_ns)


@settings(max_examples=20, deadline=None)
@given(hosts(), st.integers(1, 60), st.integers(10 * MS, SECOND))
def test_the_true_offset_is_always_within_the_bound(host, count, every_ns):
    clock = RemoteClock()
    for probe in probed(host, clock, count, every_ns):
        for at_ns in (probe.received_ns, probe.received_ns + every_ns, max(0, probe.sent_ns - 100 * MS)):
            offset = clock.offset(at_ns)
            assert abs(offset.ns - host.true_offset_ns(at_ns)) <= offset.bound_ns
            local = clock.to_local(host.shows(at_ns))
            assert abs(local.ns - at_ns) <= local.bound_ns
        drift = clock.reading(probe.received_ns)
        assert abs(drift.drift_ppm - host.drift * 1e6) <= drift.drift_bound_ppm + 1e-6
    assert clock.steps == 0


@settings(max_examples=20, deadline=None)
@given(hosts(), st.integers(1, 60))
def test_the_bound_is_half_the_smallest_round_trip_plus_possible_drift(host, count):
    clock, best_ns = RemoteClock(), 10**18
    for probe in probed(host, clock, count, 100 * MS):
        # Slots keep the best probe of their interval; only the age of the overall best is lost.
        best_ns = min(best_ns, probe.round_trip_ns)
        age_ns = probe.received_ns
        assert clock.offset(probe.received_ns).bound_ns <= best_ns / 2 + 2.1 * MAX_DRIFT * (age_ns + probe.round_trip_ns) + 2


def test_a_minute_of_probes_estimates_drift_to_parts_per_million():
    host = Host(5 * SECOND, 80.0, 1, (MS, MS), (2 * MS, 3 * MS))
    clock = RemoteClock()
    for _ in probed(host, clock, 300, 200 * MS):
        pass
    status = clock.reading(60 * SECOND)
    assert status.drift_ppm == pytest.approx(80.0, abs=25)
    assert status.drift_bound_ppm < 50
    # With a mean round trip of 7 ms and asymmetric delays.
    assert status.bound_ns < 1.5 * MS


@settings(max_examples=20, deadline=None)
@given(hosts(), st.integers(1, 100), st.integers(100 * MS, 10**15), st.booleans())
def test_a_clock_step_is_detected_by_the_next_probe(host, before, step_ns, back):
    clock = RemoteClock()
    for _ in probed(host, clock, before, 200 * MS):
        pass
    host.offset_ns += -10 * step_ns if back else 10 * step_ns
    probe = next(probed(host, clock, 1, 0, start_ns=(before + 1) * 200 * MS + 50 * MS))
    assert clock.steps == 1
    offset = clock.offset(probe.received_ns)
    assert abs(offset.ns - host.true_offset_ns(probe.received_ns)) <= offset.bound_ns


@pytest.mark.parametrize(("shortest_ns", "probes"), [(MS, 1), (20 * MS, PATIENCE)])
def test_a_clock_is_known_after_one_short_round_trip_or_many_probes(shortest_ns, probes):
    host, clock = Host(0, 0, 0, (shortest_ns, shortest_ns), (0, 0)), RemoteClock()
    settled = []
    for _ in probed(host, clock, 2 * PATIENCE, 20 * MS):
        settled.append(clock.settled)
    assert settled == [False] * (probes - 1) + [True] * (2 * PATIENCE - probes + 1)


def test_the_number_of_probes_is_bounded_and_old_ones_are_dropped():
    host, clock = Host(0, 0, 0, (MS, MS), (0, 0)), RemoteClock()
    for _ in probed(host, clock, 5 * SLOTS, SLOT_NS):
        pass
    assert len(clock._probes) == SLOTS
