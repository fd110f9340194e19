"""When the cameras' places were solved: noted while a run is recorded, and kept to when it is replayed."""

from collections.abc import Callable
from typing import Literal

from runtime.calibration.solver import Problem, Solution, solve
from runtime.calibration.solver_process import Solver

Told = Literal["", "solved", "ended"]


class RecordingSolver:
    """A `Solver` that remembers what it gave."""

    def __init__(self, solver: Solver) -> None:
        self._solver = solver
        self._told: Told = ""

    def submit(self, problem: Problem) -> None:
        try:
            self._solver.submit(problem)
        except (EOFError, OSError):
            self._told = "ended"
            raise

    def done(self) -> tuple[Solution | None] | None:
        try:
            done = self._solver.done()
        except (EOFError, OSError):
            self._told = "ended"
            raise
        if done is not None:
            self._told = "solved"
        return done

    def told(self) -> Told:
        """What came of it since it was last asked."""
        told, self._told = self._told, ""
        return told

    def close(self) -> None:
        self._solver.close()


class ReplayingSolver:
    """A `Solver` whose solutions come at the pairs at which they came then; the problems being the same, so are the solutions."""

    def __init__(self, told: Callable[[], Told]) -> None:
        """`told`: what came from the solver at the pair that is worked on now."""
        self._now = told
        self._problem: Problem | None = None

    def submit(self, problem: Problem) -> None:
        self._problem = problem

    def done(self) -> tuple[Solution | None] | None:
        """Raises EOFError where the recorded run's solver had died."""
        if self._now() == "ended":
            raise EOFError("the recorded run's solver ended here")
        if self._now() != "solved" or self._problem is None:
            return None
        problem, self._problem = self._problem, None
        return (solve(problem),)

    def close(self) -> None:
        pass
