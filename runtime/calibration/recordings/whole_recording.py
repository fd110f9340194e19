"""Calibration of two cameras on a whole recording: keyframes of all of it, by diversity and evenly in time, solved at once.

A stream's calibration is the first sure answer, refined while it goes on. A recording that can be read twice needs no hurry: one
bundle adjustment of all keyframes, from several starts, of which that one counts that explains all of them best.
"""

from dataclasses import replace

import numpy as np

from capture.views import PerView
from runtime.calibration.acceptance import rejection_reason
from runtime.calibration.bundle import Bundle
from runtime.calibration.initialization import scene_at
from runtime.calibration.keyframes import Keyframe, KeyframeBuffer, keyframe_of
from runtime.calibration.minimizer import minimize
from runtime.calibration.robust_losses import FINAL_LOSSES
from runtime.calibration.self_calibrator import SelfCalibrator
from runtime.calibration.solver import Problem, Solution, solve
from runtime.types import ViewHand

DIVERSE, EVEN = 80, 40
"""Keyframes by diversity of the poses, and more that are spread evenly over the recording."""
_ALWAYS = 1 << 62


class RecordingKeyframes:
    """Keyframes of a recording of any length, in bounded memory."""

    def __init__(self, widths_px: PerView[int]) -> None:
        self._widths_px = widths_px
        self._diverse: KeyframeBuffer[Keyframe] = self._buffer(DIVERSE)
        self._even: list[Keyframe] = []
        self._every, self._seen = 1, 0

    def add(self, captured_ns: int, hands: PerView[ViewHand]) -> None:
        """Add a pair that both views saw; one that calibration cannot use is skipped."""
        pair = keyframe_of(captured_ns, hands)
        if pair is None:
            return
        self._diverse.add(pair)
        if self._seen % self._every == 0:
            self._even.append(pair)
        self._seen += 1
        if len(self._even) > 2 * EVEN:
            self._even, self._every = self._even[::2], 2 * self._every

    def clear(self) -> None:
        """Drop all: a camera was moved, or the hand was taken for the other one."""
        self._diverse, self._even, self._every, self._seen = self._buffer(DIVERSE), [], 1, 0

    @property
    def keyframes(self) -> KeyframeBuffer[Keyframe]:
        """All of them, in order of time."""
        chosen = np.unique(np.linspace(0, len(self._even) - 1, min(EVEN, len(self._even))).round().astype(int))
        pairs = {pair.captured_ns: pair for pair in (*self._diverse.pairs, *(self._even[index] for index in chosen))}
        together = self._buffer(len(pairs))
        for captured_ns in sorted(pairs):
            together.add(pairs[captured_ns])
        return together

    def _buffer(self, capacity: int) -> KeyframeBuffer[Keyframe]:
        return KeyframeBuffer(self._widths_px, max(capacity, 1), max_age_ns=_ALWAYS)


def calibrate_on(keyframes: RecordingKeyframes, calibrator: SelfCalibrator) -> bool:
    """Let `calibrator`, which has seen the recording, use the cameras that explain all keyframes best; whether there are any.

    Where they are not accepted, what the stream has found stays.
    """
    problem = calibrator.problem_of(keyframes.keyframes)
    if problem is None:
        return False
    solution = solve_from_all(problem)
    return solution is not None and rejection_reason(solution) is None and calibrator.conclude(solution)


def solve_from_all(problem: Problem) -> Solution | None:
    """The best of the solutions reached from the known cameras, if there are any, and from a search; None without one."""
    starts = [replace(problem, known=None, search=True)]
    if problem.known is not None:
        starts.append(replace(problem, search=False))
    solutions = [solution for start in starts if (solution := solve(start)) is not None]
    return min(solutions, key=lambda solution: _cost(problem, solution), default=None)


def _cost(problem: Problem, solution: Solution) -> float:
    """Cost of all keyframes at a solution's cameras and bones, by the noise that views predict, the same for all."""
    scene = scene_at(solution.cameras, problem.views, solution.bones)
    prior = replace(problem.prior, equal_sigma=float("inf"))
    return minimize(Bundle(problem.views, prior, FINAL_LOSSES), scene, 0)[1]
