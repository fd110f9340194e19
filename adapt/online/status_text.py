"""Live adaptation in words: sentences for the status line, the log and the end of a run. Pure functions of typed values."""

from collections.abc import Mapping
from dataclasses import asdict

from adapt.online.promotion import GateMetric, PromotionDecision, ValidationResult, ValidationRound
from adapt.online.status import AdaptationFigures, AdaptationPhase, AdaptationStatus, Lacking

_METRICS = {
    GateMetric.SYNTHETIC_ERROR: "drawn hands",
    GateMetric.RAYS: "the views' rays",
    GateMetric.WITHIN: "3D against 2D",
    GateMetric.BONES: "bone lengths",
    GateMetric.INHUMAN: "bones that no person has",
    GateMetric.LABELS: "3D",
    GateMetric.DEPTH: "3D against rays",
}
_RESULTS = {
    ValidationResult.PROMOTED: "a better network is in use",
    ValidationResult.REFUSED: "no better",
    ValidationResult.ROLLED_BACK: "the last network was worse",
}
_FIGURES = {
    "pairs": "pairs",
    "steps": "steps",
    "promotions": ValidationResult.PROMOTED.value,
    "refusals": ValidationResult.REFUSED.value,
    "rollbacks": ValidationResult.ROLLED_BACK.value,
    "camera_moves": "moved",
}
"""Keys of the statistics."""


def status_sentence(status: AdaptationStatus) -> str:
    """For the status line."""
    match status.phase:
        case AdaptationPhase.WAITING_FOR_CAMERAS:
            return "adapting once the cameras are known"
        case AdaptationPhase.COLLECTING:
            # Rounding must not make it whole.
            seen = "" if status.lacking is Lacking.MOTION else f", {min(status.progress, 0.99):.0%} seen"
            return f"adapting: move and turn the hand{seen}"
        case AdaptationPhase.FAILED:
            return "adapting has ended"
    promotions, rollbacks = status.figures.promotions, status.figures.rollbacks
    text = f"adapted {promotions} times" if promotions else "adapting"
    if rollbacks:
        text += f", {rollbacks} rolled back"
    return text if status.phase is AdaptationPhase.LEARNING else f"{text}, waiting for other poses"


def summary_sentence(status: AdaptationStatus, drops: Mapping[str, int]) -> str:
    """For the end of a run; `drops`: pairs that were not sent, by reason."""
    figures = status.figures
    counts = (
        f"pairs {figures.pairs}, steps {figures.steps}, promoted {figures.promotions}, refused {figures.refusals}, "
        f"rolled back {figures.rollbacks}"
    )
    dropped = ", ".join(f"{reason} {count}" for reason, count in sorted(drops.items()))
    return f"adaptation: {counts}; {status_sentence(status)}{f'; hands not sent: {dropped}' if dropped else ''}"


def decision_text(decision: PromotionDecision) -> str:
    """Which metric decided, and how it changed."""
    name = _METRICS[decision.metric]
    if decision.metric is GateMetric.INHUMAN:
        return f"{name} {decision.now:.0%}"
    return f"{name} {decision.before:.3f} to {decision.now:.3f}"


def round_sentence(validation: ValidationRound) -> str:
    """For the log."""
    why = f"{decision_text(validation.decision)}; {validation.steps} steps, {validation.pairs} pairs held out"
    return f"adaptation: {_RESULTS[validation.result]} ({why})"


def figures_record(figures: AdaptationFigures) -> dict[str, int]:
    """Counts as the statistics have them; what never happened has no entry."""
    return {_FIGURES[name]: count for name, count in asdict(figures).items() if count}


def round_record(validation: ValidationRound) -> dict[str, object]:
    """A validation round as the statistics have it."""
    return {
        "kind": validation.result.value,
        "reason": decision_text(validation.decision),
        "steps": validation.steps,
        "pairs": validation.pairs,
        "candidate": asdict(validation.candidate),
        "serving": asdict(validation.serving),
    }
