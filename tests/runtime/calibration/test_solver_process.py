"""The background solver gives the inline solver's solution; it ends on close, and its death is detected."""

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
from tests.runtime.keypoints import prior_at, synthetic_pairs
from tools.evaluate.two_views import sample_rig

TIMEOUT_S = 60


@pytest.fixture(scope="module")
def problem() -> Problem:
    """A small problem with an initialization near the truth."""
    known = synthetic_pairs(sample_rig(np.random.default_rng(0), 60, PerView(60.0, 60.0)), 8)
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
def background() -> Iterator[BackgroundSolver]:
    solver = BackgroundSolver()
    yield solver
    solver.close()


def process() -> BaseProcess:
    """The solver's process."""
    (only,) = multiprocessing.active_children()
    return only


def wait_for_solution(solver: BackgroundSolver) -> Solution | None:
    """Waits for the solution."""
    assert solver._ours.poll(TIMEOUT_S), "nothing came"
    done = solver.done()
    assert done is not None
    return done[0]


def same(one: Solution, other: Solution) -> bool:
    """Whether both are equal bit for bit."""
    return repr_of(one) == repr_of(other)


def repr_of(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    fields = getattr(value, "__dataclass_fields__", None)
    if fields:
        return tuple(repr_of(getattr(value, name)) for name in fields)
    return tuple(map(repr_of, value)) if isinstance(value, PerView) else value


def test_inline_solver_returns_its_solution_at_once_and_only_once(problem: Problem, solution: Solution):
    solver = InlineSolver()
    assert solver.done() is None
    solver.submit(problem)
    done = solver.done()
    assert done is not None and done[0] is not None and same(done[0], solution)
    assert solver.done() is None


def test_background_solution_equals_the_inline_one_bit_for_bit(
    problem: Problem, solution: Solution, background: BackgroundSolver
):
    assert background.done() is None
    background.submit(problem)
    found = wait_for_solution(background)
    assert found is not None and same(found, solution) and found.epoch == problem.epoch == 3
    assert background.done() is None
    assert os.getpriority(os.PRIO_PROCESS, process().pid or 0) > os.getpriority(os.PRIO_PROCESS, 0), "the hand goes first"
    # What cannot be solved has an answer, too, and the process lives on.
    background.submit(replace(problem, known=None))
    assert wait_for_solution(background) is None
    assert process().is_alive()


@pytest.mark.parametrize("busy", [False, True])
def test_close_ends_the_process_idle_or_busy(problem: Problem, busy: bool):
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
def test_a_dead_process_raises_eof_error(problem: Problem, background: BackgroundSolver, unread: bool):
    died = process()
    assert died.pid is not None
    if unread:
        os.kill(died.pid, signal.SIGSTOP)
        background.submit(problem)
    os.kill(died.pid, signal.SIGKILL)
    died.join(TIMEOUT_S)
    with pytest.raises(EOFError):
        background.done()
    with pytest.raises(EOFError):
        background.submit(problem)


def test_submit_does_not_block_on_a_busy_solver(problem: Problem, background: BackgroundSolver):
    many = np.zeros(64, int)
    full = replace(problem, views=problem.views.map(lambda keypoints: keypoints.subset(many)), time_ns=problem.time_ns[many])
    stopped = process()
    assert stopped.pid is not None
    os.kill(stopped.pid, signal.SIGSTOP)
    # An alarm ends what would wait for ever.
    signal.alarm(10)
    try:
        background.submit(full)
    finally:
        signal.alarm(0)
    assert background.done() is None
