"""A problem has one solution, wherever it is solved; the process beside ends when told to, and is missed when it dies."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.process import BaseProcess

import numpy as np
import pytest

from capture.views import PerView
from runtime.calibration.initialization import CameraEstimate
from runtime.calibration.solver import Problem, Solution, solve
from runtime.calibration.solver_process import BackgroundSolver, InlineSolver
from runtime.calibration.variables import Prior
from tests.runtime.keypoints import drawn, prior_at
from tools.evaluate.two_views import sample_rig

PATIENCE_S = 60


@pytest.fixture(scope="module")
def problem() -> Problem:
    """A small one, from a start that is near."""
    known = drawn(sample_rig(np.random.default_rng(0), 60, PerView(60.0, 60.0)), 8)
    prior: Prior = prior_at(known.scene)
    scene = known.scene
    start = CameraEstimate(PerView.of(scene.focal), scene.R_right_from_left, scene.t_right_from_left, scaled=True)
    return Problem(known.views, known.time_ns, prior, start, search=False, epoch=3)


@pytest.fixture(scope="module")
def solution(problem: Problem) -> Solution:
    found = solve(problem)
    assert found is not None
    return found


@pytest.fixture
def beside() -> Iterator[BackgroundSolver]:
    solver = BackgroundSolver()
    yield solver
    solver.close()


def process() -> BaseProcess:
    """The one that solves."""
    (only,) = multiprocessing.active_children()
    return only


def awaited(solver: BackgroundSolver) -> Solution | None:
    """The solution once it is there."""
    assert solver._ours.poll(PATIENCE_S), "nothing came"
    done = solver.done()
    assert done is not None
    return done[0]


def same(one: Solution, other: Solution) -> bool:
    """Bit for bit."""
    return repr_of(one) == repr_of(other)


def repr_of(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    fields = getattr(value, "__dataclass_fields__", None)
    if fields:
        return tuple(repr_of(getattr(value, name)) for name in fields)
    return tuple(map(repr_of, value)) if isinstance(value, PerView) else value


def test_on_the_spot_the_solution_is_there_at_once_and_once(problem: Problem, solution: Solution):
    solver = InlineSolver()
    assert solver.done() is None
    solver.submit(problem)
    done = solver.done()
    assert done is not None and done[0] is not None and same(done[0], solution)
    assert solver.done() is None


def test_in_the_background_the_solution_is_the_same_bit_for_bit(problem: Problem, solution: Solution, beside: BackgroundSolver):
    assert beside.done() is None
    beside.submit(problem)
    found = awaited(beside)
    assert found is not None and same(found, solution) and found.epoch == problem.epoch == 3
    assert beside.done() is None
    assert os.getpriority(os.PRIO_PROCESS, process().pid or 0) > os.getpriority(os.PRIO_PROCESS, 0), "the hand goes first"
    # What cannot be solved has an answer, too, and the process lives on.
    beside.submit(replace(problem, known=None))
    assert awaited(beside) is None
    assert process().is_alive()


@pytest.mark.parametrize("busy", [False, True])
def test_closing_leaves_no_process(problem: Problem, busy: bool):
    solver = BackgroundSolver()
    pid = process().pid
    assert pid is not None
    if busy:
        solver.submit(replace(problem, search=True))
    solver.close()
    assert multiprocessing.active_children() == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("unread", [False, True])
def test_a_process_that_died_is_missed(problem: Problem, beside: BackgroundSolver, unread: bool):
    died = process()
    assert died.pid is not None
    if unread:
        os.kill(died.pid, signal.SIGSTOP)
        beside.submit(problem)
    os.kill(died.pid, signal.SIGKILL)
    died.join(PATIENCE_S)
    with pytest.raises(EOFError):
        beside.done()
    with pytest.raises(EOFError):
        beside.submit(problem)


def test_a_problem_is_taken_at_once_however_busy_the_solver_is(problem: Problem, beside: BackgroundSolver):
    many = np.zeros(64, int)
    full = replace(problem, views=problem.views.map(lambda keypoints: keypoints.subset(many)), time_ns=problem.time_ns[many])
    stopped = process()
    assert stopped.pid is not None
    os.kill(stopped.pid, signal.SIGSTOP)
    # An alarm ends what would wait for ever.
    signal.alarm(10)
    try:
        beside.submit(full)
    finally:
        signal.alarm(0)
    assert beside.done() is None
