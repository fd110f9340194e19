"""The page of `tools.evaluate.geometry`: what self-calibration claimed against what was true, where it fails, and one rig."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capture.views import PerView
from hand.errors import UserError
from hand.joints import BONES
from tools.evaluate.sheet import BACKGROUND, DIM, GRID, PANEL, TEXT, Colour
from tools.evaluate.two_views import Observed

LEFT: Colour = (88, 166, 255)
RIGHT: Colour = (255, 166, 77)
HAND: Colour = (60, 220, 90)
LIMIT: Colour = (255, 80, 40)


@dataclass(frozen=True, slots=True)
class Errors:
    """How far cameras are off, or are claimed to be."""

    rotation_deg: float
    baseline_deg: float
    """Of the baseline's direction, right camera's axes."""
    focal_percent: PerView[float]
    hand_mm: float
    """Mean over joints triangulated from undisturbed pixels, wrist-aligned and scaled to a hand of 90 mm; NaN in claims."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one update came to."""

    at_s: float
    """Of the stream."""
    claimed: Errors
    true: Errors


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one rig."""

    observed: Observed
    answers: list[Answer]
    """While it was sure, after each update."""
    final: Answer | None
    """At the end of the stream; None where it was not sure then."""
    last: Answer | None
    """What the last update found, sure or not; None where none found anything."""
    update_s: list[float]
    """Wall time of each update."""
    note: str
    """What the calibrator said last."""

    @property
    def first_s(self) -> float | None:
        """Stream time to the first answer."""
        return self.answers[0].at_s if self.answers else None


def draw_page(outcomes: list[Outcome], title: str, file: Path) -> None:
    """Draw to a PNG. Raises UserError where there is nothing to draw or the file cannot be written."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    if not outcomes:
        raise UserError("there are no rigs to draw: ask for one or more")
    if not file.parent.is_dir():
        raise UserError(f"cannot write the page to {file}: give a .png file in a folder that is there")
    with pyplot.rc_context(_look()):
        figure = pyplot.figure(figsize=(16, 14))
        figure.suptitle(title, fontsize=15, y=0.985)
        grid = figure.add_gridspec(3, 3, left=0.045, right=0.985, bottom=0.045, top=0.94, wspace=0.17, hspace=0.22)
        _reliability(figure.add_subplot(grid[0, 0]), outcomes, "rotation, deg", lambda errors: [errors.rotation_deg])
        _reliability(figure.add_subplot(grid[0, 1]), outcomes, "direction of the baseline, deg", lambda e: [e.baseline_deg])
        _reliability(figure.add_subplot(grid[0, 2]), outcomes, "focal lengths, %", lambda errors: list(errors.focal_percent))
        _by(figure.add_subplot(grid[1, 0]), outcomes, "angle between the optical axes, deg", lambda rig: rig.rig.axes_deg)
        _by(figure.add_subplot(grid[1, 1]), outcomes, "wider field of view, deg", lambda rig: max(rig.rig.fov_deg))
        _first(figure.add_subplot(grid[1, 2]), outcomes)
        _over_time(figure.add_subplot(grid[2, 0]), outcomes)
        _hand(figure.add_subplot(grid[2, 1]), outcomes)
        _rig(figure.add_subplot(grid[2, 2], projection="3d"), outcomes[0].observed)
        try:
            figure.savefig(file, dpi=100)
        except (OSError, ValueError) as error:
            raise UserError(f"cannot write the page to {file} ({error}): give a .png file that may be written") from error
        finally:
            pyplot.close(figure)


def _look() -> dict[Any, Any]:
    """matplotlib's settings for the colours of our other pages."""
    text = {name: _rgb(TEXT) for name in ("text.color", "axes.labelcolor", "axes.titlecolor")}
    ticks = {f"{axis}tick.{part}": _rgb(DIM) for axis in "xy" for part in ("color", "labelcolor")}
    return {
        **text,
        **ticks,
        "figure.facecolor": _rgb(BACKGROUND),
        "axes.facecolor": _rgb(PANEL),
        "axes.edgecolor": _rgb(GRID),
        "grid.color": _rgb(GRID),
        "axes.grid": True,
        "legend.facecolor": _rgb(PANEL),
        "legend.edgecolor": _rgb(GRID),
        "font.size": 10,
    }


def _rgb(colour: Colour) -> tuple[float, ...]:
    return tuple(value / 255 for value in colour)


def _reliability(axes, outcomes: list[Outcome], title: str, values: Callable[[Errors], list[float]]) -> None:
    """Claimed against true errors, with the lines on which a claim is right and half of what is true."""
    pairs = [
        pair
        for outcome in outcomes
        if outcome.final
        for pair in zip(values(outcome.final.claimed), values(outcome.final.true), strict=True)
    ]
    axes.set(title=title, xlabel="claimed (standard deviation)", ylabel="true error", xscale="log", yscale="log")
    if not pairs:
        axes.text(0.5, 0.5, "no answer", transform=axes.transAxes, ha="center")
        return
    claimed, true = np.maximum(np.abs(np.array(pairs).T), 1e-3)
    # Whole decades; the luckiest twentieth may lie on the lower edge.
    ends = 10 ** np.array(
        [np.floor(np.log10(min(claimed.min(), np.percentile(true, 5)))), np.ceil(np.log10(max(claimed.max(), true.max())))]
    )
    axes.plot(ends, ends, color=_rgb(TEXT), label="as claimed")
    axes.plot(ends, 2 * ends, "--", color=_rgb(LIMIT), label="twice")
    axes.plot(claimed, true.clip(ends[0]), "o", markersize=4, color=_rgb(LEFT), alpha=0.8)
    axes.set(xlim=ends, ylim=ends)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    axes.legend(loc="upper left", title=f"{np.mean(true <= 2 * claimed):.0%} below twice, n = {len(true)}")


def _by(axes, outcomes: list[Outcome], label: str, value: Callable[[Observed], float]) -> None:
    """Rotation and baseline errors over a property of the rigs; rigs without an answer at the foot."""
    sure = [outcome for outcome in outcomes if outcome.final]
    silent = [value(outcome.observed) for outcome in outcomes if not outcome.final]
    for name, colour, error in (
        ("rotation", LEFT, lambda errors: errors.rotation_deg),
        ("baseline", RIGHT, lambda errors: errors.baseline_deg),
    ):
        points = [(value(outcome.observed), error(outcome.final.true)) for outcome in sure if outcome.final]
        if points:
            axes.plot(*zip(*points, strict=True), "o", markersize=4, color=_rgb(colour), alpha=0.8, label=name)
    if silent:
        axes.plot(
            silent,
            np.zeros(len(silent)),
            "x",
            color=_rgb(LIMIT),
            transform=axes.get_xaxis_transform(),
            clip_on=False,
            label="not sure",
        )
    axes.set(title=f"errors by {label.split(',')[0]}", xlabel=label, ylabel="error, deg")
    _degrees(axes)
    axes.legend()


def _first(axes, outcomes: list[Outcome]) -> None:
    """How many rigs had an answer by then."""
    times = np.sort([outcome.first_s for outcome in outcomes if outcome.first_s is not None])
    end = max(_seconds(outcome.observed) for outcome in outcomes)
    share = np.arange(len(times) + 1) / len(outcomes)
    axes.step([0, *times, end], [*share, share[-1]], where="post", color=_rgb(LEFT))
    axes.set(title="time to the first answer", xlabel="stream, s", ylabel="share of the rigs", ylim=(0, 1.02), xlim=(0, end))


def _over_time(axes, outcomes: list[Outcome]) -> None:
    """The rotation's error as time goes by, a line a rig."""
    for outcome in outcomes:
        points = [(answer.at_s, max(answer.true.rotation_deg, 1e-2)) for answer in outcome.answers]
        if points:
            axes.plot(*zip(*points, strict=True), "-", color=_rgb(LEFT), alpha=0.35, linewidth=1)
    axes.axhline(5, linestyle="--", color=_rgb(LIMIT), label="5 deg")
    axes.set(title="rotation error while sure, a line a rig", xlabel="stream, s", ylabel="error, deg")
    _degrees(axes)
    axes.legend()


def _degrees(axes) -> None:
    """A logarithmic axis of errors that all panels share."""
    axes.set(yscale="log", ylim=(0.02, 200))
    axes.yaxis.set_major_formatter("{x:g}")


def _hand(axes, outcomes: list[Outcome]) -> None:
    """Share of the rigs whose triangulated hand is at most that far off."""
    errors = np.sort([outcome.final.true.hand_mm for outcome in outcomes if outcome.final])
    axes.step([0, *errors], np.arange(len(errors) + 1) / len(outcomes), where="post", color=_rgb(HAND))
    axes.set(title="hand from undisturbed pixels", xlabel="mean error, mm", ylabel="share of the rigs", ylim=(0, 1.02))
    axes.set_xlim(left=0)


def _rig(axes, observed: Observed) -> None:
    """Both cameras with what they see at the hand's distance, and the hand with its path, seen from above and aside."""
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
        axes.text(*_above(corners[:1])[0], name, color=_rgb(colour))
    _line(axes, joints.mean(1), DIM, 1)
    hand = joints[len(joints) // 2]
    for bone in BONES:
        _line(axes, hand[list(bone)], HAND, 1.5)
    both = (f"{fov:.0f}" for fov in rig.fov_deg)
    axes.set_title(f"a rig: {rig.axes_deg:.0f} deg apart, fields of view {' and '.join(both)} deg")
    axes.set_aspect("equal")
    axes.view_init(35, -70)
    axes.xaxis.pane.fill = axes.yaxis.pane.fill = axes.zaxis.pane.fill = False
    axes.set(xticklabels=[], yticklabels=[], zticklabels=[])


def _line(axes, points: np.ndarray, colour: Colour, width: float) -> None:
    axes.plot(*_above(points).T, color=_rgb(colour), linewidth=width)


def _above(points: np.ndarray) -> np.ndarray:
    """Camera axes (…, 3) as x, depth, height: matplotlib's third axis points up."""
    return points[..., [0, 2, 1]] * [1, 1, -1]


def _seconds(observed: Observed) -> float:
    return float(observed.captured_ns[-1] - observed.captured_ns[0]) / 1e9
