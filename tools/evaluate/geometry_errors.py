"""How far a self-calibration is off: its errors against the truth, update by update, as a stream is played to it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from capture.views import PerView
from hand.joints import DEFAULT_HAND_SIZE_MM, MIDDLE_MCP, unit_hand
from hand.rotations import angle_deg
from runtime.calibration.acceptance import rejection_reason
from runtime.calibration.self_calibrator import SelfCalibrator
from runtime.calibration.solver import Problem, solve
from runtime.calibration.status import Uncertainty
from runtime.fusion.merge_validation import MergeValidation
from runtime.geometry.two_view import TwoViewGeometry
from runtime.reporting.calibration_text import describe
from runtime.types import Side, ViewHand
from tools.evaluate.two_views import Observed


@dataclass(frozen=True, slots=True)
class Errors:
    """How far cameras are off, or are expected to be."""

    rotation_deg: float
    baseline_deg: float
    """Of the baseline's direction, right camera's axes."""
    focal_percent: PerView[float]
    hand_mm: float
    """Mean over joints triangulated from undisturbed pixels, wrist-aligned and scaled to a hand of 90 mm; NaN where expected."""


@dataclass(frozen=True, slots=True)
class Update:
    """What one update came to."""

    at_s: float
    """Of the stream."""
    expected: Errors
    """The calibration's own standard deviations."""
    true: Errors


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one stream."""

    observed: Observed
    calibrated: list[Update]
    """Updates after which the calibrator held a geometry, in order."""
    final: Update | None
    """At the end of the stream; None where it was not calibrated then."""
    last: Update | None
    """The last solution, accepted or not; None where there was none."""
    update_s: list[float]
    """Wall time of each update."""
    status: str
    """The calibrator's last status, as text."""

    @property
    def first_s(self) -> float | None:
        """Stream time to the first accepted calibration."""
        return self.calibrated[0].at_s if self.calibrated else None


def errors_of(
    geometry: TwoViewGeometry, truth: TwoViewGeometry, joints_mm: np.ndarray, pixels: PerView[np.ndarray]
) -> Errors:  # fmt: skip
    """Errors of an estimate, and of joints (M, 21, 3), left camera's axes, triangulated with it from `pixels` (M, 21, 2)."""
    baseline, true_baseline = (t / np.linalg.norm(t) for t in (geometry.t_right_from_left_mm, truth.t_right_from_left_mm))
    met = geometry.triangulate(pixels, pixels.map(lambda of_view: np.ones(of_view.shape[:-1])))
    rooted = joints_mm - joints_mm[:, :1]
    length = np.linalg.norm(rooted[:, MIDDLE_MCP], axis=-1)[:, None, None]
    off = np.linalg.norm(unit_hand(met) - rooted / length, axis=-1) * DEFAULT_HAND_SIZE_MM
    return Errors(
        float(angle_deg(geometry.R_right_from_left, truth.R_right_from_left)),
        float(np.degrees(2 * np.arcsin(np.linalg.norm(baseline - true_baseline) / 2))),
        PerView.of(lambda view: 100 * (geometry.cameras[view].focal_px / truth.cameras[view].focal_px - 1)),
        float(off.mean()),
    )


def problems(observed: Observed, calibrator: SelfCalibrator) -> Iterator[tuple[int, Problem]]:
    """Play the observations to a self-calibrator, as `play` does."""
    return play(observed.captured_ns, observed.pairs, calibrator)


def _last_problem(observed: Observed, calibrator: SelfCalibrator) -> list[tuple[int, Problem]]:
    """What is due once all is seen: one problem, or none."""
    for _ in _added(observed.captured_ns, observed.pairs, calibrator):
        pass
    last_ns = int(observed.captured_ns[-1])
    problem = calibrator.due(last_ns)
    return [] if problem is None else [(last_ns, problem)]


def play(
    captured_ns: np.ndarray, pairs: list[PerView[ViewHand] | None], calibrator: SelfCalibrator
) -> Iterator[tuple[int, Problem]]:  # fmt: skip
    """Give pairs captured at `captured_ns` (N,) to a self-calibrator; each problem with the time it is due, to be solved before
    the next comes.
    """
    for now_ns in _added(captured_ns, pairs, calibrator):
        problem = calibrator.due(now_ns)
        if problem is not None:
            yield now_ns, problem


def _added(captured_ns: np.ndarray, pairs: list[PerView[ViewHand] | None], calibrator: SelfCalibrator) -> Iterator[int]:
    """Add the pairs; when each was captured. As live, some are held out, and another handedness makes calibration start anew."""
    side: Side | None = None
    validation = MergeValidation()
    for now_ns, pair in zip(captured_ns.tolist(), pairs, strict=True):
        if pair is not None:
            if side is not None and pair.left.side != side:
                calibrator.forget()
            side = pair.left.side
            take = calibrator.hold_out if validation.holds_out(pair) else calibrator.add
            take(now_ns, pair)
        yield now_ns


def follow(
    observed: Observed, fov_deg: PerView[float | None], pixels: PerView[np.ndarray] | None = None, *, at_end: bool = False
) -> Outcome:
    """Play the observations to a new self-calibrator, each update done before the next pair comes.

    `at_end`: one update, after the last pair, of the keyframes of the whole stream; it needs no second one to confirm it.
    Triangulated hands are compared at `pixels` (N, 21, 2) of the frames with a pair, those of the true joints if not given.
    """
    calibrator = SelfCalibrator(observed.sizes_px, fov_deg, DEFAULT_HAND_SIZE_MM)
    there = np.array([pair is not None for pair in observed.pairs])
    truth, joints_mm = observed.rig.geometry, observed.joints_mm[there]
    pixels = pixels.map(lambda of_view: of_view[there]) if pixels else truth.project(joints_mm)
    calibrated: list[Update] = []
    last: Update | None = None
    update_s: list[float] = []

    def update(captured_ns: int, geometry: TwoViewGeometry, uncertainty: Uncertainty) -> Update:
        expected = Errors(uncertainty.rotation_deg, uncertainty.baseline_deg, uncertainty.focal_percent, float("nan"))
        at_s = (captured_ns - int(observed.captured_ns[0])) / 1e9
        return Update(at_s, expected, errors_of(geometry, truth, joints_mm, pixels))

    due = _last_problem(observed, calibrator) if at_end else problems(observed, calibrator)
    for captured_ns, problem in due:
        started = time.perf_counter()
        solution = solve(problem)
        update_s.append(time.perf_counter() - started)
        calibrator.accept(solution)
        if solution is not None:
            last = update(captured_ns, solution.cameras.geometry(problem.views), solution.uncertainty)
        state = calibrator.state
        if at_end and last is not None and solution is not None and rejection_reason(solution) is None:
            calibrated.append(last)
        elif state.geometry is not None and state.uncertainty is not None:
            calibrated.append(update(captured_ns, state.geometry, state.uncertainty))
    final = calibrated[-1] if calibrated and (at_end or calibrator.state.geometry is not None) else None
    return Outcome(observed, calibrated, final, last, update_s, describe(calibrator.status))
