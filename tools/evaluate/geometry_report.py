"""How good self-calibrations were, as text: on many rigs, on streams that determine no geometry, on a recorded clip."""

import numpy as np

from tools.evaluate.geometry_errors import Outcome
from tools.report.table import table

RIGHT_DEG = 5.0
"""Rotation error up to which a calibration counts as right."""


def report(outcomes: list[Outcome]) -> str:
    """The figures of many rigs as text."""
    final = [outcome.final for outcome in outcomes if outcome.final]
    last = [outcome.last for outcome in outcomes if outcome.last]
    never = sum(not outcome.calibrated for outcome in outcomes)
    worst = [max(update.true.rotation_deg for update in outcome.calibrated) for outcome in outcomes if outcome.calibrated]
    rows = {
        "rotation, deg": [update.true.rotation_deg for update in final],
        "rotation, deg, expected": [update.expected.rotation_deg for update in final],
        "rotation, deg, worst while calibrated": worst,
        "rotation, deg, accepted or not": [update.true.rotation_deg for update in last],
        "baseline, deg": [update.true.baseline_deg for update in final],
        "baseline, deg, expected": [update.expected.baseline_deg for update in final],
        "baseline, deg, accepted or not": [update.true.baseline_deg for update in last],
        "focal lengths, %": [abs(percent) for update in final for percent in update.true.focal_percent],
        "focal lengths, %, expected": [percent for update in final for percent in update.expected.focal_percent],
        "focal lengths, %, accepted or not": [abs(percent) for update in last for percent in update.true.focal_percent],
        "hand, mm": [update.true.hand_mm for update in final],
        "hand, mm, accepted or not": [update.true.hand_mm for update in last],
        "first calibration, s": [outcome.first_s for outcome in outcomes if outcome.first_s is not None],
        "an update, ms": [1e3 * seconds for outcome in outcomes for seconds in outcome.update_s],
    }
    figures = {name: _figures(values) for name, values in rows.items()}
    return f"{len(outcomes)} rigs, calibrated at the end {len(final)}, never calibrated {never}\n{table(figures)}"


def _figures(values: list[float]) -> dict[str, str]:
    names = ("median", "95 %", "most")
    if not values:
        return dict.fromkeys(names, "-")
    figures = (np.median(values), np.percentile(values, 95), max(values))
    return dict(zip(names, (f"{value:.2f}" for value in figures), strict=True))


def fault_report(outcomes: dict[str, list[Outcome]]) -> str:
    """How often each fault was accepted as a geometry, as text; right is a rotation within `RIGHT_DEG` at the end."""
    rows = {}
    for name, of_one in outcomes.items():
        final = [outcome.final for outcome in of_one if outcome.final]
        rows[name] = {
            "streams": str(len(of_one)),
            "ever calibrated": str(sum(bool(outcome.calibrated) for outcome in of_one)),
            "at the end": str(len(final)),
            "of these right": str(sum(update.true.rotation_deg <= RIGHT_DEG for update in final)),
        }
    statuses = (f"  {name}: {outcome.status}" for name, of_one in outcomes.items() for outcome in of_one[:1])
    return table(rows) + "\nthe last status of the first stream of each:\n" + "\n".join(statuses)


def clip_report(outcome: Outcome) -> str:
    """The clip's figures as text."""
    if outcome.final is None:
        return f"clip: not calibrated; {outcome.status}"
    true, expected = outcome.final.true, outcome.final.expected
    focal, expected_focal = (" / ".join(f"{percent:.1f}" for percent in errors.focal_percent) for errors in (true, expected))
    return (
        f"clip: rotation {true.rotation_deg:.1f} deg off (expected {expected.rotation_deg:.1f}),"
        f" baseline {true.baseline_deg:.1f} deg (expected {expected.baseline_deg:.1f}),"
        f" focal lengths {focal} % (expected {expected_focal}),"
        f" hand {true.hand_mm:.1f} mm from the reference, first calibration after {outcome.first_s:.1f} s,"
        f" {1e3 * np.median(outcome.update_s):.0f} ms an update"
    )
