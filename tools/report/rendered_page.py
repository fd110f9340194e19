"""The page of `tools.evaluate.geometry --rendered`: errors beside errors over claims, and how the landmarks themselves err."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hand.errors import UserError
from hand.joints import JOINTS
from tools.evaluate.geometry_errors import Outcome
from tools.evaluate.geometry_report import RIGHT_DEG
from tools.evaluate.streams.landmark_errors import LAGS_S, LandmarkErrors
from tools.evaluate.streams.rendered_report import TRUE_UP_TO, normalized_errors, values
from tools.report.figures import new_figure, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = {"rotation_deg": "rotation, deg", "baseline_deg": "baseline, deg", "focal_percent": "focal lengths, %"}
COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:purple")
LIMIT = "tab:red"
MOST_CLAIMS = 6.0
"""Error over claim at the histogram's right edge; what lies beyond counts there."""


def draw_rendered_page(outcomes: dict[str, list[Outcome]], measured: Sequence[LandmarkErrors], title: str) -> "Figure":
    """Twelve panels. Raises UserError where there is nothing to draw."""
    if not any(outcomes.values()):
        raise UserError("there are no rigs to draw: ask for one or more")
    figure = new_figure(1600, 1700)
    figure.suptitle(title, fontsize=14)
    panel = panels(figure, 4, 3)
    for column, (name, label) in enumerate(KINDS.items()):
        _errors(panel(0, column), outcomes, name, label)
        _normalized(panel(1, column), outcomes, name, label)
    _over_angle(panel(2, 0), outcomes)
    _over_time(panel(2, 1), outcomes)
    _reliability(panel(2, 2), outcomes)
    _correlation(panel(3, 0), measured)
    _bias(panel(3, 1), measured)
    _shares(panel(3, 2), measured)
    return figure


def _errors(axes: "Axes", outcomes: dict[str, list[Outcome]], name: str, label: str) -> None:
    """Share of all rigs that are sure at the end and at most that far off."""
    for colour, (estimator, of_one) in zip(COLOURS, outcomes.items(), strict=False):
        errors = np.sort([value for outcome in of_one if outcome.final for value in values(outcome.final.true, name)])
        each = len(of_one) * (2 if name == "focal_percent" else 1)
        share = np.arange(len(errors) + 1) / each
        axes.step([0, *errors], share, where="post", color=colour, label=f"{estimator} ({len(of_one)} rigs)")
    axes.set(title=f"error of the {label.split(',')[0]}", xlabel=label, ylabel="share of the rigs", ylim=(0, 1.02))
    axes.set_xlim(left=0)
    axes.legend(loc="lower right")


def _normalized(axes: "Axes", outcomes: dict[str, list[Outcome]], name: str, label: str) -> None:
    """Histogram of errors over claims."""
    edges = np.arange(0, MOST_CLAIMS + 0.25, 0.5).tolist()
    shown = []
    for estimator, of_one in outcomes.items():
        ratios = normalized_errors([outcome.final for outcome in of_one if outcome.final], name)
        share = f"{np.mean(ratios <= TRUE_UP_TO):.0%}" if len(ratios) else "-"
        shown.append((ratios.clip(0, MOST_CLAIMS - 1e-6), f"{estimator}: {share} below {TRUE_UP_TO:g}"))
    weights = [np.full(len(ratios), 1 / max(len(ratios), 1)) for ratios, _ in shown]
    axes.hist(
        [ratios for ratios, _ in shown], edges, weights=weights, label=[text for _, text in shown], color=COLOURS[: len(shown)]
    )
    axes.axvline(TRUE_UP_TO, linestyle="--", color=LIMIT)
    axes.set(
        title=f"{label.split(',')[0]}: error over claim", xlabel=f"claims (beyond {MOST_CLAIMS:g} at the edge)", ylabel="share"
    )
    axes.legend()


def _over_angle(axes: "Axes", outcomes: dict[str, list[Outcome]]) -> None:
    """Rotation errors over the angle between the cameras; rigs that are not sure at the foot."""
    for colour, (estimator, of_one) in zip(COLOURS, outcomes.items(), strict=False):
        sure = [(outcome.observed.rig.axes_deg, outcome.final.true.rotation_deg) for outcome in of_one if outcome.final]
        others = [outcome.observed.rig.axes_deg for outcome in of_one if not outcome.final]
        axes.plot(*(np.array(sure).T if sure else ([], [])), "o", markersize=4, color=colour, alpha=0.8, label=estimator)
        axes.plot(others, np.full(len(others), 0.03), "x", color=colour, transform=axes.get_xaxis_transform())
    axes.set(title="rotation error by angle (x: not sure)", xlabel="angle between the optical axes, deg", ylabel="error, deg")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend()


def _over_time(axes: "Axes", outcomes: dict[str, list[Outcome]]) -> None:
    """Rotation error while sure, one line a rig."""
    for colour, of_one in zip(COLOURS, outcomes.values(), strict=False):
        for outcome in of_one:
            at_s = [update.at_s for update in outcome.calibrated]
            error_deg = [max(update.true.rotation_deg, 1e-2) for update in outcome.calibrated]
            axes.plot(at_s, error_deg, ".-", color=colour, alpha=0.35, linewidth=1)
    axes.axhline(RIGHT_DEG, linestyle="--", color=LIMIT, label=f"{RIGHT_DEG:g} deg")
    axes.set(title="rotation error while sure, one line a rig", xlabel="stream, s", ylabel="error, deg", yscale="log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend()


def _reliability(axes: "Axes", outcomes: dict[str, list[Outcome]]) -> None:
    """Claimed against true rotation errors."""
    for colour, (estimator, of_one) in zip(COLOURS, outcomes.items(), strict=False):
        final = [outcome.final for outcome in of_one if outcome.final]
        claimed = [update.expected.rotation_deg for update in final]
        axes.plot(claimed, [update.true.rotation_deg for update in final], "o", markersize=4, color=colour, label=estimator)
    ends = np.array([0.1, 20.0])
    axes.plot(ends, ends, color="grey", label="as claimed")
    axes.plot(ends, TRUE_UP_TO * ends, "--", color=LIMIT, label=f"{TRUE_UP_TO:g} claims")
    axes.set(title="rotation: claim and error", xlabel="claimed, deg", ylabel="error, deg", xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.legend()


def _correlation(axes: "Axes", measured: Sequence[LandmarkErrors]) -> None:
    """How long a landmark's error stays what it is."""
    for colour, one in zip(COLOURS, measured, strict=False):
        axes.plot(LAGS_S, one.correlation, "o-", color=colour, label=one.estimator)
    axes.axhline(0, color="grey", label="independent errors")
    axes.set(title="correlation of landmarks' errors", xlabel="seconds apart", ylabel="correlation", ylim=(-0.1, 1.05))
    axes.legend()


def _bias(axes: "Axes", measured: Sequence[LandmarkErrors]) -> None:
    """What is constant over a stream, joint by joint."""
    for colour, one in zip(COLOURS, measured, strict=False):
        axes.plot(range(JOINTS), one.bias, "o-", color=colour, label=one.estimator)
    axes.set(title="constant error of each joint, hand's axes", xlabel="joint", ylabel="rms over rigs and views, hands")
    axes.set_ylim(bottom=0)
    axes.legend()


def _shares(axes: "Axes", measured: Sequence[LandmarkErrors]) -> None:
    """Shares of the squared error that are no noise."""
    at = np.arange(2)
    for k, (colour, one) in enumerate(zip(COLOURS, measured, strict=False)):
        axes.bar(at + 0.2 * k, [one.constant, one.common], 0.2, color=colour, label=one.estimator)
    if measured:
        independent = [measured[0].constant_if_independent, 1 / JOINTS]
        axes.plot(at + 0.1 * (len(measured) - 1), independent, "_", color=LIMIT, markersize=40, label="independent errors")
    axes.set_xticks(at + 0.1 * (len(measured) - 1), ["constant in time", "common to a hand's joints"])
    axes.set(title="shares of the landmarks' squared error", ylabel="share", ylim=(0, 1))
    axes.legend()
