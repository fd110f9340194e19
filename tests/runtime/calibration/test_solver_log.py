"""Solutions come again when they came: a run whose solver took its time gives the same hands when it is run again."""

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
from tests.runtime.test_pipeline import Seer

PAIRS = 85


class Slow:
    """A solver beside the stream: what it is given comes back some pairs later."""

    def __init__(self, pairs: int):
        self._after = pairs
        self._waiting: deque[tuple[Problem, int]] = deque()

    def submit(self, problem: Problem) -> None:
        self._waiting.append((problem, self._after))

    def done(self) -> tuple[Solution | None] | None:
        self._waiting = deque((problem, after - 1) for problem, after in self._waiting)
        if not self._waiting or self._waiting[0][1] > 0:
            return None
        return (solve(self._waiting.popleft()[0]),)

    def close(self) -> None:
        pass


def run(solver: Solver, told: list[SolverEvent], on_pair: Callable[[int], object] = lambda number: None) -> list[HandLine]:
    """The hands of a scene; `told` gets what came from the solver at each pair."""
    scene, how = Scene(), PipelineSettings(merge="geometry")
    calibrator = SelfCalibrator(SIZES_PX, PerView(65.0, 80.0), 90)
    pipeline = Pipeline(Seer(scene), CAMERAS, how, lambda: 0, calibrator=calibrator, solver=solver)
    lines = []
    for scene.seq in range(PAIRS):
        on_pair(scene.seq)
        pair = scene.pair()
        (hand,) = pipeline.step(pair)
        lines.append(hand_line(pair, hand, hand.R_right_from_left, exact=True))
        told.append(solver.take_event() if isinstance(solver, RecordingSolver) else "")
    return lines


def test_hands_are_the_same_bit_for_bit():
    told: list[SolverEvent] = []
    first = run(RecordingSolver(Slow(9)), told)
    assert told.count("solved") >= 2 and any(line.wrist_mm is not None for line in first)
    current: list[SolverEvent] = []
    again = run(ReplayingSolver(lambda: current[-1]), [], lambda number: current.append(told[number]))
    assert msgspec.json.encode(again) == msgspec.json.encode(first)
    # Solved at once, the cameras are known sooner: when solutions come makes hands what they are.
    assert msgspec.json.encode(run(InlineSolver(), [])) != msgspec.json.encode(first)


def test_the_end_of_a_solver_comes_again_too():
    class Dead(InlineSolver):
        def done(self):
            raise EOFError("died")

    noted = RecordingSolver(Dead())
    with pytest.raises(EOFError):
        noted.done()
    assert (noted.take_event(), noted.take_event()) == ("ended", "")
    with pytest.raises(EOFError):
        ReplayingSolver(lambda: "ended").done()
    assert ReplayingSolver(lambda: "solved").done() is None
