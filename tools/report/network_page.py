"""The page of `tools.evaluate`: figures, curves and bars of both held-out hands, and their worst and median predictions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from hand.joints import JOINT_NAMES
from tools.evaluate.held_out_hands import AUC_MM, Evaluation, groups
from tools.evaluate.metrics import Reliability, pck_curve
from tools.report.figures import Tile, add_legend, draw_tiles, new_figure, split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

WIDTH = 1600
KIND_COLOURS = ("tab:blue", "tab:orange")
"""Our hand's and the foreign one's."""
TRUTH, PREDICTION = "lime", "red"
CASES, CASES_A_ROW = 12, 4
SHOWN = 0.7
"""Share of a case's picture that is shown, in the middle: the box takes half."""
SHARE_LIMIT = 0.3


def draw_page(
    title: str,
    headlines: Mapping[str, Mapping[str, str]],
    evaluations: list[Evaluation],
    reliabilities: list[Reliability | None],
    real: str,
) -> "Figure":
    """`reliabilities` holds each kind's, `real` the lines about real pictures."""
    lines = real.splitlines()
    heights = [40 + 28 * (len(headlines) + 1), 20 * len(lines) + 10, 360, 270, 270, 290, 1340]
    figure = new_figure(WIDTH, sum(heights) + 40)
    figure.suptitle(f"Held-out hands: {title}", fontsize=12)
    table, text, curves, by_question, by_pose, by_joint, cases = split(figure, 7, heights=heights)
    _table(table.subplots(), headlines)
    text.text(0.01, 0.5, real.rstrip(), family="monospace", fontsize=9, va="center")
    _curves(curves, evaluations, reliabilities)
    masks = [groups(one.hands.frames) for one in evaluations]
    questions = [name for name in masks[0] if name != "pose"]
    for axes, question in zip(by_question.subplots(1, len(questions)), questions, strict=True):
        _bars(axes, question, *_by_answer([mask[question] for mask in masks], evaluations))
    _bars(by_pose.subplots(), "pose", *_by_answer([mask["pose"] for mask in masks], evaluations))
    joints = np.stack([one.final.error_mm.mean(0) for one in evaluations], 1)
    _bars(by_joint.subplots(), "joint", list(JOINT_NAMES), joints)
    for part, one, colour in zip(split(cases, columns=len(evaluations)), evaluations, KIND_COLOURS, strict=True):
        _cases(part, one, colour)
    return figure


def _table(axes: "Axes", rows: Mapping[str, Mapping[str, str]]) -> None:
    from matplotlib.transforms import Bbox

    axes.axis("off")
    cells = [list(row.values()) for row in rows.values()]
    columns = list(next(iter(rows.values())))
    place = Bbox.from_bounds(0.12, 0, 0.88, 1)
    table = axes.table(cells, rowLabels=list(rows), colLabels=columns, loc="center", cellLoc="right", bbox=place)
    table.auto_set_font_size(False)
    table.set_fontsize(9)


def _curves(figure: "SubFigure", evaluations: list[Evaluation], reliabilities: list[Reliability | None]) -> None:
    in_space, in_image, reliable = figure.subplots(1, 3)
    mm, share = np.linspace(0, AUC_MM, 101), np.linspace(0, SHARE_LIMIT, 101)
    for one, reliability, colour in zip(evaluations, reliabilities, KIND_COLOURS, strict=True):
        for scores, name, width in ((one.final, "any roll", 2.0), (one.tracked, "upright", 0.8)):
            label = f"{one.hands.kind} hand, {name}"
            in_space.plot(mm, pck_curve(scores.error_mm, mm), color=colour, linewidth=width, label=label)
            in_image.plot(share, pck_curve(scores.error_share, share), color=colour, linewidth=width, label=label)
        if reliability:
            reliable.plot(reliability.expected, reliability.true, "o-", color=colour, label=f"{one.hands.kind} hand, any roll")
    most = max([60.0, *(float(np.max([each.expected, each.true])) for each in reliabilities if each)])
    reliable.plot([0, most], [0, most], color="grey", linewidth=1, label="as expected")
    in_space.set(title="3D PCK", xlabel="threshold, mm", ylabel="share of the joints", xlim=(0, AUC_MM), ylim=(0, 1))
    in_image.set(title="2D PCK", xlabel="threshold, share of the box", ylabel="share of the joints", ylim=(0, 1))
    in_image.set_xlim(0, SHARE_LIMIT)
    reliable.set(title="Reliability of the confidence", xlabel="expected error, mm", ylabel="true error, mm")
    reliable.set(xlim=(0, most), ylim=(0, most))
    for axes in (in_space, in_image, reliable):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)


def _by_answer(masks: list[dict[str, np.ndarray]], evaluations: list[Evaluation]) -> tuple[list[str], np.ndarray]:
    """The answers and (answers, kinds) mean errors in mm; NaN where no hand is in one."""
    means = [
        [
            one.final.error_mm[mask[answer]].mean() if mask[answer].any() else np.nan
            for mask, one in zip(masks, evaluations, strict=True)
        ]
        for answer in masks[0]
    ]
    return list(masks[0]), np.array(means)


def _bars(axes: "Axes", title: str, names: list[str], values: np.ndarray) -> None:
    """Bars in mm: `values` (names, kinds)."""
    places = np.arange(len(names))
    for kind, colour in enumerate(KIND_COLOURS):
        bars = axes.bar(places + (kind - 0.5) * 0.4, values[:, kind], 0.38, color=colour)
        axes.bar_label(bars, [f"{value:.0f}" if np.isfinite(value) else "" for value in values[:, kind]], fontsize=8)
    axes.set_xticks(places, [name.replace("_", "\n") for name in names], fontsize=8)
    axes.set(title=title, ylabel="mean error, mm", xlim=(-0.6, len(names) - 0.4))
    axes.margins(y=0.12)
    axes.spines[["top", "right"]].set_visible(False)


def _cases(figure: "SubFigure", one: Evaluation, colour: str) -> None:
    """The worst predictions of a kind and those in the middle, with the truth."""
    by_error = np.argsort(-one.final.error_mm.mean(1))
    middle = max(0, len(by_error) // 2 - CASES // 2)
    for part, title, chosen in zip(
        split(figure, 2), ("worst", "median"), (by_error[:CASES], by_error[middle : middle + CASES]), strict=True
    ):
        part.suptitle(
            f"{one.hands.kind} hand, {title} (mean error in 3D and in px of 128, confidence)",
            fontsize=11,
            color=colour,
            x=0.99,
            ha="right",
        )
        add_legend(part, {"truth": TRUTH, "prediction": PREDICTION}, fontsize=9)
        draw_tiles(part, [_case(one, number) for number in chosen.tolist()], CASES_A_ROW)


def _case(one: Evaluation, number: int) -> Tile:
    image = one.hands.frames.images[number].numpy()
    margin = round(len(image) * (1 - SHOWN) / 2)
    scores = one.final
    mm, px, confidence = (values[number].mean() for values in (scores.error_mm, scores.error_px, scores.confidence))
    hands = ((one.hands.frames.pixels[number].numpy(), TRUTH), (scores.pixels[number], PREDICTION))
    return Tile(
        image[margin:-margin, margin:-margin],
        f"{mm:.0f} mm, {px:.0f} px, {confidence:.2f}",
        [(pixels - margin, colour) for pixels, colour in hands],
    )
