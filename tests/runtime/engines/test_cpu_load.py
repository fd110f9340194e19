"""A machine is busy where other programs took what this one needed, not where this one works hard itself."""

import pytest

from runtime.engines.cpu_load import CpuCounters, CpuLoad

START = CpuCounters(wall_s=100.0, own_s=5.0, all_s=900.0, waited_s=1.0)


def load(*, own: float, others: float, waited: float | None = None, cores: int = 2) -> CpuLoad:
    """Of one second in which this process ran and waited for so many seconds, and others ran."""
    known = waited is not None
    before = START if known else CpuCounters(START.wall_s, START.own_s, START.all_s, None)
    after = CpuCounters(101.0, 5.0 + own, 900.0 + own + others, 1.0 + waited if known else None)
    return CpuLoad.between(before, after, cores)


def test_load_is_told_in_cores_and_shares():
    found = load(own=0.6, others=1.4, waited=0.2)
    assert (found.own, found.others, found.waited) == (pytest.approx(0.6), pytest.approx(1.4), pytest.approx(0.25))


@pytest.mark.parametrize("waited", [None, 0.0, 0.05])
def test_work_of_this_program_alone_is_no_load(waited):
    assert not load(own=1.0, others=0.02, waited=waited).busy
    assert not load(own=2.0, others=0.0, waited=waited).busy


def test_threads_that_wait_for_each_other_are_no_load():
    assert not load(own=2.0, others=0.05, waited=1.0).busy


@pytest.mark.parametrize("waited", [None, 0.6])
def test_two_programs_that_take_all_cores_are_a_load(waited):
    assert load(own=0.5, others=1.5, waited=waited).busy


@pytest.mark.parametrize("waited", [None, 0.01])
def test_other_programs_on_cores_that_are_free_are_no_load(waited):
    assert not load(own=1.0, others=4.0, waited=waited, cores=16).busy


def test_counters_of_this_machine_only_grow():
    before = CpuCounters.now()
    sum(range(2_000_000))
    after = CpuCounters.now()
    assert after.own_s > before.own_s and after.all_s >= before.all_s and after.wall_s > before.wall_s
    assert before.waited_s is None or (after.waited_s is not None and after.waited_s >= before.waited_s)
