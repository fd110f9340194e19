"""Replaying the recorded times of solutions gives identical hands."""

from collections import deque
from collections.abc import Callable

import msgspec
import pytest

from capture.views import PerView
from runtime.calibration.self_calibrator import SelfCalibrator
from runtime.calibration.solver import Problem, Solution, solve
from runtime.calibration.solver_log import RecordingSolver, ReplayingSolver, SolverEvent
from runtime.calibration.solver_process import InlineSolver, Solver
from runtime.outputs.hand_line import HandLine, hand_line
from runtime.pipeline import Pipeline, PipelineSettings
from tests.runtime.scenes import CAMERAS, SIZES_PX, Scene
from tests.runtime.test_pipeline import TruthEstimator

PAIRS = 85


class DelayedSolver:
    """Solver whose solutions come some pairs later, as in the background."""

    def __init__(self, pairs: int):
        self._after = pairs
        self._pending: deque[tuple[Problem, int]] = deque()

    def submit(self, problem: Problem) -> None:
        self._pending.append((problem, self._after))

    def done(self) -> tuple[Solution | None] | None:
        self._pending = deque((problem, after - 1) for problem, after in self._pending)
        if not self._pending or self._pending[0][1] > 0:
            return None
        return (solve(self._pending.popleft()[0]),)

    def close(self) -> None:
        pass


def run(solver: Solver, events: list[SolverEvent], on_pair: Callable[[int], object] = lambda number: None) -> list[HandLine]:
    """The hands of a scene; `events` gets what came from the solver at each pair."""
    scene, how = Scene(), PipelineSettings(merge="geometry")
    calibrator = SelfCalibrator(SIZES_PX, PerView(65.0, 80.0), 90)
    pipeline = Pipeline(TruthEstimator(scene), CAMERAS, how, lambda: 0, calibrator=calibrator, solver=solver)
    lines = []
    for scene.seq in range(PAIRS):
        on_pair(scene.seq)
        pair = scene.pair()
        (hand,) = pipeline.step(pair)
        lines.append(hand_line(pair, hand, hand.R_right_from_left, exact=True))
        events.append(solver.take_event() if isinstance(solver, RecordingSolver) else "")
    return lines


def test_replayed_solver_events_give_identical_hands():
    events: list[SolverEvent] = []
    first = run(RecordingSolver(DelayedSolver(9)), events)
    assert events.count("solved") >= 2 and any(line.wrist_mm is not None for line in first)
    current: list[SolverEvent] = []
    again = run(ReplayingSolver(lambda: current[-1]), [], lambda number: current.append(events[number]))
    assert msgspec.json.encode(again) == msgspec.json.encode(first)
    # Solved at once, the cameras are known sooner: when solutions come makes hands what they are.
    assert msgspec.json.encode(run(InlineSolver(), [])) != msgspec.json.encode(first)


def test_the_end_of_a_solver_is_recorded_and_replayed():
    class DeadSolver(InlineSolver):
        def done(self):
            raise EOFError("died")

    recording = RecordingSolver(DeadSolver())
    with pytest.raises(EOFError):
        recording.done()
    assert (recording.take_event(), recording.take_event()) == ("ended", "")
    with pytest.raises(EOFError):
        ReplayingSolver(lambda: "ended").done()
    assert ReplayingSolver(lambda: "solved").done() is None
