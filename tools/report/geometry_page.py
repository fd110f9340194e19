"""The page of `tools.evaluate.geometry`: expected against true errors of self-calibration, where it fails, and one rig."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from hand.errors import UserError
from hand.joints import BONES
from tools.evaluate.geometry_errors import Errors, Outcome
from tools.evaluate.geometry_report import RIGHT_DEG
from tools.evaluate.two_views import Observed
from tools.report.figures import new_figure, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mpl_toolkits.mplot3d import Axes3D

LEFT, RIGHT, HAND, LIMIT = "tab:blue", "tab:orange", "tab:green", "tab:red"


def draw_page(outcomes: list[Outcome], title: str) -> "Figure":
    """Nine panels. Raises UserError where there is nothing to draw."""
    if not outcomes:
        raise UserError("there are no rigs to draw: ask for one or more")
    figure = new_figure(1600, 1400)
    figure.suptitle(title, fontsize=14)
    panel = panels(figure, 3, 3)
    _reliability(panel(0, 0), outcomes, "rotation, deg", lambda errors: [errors.rotation_deg])
    _reliability(panel(0, 1), outcomes, "direction of the baseline, deg", lambda errors: [errors.baseline_deg])
    _reliability(panel(0, 2), outcomes, "focal lengths, %", lambda errors: list(errors.focal_percent))
    _errors_by(panel(1, 0), outcomes, "angle between the optical axes, deg", lambda observed: observed.rig.axes_deg)
    _errors_by(panel(1, 1), outcomes, "wider field of view, deg", lambda observed: max(observed.rig.fov_deg))
    _first(panel(1, 2), outcomes)
    _over_time(panel(2, 0), outcomes)
    _hand(panel(2, 1), outcomes)
    _rig(figure.add_subplot(3, 3, 9, projection="3d"), outcomes[0].observed)
    return figure


def _reliability(axes: "Axes", outcomes: list[Outcome], title: str, values: Callable[[Errors], list[float]]) -> None:
    """Expected against true errors, with the lines where they are equal and where the true one is twice as large."""
    pairs = [
        pair
        for outcome in outcomes
        if outcome.final
        for pair in zip(values(outcome.final.expected), values(outcome.final.true), strict=True)
    ]
    axes.set(title=title, xlabel="expected (standard deviation)", ylabel="true error", xscale="log", yscale="log")
    if not pairs:
        axes.text(0.5, 0.5, "never calibrated", transform=axes.transAxes, ha="center")
        return
    expected, true = np.maximum(np.abs(np.array(pairs).T), 1e-3)
    # Whole decades; the smallest twentieth of the errors may lie on the lower edge.
    ends = 10 ** np.array(
        [np.floor(np.log10(min(expected.min(), np.percentile(true, 5)))), np.ceil(np.log10(max(expected.max(), true.max())))]
    )
    axes.plot(ends, ends, color="grey", label="as expected")
    axes.plot(ends, 2 * ends, "--", color=LIMIT, label="twice as large")
    axes.plot(expected, true.clip(ends[0]), "o", markersize=4, color=LEFT, alpha=0.8)
    axes.set(xlim=ends, ylim=ends)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    axes.legend(loc="upper left", title=f"{np.mean(true <= 2 * expected):.0%} below twice, n = {len(true)}")


def _errors_by(axes: "Axes", outcomes: list[Outcome], label: str, value: Callable[[Observed], float]) -> None:
    """Rotation and baseline errors over a property of the rigs; rigs that are not calibrated at the foot."""
    calibrated = [(value(outcome.observed), outcome.final.true) for outcome in outcomes if outcome.final]
    others = [value(outcome.observed) for outcome in outcomes if not outcome.final]
    where = [place for place, _ in calibrated]
    axes.plot(where, [true.rotation_deg for _, true in calibrated], "o", markersize=4, color=LEFT, alpha=0.8, label="rotation")
    axes.plot(where, [true.baseline_deg for _, true in calibrated], "o", markersize=4, color=RIGHT, alpha=0.8, label="baseline")
    if others:
        at_foot = axes.get_xaxis_transform()
        axes.plot(others, np.full(len(others), 0.02), "x", color=LIMIT, transform=at_foot, label="not calibrated")
    axes.set(title=f"errors by {label.split(',')[0]}", xlabel=label, ylabel="error, deg")
    _degrees(axes)
    axes.legend()


def _first(axes: "Axes", outcomes: list[Outcome]) -> None:
    """Share of the rigs that are calibrated by then."""
    times = np.sort([outcome.first_s for outcome in outcomes if outcome.first_s is not None])
    end = max(float(np.ptp(outcome.observed.captured_ns)) / 1e9 for outcome in outcomes)
    share = np.arange(len(times) + 1) / len(outcomes)
    axes.step([0, *times, end], [*share, share[-1]], where="post", color=LEFT)
    axes.set(title="time to the first calibration", xlabel="stream, s", ylabel="share of the rigs", ylim=(0, 1.02), xlim=(0, end))


def _over_time(axes: "Axes", outcomes: list[Outcome]) -> None:
    """The rotation's error over time, one line per rig."""
    for outcome in outcomes:
        at_s = [update.at_s for update in outcome.calibrated]
        error_deg = [max(update.true.rotation_deg, 1e-2) for update in outcome.calibrated]
        axes.plot(at_s, error_deg, ".-", color=LEFT, alpha=0.35, linewidth=1)
    axes.axhline(RIGHT_DEG, linestyle="--", color=LIMIT, label=f"{RIGHT_DEG:g} deg")
    axes.set(title="rotation error while calibrated, one line per rig", xlabel="stream, s", ylabel="error, deg")
    _degrees(axes)
    axes.legend()


def _degrees(axes: "Axes") -> None:
    """A logarithmic axis of errors that all panels share."""
    axes.set(yscale="log", ylim=(0.02, 200))
    axes.yaxis.set_major_formatter("{x:g}")


def _hand(axes: "Axes", outcomes: list[Outcome]) -> None:
    """Share of the rigs whose triangulated hand is at most that far off."""
    errors = np.sort([outcome.final.true.hand_mm for outcome in outcomes if outcome.final])
    axes.step([0, *errors], np.arange(len(errors) + 1) / len(outcomes), where="post", color=HAND)
    axes.set(title="hand from undisturbed pixels", xlabel="mean error, mm", ylabel="share of the rigs", ylim=(0, 1.02))
    axes.set_xlim(left=0)


def _rig(axes: "Axes3D", observed: Observed) -> None:
    """Both cameras' fields of view, and the hand with its path."""
    rig, geometry = observed.rig, observed.rig.geometry
    joints = observed.joints_mm[np.isfinite(observed.joints_mm).all((1, 2))]
    middle = joints.mean((0, 1))
    R, t = geometry.R_right_from_left, geometry.t_right_from_left_mm
    for name, camera, colour in (("left", geometry.cameras.left, LEFT), ("right", geometry.cameras.right, RIGHT)):
        depth = (middle if name == "left" else R @ middle + t)[2] * 0.4
        width, height = camera.size_px
        corners = camera.rays(np.array([[0, 0], [width, 0], [width, height], [0, height]]))
        corners = np.concatenate([[[0, 0, 0]], corners / corners[:, 2:] * depth])
        if name == "right":
            corners = (corners - t) @ R
        for start, stop in ((0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (2, 3), (3, 4), (4, 1)):
            _line(axes, corners[[start, stop]], colour, 1)
        x, y, z = _height_last(corners[0]).tolist()
        axes.text(x, y, z, name, color=colour)
    _line(axes, joints.mean(1), "grey", 1)
    hand = joints[len(joints) // 2]
    for bone in BONES:
        _line(axes, hand[list(bone)], HAND, 1.5)
    fov_deg = " and ".join(f"{fov:.0f}" for fov in rig.fov_deg)
    axes.set_title(f"a rig: {rig.axes_deg:.0f} deg apart, fields of view {fov_deg} deg")
    axes.set_aspect("equal")
    axes.view_init(35, -70)
    axes.set(xticklabels=[], yticklabels=[], zticklabels=[])


def _line(axes: "Axes3D", points: np.ndarray, colour: str, width: float) -> None:
    axes.plot(*_height_last(points).T, color=colour, linewidth=width)


def _height_last(points: np.ndarray) -> np.ndarray:
    """Camera axes (…, 3) as x, depth, height: matplotlib's third axis points up."""
    return points[..., [0, 2, 1]] * [1, 1, -1]
