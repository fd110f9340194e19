"""How good self-calibrations on rendered rigs were, as text: errors, claims, and errors over claims, by estimator."""

import numpy as np

from tools.evaluate.geometry_errors import Errors, Outcome, Update
from tools.report.table import table

TRUE_UP_TO = 2.0
"""Error over claim up to which a claim counts as true."""


def rendered_report(outcomes: dict[str, list[Outcome]]) -> str:
    """Figures of many rigs, by estimator."""
    return "\n\n".join(f"{name}: {_one(of_one)}" for name, of_one in outcomes.items())


def _one(outcomes: list[Outcome]) -> str:
    sure = [outcome.final for outcome in outcomes if outcome.final]
    last = [outcome.last for outcome in outcomes if outcome.last]
    while_sure = [update for outcome in outcomes for update in outcome.calibrated]
    never = sum(not outcome.calibrated for outcome in outcomes)
    rows = {
        "rotation, deg": _row(sure, while_sure, "rotation_deg"),
        "baseline, deg": _row(sure, while_sure, "baseline_deg"),
        "focal lengths, %": _row(sure, while_sure, "focal_percent"),
    }
    either_way = [update.true.rotation_deg for update in last]
    solve_s = [seconds for outcome in outcomes for seconds in outcome.update_s]
    first_s = [outcome.first_s for outcome in outcomes if outcome.first_s is not None]
    lines = [
        f"{len(outcomes)} rigs, sure at the end {len(sure)} ({len(sure) / len(outcomes):.0%}), never {never}",
        table(rows),
        f"rotation of the last solution, sure or not: {_figures(either_way)}",
    ]
    if first_s:
        lines.append(f"first sure after {np.median(first_s):.1f} s (median)")
    if solve_s:
        lines.append(f"a solve {1e3 * np.median(solve_s):.0f} ms (median), {sum(solve_s) / len(outcomes):.1f} s a rig")
    return "\n".join(lines)


def _row(sure: list[Update], while_sure: list[Update], name: str) -> dict[str, str]:
    errors = [value for update in sure for value in values(update.true, name)]
    claims = [value for update in sure for value in values(update.expected, name)]
    worst = [value for update in while_sure for value in values(update.true, name)]
    normalized = normalized_errors(sure, name)
    if not errors:
        return dict.fromkeys(
            ("median", "95 %", "worst while sure", "claimed", "error/claim", "95 % ", f"below {TRUE_UP_TO:g}"), "-"
        )
    return {
        "median": f"{np.median(errors):.2f}",
        "95 %": f"{np.percentile(errors, 95):.2f}",
        "worst while sure": f"{max(worst):.2f}",
        "claimed": f"{np.median(claims):.2f}",
        "error/claim": f"{np.median(normalized):.2f}",
        "95 % ": f"{np.percentile(normalized, 95):.2f}",
        f"below {TRUE_UP_TO:g}": f"{np.mean(normalized <= TRUE_UP_TO):.0%}",
    }


def values(errors: Errors, name: str) -> list[float]:
    """The sizes of one kind of error, by its field's name; focal lengths have two."""
    value = getattr(errors, name)
    return [abs(value)] if isinstance(value, float) else [abs(one) for one in value]


def normalized_errors(updates: list[Update], name: str) -> np.ndarray:
    """Errors over claims; one that claims to know for certain is infinitely far off."""
    pairs = [
        pair for update in updates for pair in zip(values(update.true, name), values(update.expected, name), strict=True)
    ]  # fmt: skip
    return np.array([true / claim if claim > 0 else np.inf for true, claim in pairs])


def _figures(values: list[float]) -> str:
    if not values:
        return "-"
    return f"median {np.median(values):.2f}, 95 % {np.percentile(values, 95):.2f}, most {max(values):.2f} deg"
