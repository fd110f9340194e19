"""What the self-calibration answers on windows of one recording, told in several orders: how far answers are apart, and whether
their claims say so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from capture.views import PerView
from hand.joints import DEFAULT_HAND_SIZE_MM
from hand.rotations import angle_deg
from runtime.calibration.self_calibrator import SelfCalibrator
from runtime.calibration.solver import Solution, solve
from runtime.calibration.status import Uncertainty
from runtime.geometry.two_view import TwoViewGeometry
from tools.evaluate.geometry_errors import play
from tools.evaluate.streams.landmarks import Landmarks
from tools.evaluate.streams.orders import ORDERS, Order, part, swapped
from tools.report.table import table

UNKNOWN: PerView[float | None] = PerView(None, None)
"""Fields of view of cameras of which nothing is known."""


@dataclass(frozen=True, slots=True)
class Window:
    """Some pairs of a recording, told in one order."""

    start: int
    stop: int
    """Number of the pair after the last."""
    order: Order


@dataclass(frozen=True, slots=True)
class Answer:
    """Where the cameras are by a window, in the axes of the recording as it was."""

    window: Window
    geometry: TwoViewGeometry
    claim: Uncertainty
    sure: bool
    """Whether the calibrator held it at the end; else it is the last solution, which it did not accept."""


def windows(pairs: int, shortest: int, step: int, longest: int | None, orders: Sequence[Order] = ORDERS) -> list[Window]:
    """All windows of `shortest` to `longest` pairs that begin and end at multiples of `step`, or at the recording's end."""
    longest = longest or pairs
    ends = sorted({*range(step, pairs + 1, step), pairs})
    return [
        Window(start, stop, order)
        for start in range(0, pairs, step)
        for stop in ends
        if shortest <= stop - start <= longest
        for order in orders
    ]


def answer(landmarks: Landmarks, window: Window, fov_deg: PerView[float | None] = UNKNOWN) -> Answer | None:
    """Play a window to a new self-calibrator; None where it has found no cameras at all."""
    if window.order.exchanges:
        fov_deg = swapped(fov_deg)
    told = window.order.told(part(landmarks, np.arange(window.start, window.stop)))
    calibrator = SelfCalibrator(told.sizes_px, fov_deg, DEFAULT_HAND_SIZE_MM)
    last: Solution | None = None
    views = None
    for _, problem in play(told.captured_ns, told.pairs, calibrator):
        solution = solve(problem)
        calibrator.accept(solution)
        if solution is not None:
            last, views = solution, problem.views
    state = calibrator.state
    if state.geometry is not None and state.uncertainty is not None:
        return Answer(window, window.order.back(state.geometry), _back(state.uncertainty, window.order), True)
    if last is None or views is None:
        return None
    return Answer(window, window.order.back(last.cameras.geometry(views)), _back(last.uncertainty, window.order), False)


def _back(claim: Uncertainty, order: Order) -> Uncertainty:
    return replace(claim, focal_percent=swapped(claim.focal_percent)) if order.exchanges else claim


def apart_deg(answers: Sequence[Answer]) -> np.ndarray:
    """(A, A) angles between the answers' rotations."""
    R = np.array([one.geometry.R_right_from_left for one in answers]).reshape(-1, 3, 3)
    return angle_deg(R[:, None], R[None])


def middle(answers: Sequence[Answer]) -> Answer:
    """The answer that is nearest to all others."""
    return answers[int(apart_deg(answers).sum(1).argmin())]


def focal_ratios(one: Answer, other: TwoViewGeometry) -> PerView[float]:
    """By how many percent the answer's focal lengths are longer than others."""
    return PerView.of(lambda view: 100 * (one.geometry.cameras[view].focal_px / other.cameras[view].focal_px - 1))


def report(answers: Sequence[Answer], asked: int, truth: TwoViewGeometry | None) -> str:
    """The figures as text: the spread, differences by order, and against the truth."""
    sure = [one for one in answers if one.sure]
    lines = [f"{asked} windows: {len(sure)} sure, {len(answers) - len(sure)} with a solution that was not accepted"]
    if len(sure) > 1:
        lines.append(f"sure answers: {_spread(sure)}")
    if len(answers) > 1:
        lines.append(f"all answers: {_spread(answers)}")
    orders = {one.window.order.name for one in answers} - {"forwards"}
    rows = {name: row for name in sorted(orders) if (row := _order_row(sure, name))}
    if rows:
        lines.append(f"the same window in another order, both sure, rotation in deg:\n{table(rows)}")
    if truth is not None and sure:
        lines.append(f"sure answers against the calibration given:\n{table(_truth_rows(sure, truth))}")
    return "\n".join(lines)


def _spread(answers: Sequence[Answer]) -> str:
    apart = apart_deg(answers)
    claim = np.array([one.claim.rotation_deg for one in answers])
    pairs = np.triu_indices(len(answers), 1)
    ratio = apart[pairs] / np.maximum(np.hypot(claim[:, None], claim[None])[pairs], 1e-9)
    return (
        f"largest angle between two {apart.max():.1f} deg, median {np.median(apart[pairs]):.1f}, claims {np.median(claim):.1f} "
        f"({claim.min():.1f} to {claim.max():.1f}); within two claims {np.mean(ratio <= 2):.0%}, most {ratio.max():.1f}"
    )


def _order_row(answers: Sequence[Answer], name: str) -> dict[str, str]:
    """Empty where no window was answered in both orders."""
    forwards = {(one.window.start, one.window.stop): one for one in answers if one.window.order.name == "forwards"}
    both = [
        (one, forwards[key])
        for one in answers
        if one.window.order.name == name and (key := (one.window.start, one.window.stop)) in forwards
    ]
    if not both:
        return {}
    apart = [float(angle_deg(one.geometry.R_right_from_left, other.geometry.R_right_from_left)) for one, other in both]
    return {"windows": str(len(both)), "median": f"{np.median(apart):.2f}", "most": f"{max(apart):.2f}"}


def _truth_rows(answers: Sequence[Answer], truth: TwoViewGeometry) -> dict[str, dict[str, str]]:
    def row(errors: list[float], claims: list[float]) -> dict[str, str]:
        ratio = np.array(errors) / np.maximum(claims, 1e-9)
        return {
            "median": f"{np.median(errors):.2f}",
            "most": f"{max(errors):.2f}",
            "claimed": f"{np.median(claims):.2f}",
            "error/claim": f"{np.median(ratio):.2f}",
            "most ": f"{ratio.max():.2f}",
            "below 2": f"{np.mean(ratio <= 2):.0%}",
        }

    rotation = [float(angle_deg(one.geometry.R_right_from_left, truth.R_right_from_left)) for one in answers]
    baseline = [_between(one.geometry.t_right_from_left_mm, truth.t_right_from_left_mm) for one in answers]
    focal = [abs(percent) for one in answers for percent in focal_ratios(one, truth)]
    return {
        "rotation, deg": row(rotation, [one.claim.rotation_deg for one in answers]),
        "baseline, deg": row(baseline, [one.claim.baseline_deg for one in answers]),
        "focal lengths, %": row(focal, [percent for one in answers for percent in one.claim.focal_percent]),
    }


def _between(t: np.ndarray, u: np.ndarray) -> float:
    cosine = t @ u / max(float(np.linalg.norm(t) * np.linalg.norm(u)), 1e-9)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
