"""Runs the solver: inline, or in a background process of its own."""

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from typing import Protocol

from runtime.calibration.solver import Problem, Solution, solve
from runtime.processes import ignoring_interrupts

NICENESS = 10
"""Tracking the hand has priority over calibrating the cameras."""
_DIED = "the process that calibrates the cameras has died"


class Solver(Protocol):
    """Takes one problem at a time."""

    def submit(self, problem: Problem) -> None: ...

    def done(self) -> tuple[Solution | None] | None:
        """The last problem's solution, once, in a tuple; None while there is none."""
        ...

    def close(self) -> None: ...


class InlineSolver:
    """Solves in the calling thread: every run over the same pairs finds the same cameras at the same pair."""

    def __init__(self) -> None:
        self._solution: tuple[Solution | None] | None = None

    def submit(self, problem: Problem) -> None:
        self._solution = (solve(problem),)

    def done(self) -> tuple[Solution | None] | None:
        solution, self._solution = self._solution, None
        return solution

    def close(self) -> None:
        pass


class BackgroundSolver:
    """Solves in a process of low priority; the stream does not wait."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        # A daemon: it never outlives the program.
        self._process = context.Process(target=_serve, args=(theirs,), name="solver", daemon=True)
        with ignoring_interrupts():
            self._process.start()
        theirs.close()

    def submit(self, problem: Problem) -> None:
        """Raises EOFError where the process has died."""
        try:
            self._ours.send(problem)
        except BrokenPipeError as error:
            raise EOFError(_DIED) from error

    def done(self) -> tuple[Solution | None] | None:
        """Raises EOFError where the process has died."""
        try:
            return (self._ours.recv(),) if self._ours.poll() else None
        # Reset where it left a problem unread.
        except (EOFError, ConnectionResetError) as error:
            raise EOFError(_DIED) from error

    def close(self) -> None:
        """End the process, even while it solves."""
        self._process.kill()
        self._process.join()
        self._ours.close()


def _serve(problems: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    while True:
        try:
            problem = problems.recv()
        except EOFError:
            return
        problems.send(solve(problem))
