"""What a sweep gained, as a table next to the published figures, and as a picture.

Baseline, adapted and change in %, by camera pair and overall, for each setting; overall weighs every tested hand pair alike, as
the published total does. Recordings, which are many, are only summed up.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from adapt.datasets.run import change
from hand.errors import UserError
from tools.report.figures import new_figure, save_figure
from tools.sweep.jobs import Row

PUBLISHED = {"Mono-M": -14.0, "Dual-M": -9.0}
"""Change in % that S2DHand (Liu et al., CVPR 2024) reports over AssemblyHands' 12 pairs for a network that was trained on other
data sets (cross-dataset)."""
PUBLISHED_ROTATIONS_DEG = (2, 33)
"""Range of its rotation errors, by the table of its repository."""
MAX_ERRORS = 5
"""Different errors that are listed."""
_HEAD = (
    f"{'pair':<10}{'tested':>7}  {'Mono-M, mm':^24}  {'Dual-M, mm':^24}  {'same rotation':>13}  {'rotation off, deg':^19}",
    f"{'':<10}{'':>7}  {'baseline':>8}{'adapted':>8}{'%':>8}  {'baseline':>8}{'adapted':>8}{'%':>8}  {'Dual-M, %':>13}"
    f"  {'before':>9}{'after':>10}",
)


@dataclass(frozen=True, slots=True)
class Pairs:
    """The rows of one setting's camera pairs, in order."""

    labels: str
    rows: list[Row]

    def mean(self, name: str) -> float:
        """Mean of a figure, weighed by tested hand pairs."""
        values = np.array([getattr(row, name) for row in self.rows], float)
        return float(np.average(values, weights=[row.tested or 0 for row in self.rows]))


@dataclass(slots=True)
class _Recordings:
    """Sums over any number of recordings."""

    done: int = 0
    better: int = 0
    before: float = 0.0
    after: float = 0.0

    def add(self, row: Row) -> None:
        if row.off_before is not None and row.off_after is not None:
            self.done += 1
            self.better += bool(row.saved)
            self.before, self.after = self.before + row.off_before, self.after + row.off_after


def table_of(rows: Iterable[Row]) -> str:
    """As text."""
    recordings: dict[str, _Recordings] = {}
    errors: Counter[str] = Counter()
    pairs: list[Row] = []
    for row in rows:
        if row.error is not None:
            if row.error in errors or len(errors) < MAX_ERRORS:
                errors[row.error] += 1
            else:
                errors["other errors"] += 1
        elif row.setup is not None:
            pairs.append(row)
        else:
            recordings.setdefault(row.labels, _Recordings()).add(row)
    lines: list[str] = []
    for setting in settings_of(pairs):
        lines += ["", f"adapted by {setting.labels}", *_HEAD, *map(_line, setting.rows), *_overall(setting)]
    for labels, sums in recordings.items():
        lines += ["", *_recordings(labels, sums)]
    lines += [f"{count} x {error}" for error, count in errors.most_common()]
    return "\n".join(lines)


def settings_of(rows: Iterable[Row]) -> Iterator[Pairs]:
    """The pairs' rows by setting."""
    by_labels: dict[str, list[Row]] = {}
    for row in rows:
        by_labels.setdefault(row.labels, []).append(row)
    for labels, same in by_labels.items():
        yield Pairs(labels, sorted(same, key=lambda row: row.name))


def _line(row: Row) -> str:
    numbers = [row.mono_before_mm, row.mono_after_mm, row.dual_before_mm, row.dual_after_mm, row.dual_before_placed_mm]
    mono, mono_after, dual, dual_after, placed = (float("nan") if value is None else value for value in numbers)
    return (
        f"{row.name:<10}{row.tested or 0:>7}  {mono:>8.2f}{mono_after:>8.2f}{change(mono, mono_after):>+8.1f}  {dual:>8.2f}"
        f"{dual_after:>8.2f}{change(dual, dual_after):>+8.1f}  {change(placed, dual_after):>+13.1f}  "
        f"{row.rotation_before_deg:>9.1f}{row.rotation_after_deg:>10.1f}"
    )


def _overall(pairs: Pairs) -> list[str]:
    figures = [field.name for field in msgspec.structs.fields(Row) if field.name.endswith(("_mm", "_deg"))]
    total = msgspec.structs.replace(
        pairs.rows[0],
        name="overall",
        tested=sum(row.tested or 0 for row in pairs.rows),
        **{name: pairs.mean(name) for name in figures},
    )
    rise = [row.name for row in pairs.rows if _worse(row)]
    low, high = PUBLISHED_ROTATIONS_DEG
    return [
        _line(total),
        f"{'published':<10}{'':>7}  {'':>16}{PUBLISHED['Mono-M']:>+8.1f}  {'':>16}{PUBLISHED['Dual-M']:>+8.1f}  {'':>13}  "
        f"{f'{low} to {high}':>19}",
        f"worse than before: {', '.join(rise) or 'none'}; largest rotation error after: "
        f"{max(row.rotation_after_deg or 0 for row in pairs.rows):.1f} deg; "
        f"{sum(row.seconds for row in pairs.rows):.0f} s in all",
    ]


def _worse(row: Row) -> bool:
    """Whether a pair is worse after adaptation."""
    return bool((row.mono_after_mm or 0) > (row.mono_before_mm or 0) or (row.dual_after_mm or 0) > (row.dual_before_mm or 0))


def _recordings(labels: str, told: _Recordings) -> list[str]:
    before, after = told.before / max(told.done, 1), told.after / max(told.done, 1)
    return [
        f"adapted by {labels}: {told.done:,} recordings, {told.better:,} better and kept; held-out hands {before:.3f} -> "
        f"{after:.3f} hands off where the cameras' geometry has them ({change(before, after):+.1f} %)"
    ]


def draw_table(rows: Iterable[Row], file: Path) -> None:
    """Bars before and after, pair by pair, of the first setting with figures.

    Raises UserError where matplotlib is missing, or the file cannot be written.
    """
    figure = new_figure(1170, 975, dpi=130)
    settings = list(settings_of(row for row in rows if row.error is None and row.setup is not None))
    if not settings:
        raise UserError(f"--picture {file}: there are no camera pairs' figures to draw; see the errors in the table")
    axes = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 2))
    for axis, (title, before, unit) in zip(axes, _PANELS, strict=True):
        _draw_panel(axis, settings, title, before, unit)
    axes[0].legend(loc="upper center", bbox_to_anchor=(0.5, 1.32), ncols=len(settings) + 1, frameon=False)
    save_figure(figure, file)


_PANELS = (
    ("Mono-M", "mono_before_mm", "mm"),
    ("Dual-M", "dual_before_mm", "mm"),
    ("Rotation off", "rotation_before_deg", "degrees"),
)
_BEFORE, _AFTER = "#c9ccd1", ("#2f6fb2", "#d9822b", "#3a9d5d", "#8a5bb0")


def _draw_panel(axis: Any, settings: list[Pairs], title: str, before: str, unit: str) -> None:
    """Grey bars before adaptation, coloured ones after."""
    rows = settings[0].rows
    places, width = np.arange(len(rows)), 0.8 / (len(settings) + 1)
    axis.bar(places - 0.4 + width / 2, [getattr(row, before) for row in rows], width, color=_BEFORE, label="as shipped")
    for number, setting in enumerate(settings):
        after = {row.name: getattr(row, before.replace("before", "after")) for row in setting.rows}
        values = [after.get(row.name, np.nan) for row in rows]
        colour = _AFTER[number % len(_AFTER)]
        axis.bar(places - 0.4 + (number + 1.5) * width, values, width, color=colour, label=f"adapted, {setting.labels}")
    if unit == "mm":
        told = ", ".join(
            f"{setting.labels} {change(setting.mean(before), setting.mean(before.replace('before', 'after'))):+.1f} %"
            for setting in settings
        )
        axis.set_title(f"{title}: {told} overall; published {PUBLISHED[title]:+.0f} %", fontsize=10, loc="left")
    else:
        axis.axhline(5, color="#888888", linewidth=0.8, linestyle="--")
        axis.set_title(f"{title}; dashed: 5 degrees", fontsize=10, loc="left")
    axis.set_ylabel(unit)
    axis.set_xticks(places, [row.name.replace("set", "").replace("-", " : ") for row in rows])
    axis.spines[["top", "right"]].set_visible(False)
    if axis.get_subplotspec().is_last_row():
        axis.set_xlabel("headset : cameras")
