"""At which pairs solutions arrived: recorded with a run, and reproduced when it is replayed."""

from collections.abc import Callable
from typing import Literal

from runtime.calibration.solver import Problem, Solution, solve
from runtime.calibration.solver_process import Solver

SolverEvent = Literal["", "solved", "ended"]


class RecordingSolver:
    """A `Solver` that keeps whether it gave a solution."""

    def __init__(self, solver: Solver) -> None:
        self._solver = solver
        self._event: SolverEvent = ""

    def submit(self, problem: Problem) -> None:
        try:
            self._solver.submit(problem)
        except (EOFError, OSError):
            self._event = "ended"
            raise

    def done(self) -> tuple[Solution | None] | None:
        try:
            done = self._solver.done()
        except (EOFError, OSError):
            self._event = "ended"
            raise
        if done is not None:
            self._event = "solved"
        return done

    def take_event(self) -> SolverEvent:
        """The newest event since the last call; empty where there was none."""
        event, self._event = self._event, ""
        return event

    def close(self) -> None:
        self._solver.close()


class ReplayingSolver:
    """A `Solver` whose solutions arrive at the same pairs as in the recorded run; equal problems have equal solutions."""

    def __init__(self, event: Callable[[], SolverEvent]) -> None:
        """`event`: the recorded event at the current pair."""
        self._event = event
        self._problem: Problem | None = None

    def submit(self, problem: Problem) -> None:
        self._problem = problem

    def done(self) -> tuple[Solution | None] | None:
        """Raises EOFError where the recorded run's solver had died."""
        if self._event() == "ended":
            raise EOFError("the recorded run's solver ended here")
        if self._event() != "solved" or self._problem is None:
            return None
        problem, self._problem = self._problem, None
        return (solve(problem),)

    def close(self) -> None:
        pass
