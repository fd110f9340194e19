"""The page of `tools.evaluate.windows`: what each window of a recording answers, what it claims, how far answers differ."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from capture.views import VIEWS
from hand.errors import UserError
from hand.rotations import angle_deg
from runtime.geometry.two_view import TwoViewGeometry
from tools.evaluate.streams.windows import Answer, apart_deg, focal_ratios, middle
from tools.report.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"forwards": "tab:blue", "backwards": "tab:orange", "exchanged": "tab:green", "mirrored": "tab:purple"}
LIMIT = "tab:red"


def draw_windows_page(answers: Sequence[Answer], title: str, truth: TwoViewGeometry | None) -> "Figure":
    """Five panels. Raises UserError where there is nothing to draw."""
    if not answers:
        raise UserError("no window gave cameras: there is nothing to draw; give a recording that shows one hand to both cameras")
    figure = new_figure(1600, 1300)
    figure.suptitle(title, fontsize=14)
    grid = figure.add_gridspec(3, 2)
    centre = truth or middle([one for one in answers if one.sure] or answers).geometry
    about = "the calibration given" if truth else "the middle answer"

    def away(one: Answer) -> float:
        return float(angle_deg(one.geometry.R_right_from_left, centre.R_right_from_left))

    _by_window(
        figure.add_subplot(grid[0, :]),
        answers,
        away,
        lambda one: one.claim.rotation_deg,
        f"rotation: deg from {about}, and claim",
    )
    for column, view in enumerate(VIEWS):
        _by_window(
            figure.add_subplot(grid[1, column]),
            answers,
            lambda one, view=view: focal_ratios(one, centre)[view],
            lambda one, view=view: one.claim.focal_percent[view],
            f"{view} focal length: % from {about}, and claim",
        )
    _matrix(figure, figure.add_subplot(grid[2, 0]), answers)
    _apart(figure.add_subplot(grid[2, 1]), answers)
    return figure


def _by_window(
    axes: "Axes", answers: Sequence[Answer], value: Callable[[Answer], float], claim: Callable[[Answer], float], title: str
) -> None:
    """One bar of ± a claim for each answer; hollow where the calibrator was not sure."""
    keys = sorted({(one.window.start, one.window.stop) for one in answers})
    names = list(COLOURS)
    for name, colour in COLOURS.items():
        of_order = [one for one in answers if one.window.order.name == name]
        if not of_order:
            continue
        for sure, fill in ((True, colour), (False, "none")):
            shown = [one for one in of_order if one.sure is sure]
            where = [keys.index((one.window.start, one.window.stop)) + 0.15 * (names.index(name) - 1.5) for one in shown]
            label = name if sure else None
            axes.errorbar(
                where,
                [value(one) for one in shown],
                [claim(one) for one in shown],
                fmt="o",
                color=colour,
                markerfacecolor=fill,
                markersize=4,
                label=label,
            )
    step = max(1, len(keys) // 14)
    axes.set_xticks(range(0, len(keys), step), [f"{start}-{stop}" for start, stop in keys[::step]], fontsize=7, rotation=30)
    axes.axhline(0, color="grey")
    axes.set(title=f"{title} (hollow: not sure)")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _matrix(figure: "Figure", axes: "Axes", answers: Sequence[Answer]) -> None:
    shown = axes.imshow(apart_deg(answers), cmap="magma", vmin=0)
    axes.set(title="angles between all answers, deg", xlabel="answer", ylabel="answer")
    figure.colorbar(shown, ax=axes)


def _apart(axes: "Axes", answers: Sequence[Answer]) -> None:
    """How many claims any two answers are apart."""
    for sure, colour in ((True, "tab:blue"), (False, "lightgrey")):
        some = [one for one in answers if one.sure or not sure]
        if len(some) < 2:
            continue
        claim = np.array([one.claim.rotation_deg for one in some])
        pairs = np.triu_indices(len(some), 1)
        ratio = apart_deg(some)[pairs] / np.maximum(np.hypot(claim[:, None], claim[None])[pairs], 1e-9)
        label = f"{'sure' if sure else 'all'} answers: {np.mean(ratio <= 2):.0%} below 2"
        axes.hist(
            ratio, np.arange(0, max(4.0, ratio.max()) + 0.25, 0.25).tolist(), color=colour, label=label, zorder=2 if sure else 1
        )
    axes.axvline(2, linestyle="--", color=LIMIT)
    axes.set(title="two answers' angle over both claims", xlabel="claims", ylabel="pairs of answers")
    axes.legend()
