"""The promotion gate: whether a candidate network replaces the one in use, and by which validation metric that was decided."""

from dataclasses import dataclass
from enum import Enum

from adapt.online.validation import ValidationMetrics

GAIN = 0.97
"""Metrics that must improve are to be at most so many times what they were: a smaller change is chance."""
MAX_RAYS, MAX_BONES, MAX_WITHIN = 1.10, 1.08, 1.30
"""Metrics that must not get worse may be at most so many times what they were. A view's 3D and 2D come from the same maps, which
makes them agree better than either does with the truth: right adaptation lets them part by a tenth."""
MAX_SYNTHETIC = 1.10
"""The same limit for synthetic hands, against the network that ships."""


class GateMetric(Enum):
    """A metric that the gate decides by; values are fields of `ValidationMetrics`."""

    SYNTHETIC_ERROR = "drawn"
    RAYS = "rays"
    WITHIN = "within"
    BONES = "bones"
    INHUMAN = "inhuman"
    LABELS = "labels"
    DEPTH = "depth"

    def of(self, metrics: ValidationMetrics) -> float:
        return getattr(metrics, self.value)


@dataclass(frozen=True, slots=True)
class PromotionDecision:
    """The gate's decision on a candidate."""

    better: bool
    metric: GateMetric
    """The first metric whose limit the candidate missed; for a better candidate the last that it had to improve."""
    before: float
    """That metric of the network that the candidate was compared with."""
    now: float
    """Of the candidate."""


class ValidationResult(Enum):
    """What came of a validation round; values are keys of the statistics."""

    PROMOTED = "swapped"
    REFUSED = "refused"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True, slots=True)
class ValidationRound:
    """One comparison of networks on held-out pairs."""

    result: ValidationResult
    decision: PromotionDecision
    steps: int
    """Optimizer steps so far."""
    pairs: int
    """Held-out pairs that the networks were compared on."""
    candidate: ValidationMetrics
    """Of a rollback: the network that is returned to."""
    serving: ValidationMetrics
    """Of the network in use."""


def decide_promotion(candidate: ValidationMetrics, serving: ValidationMetrics, shipped: ValidationMetrics) -> PromotionDecision:
    """Whether a candidate is better than the network in use, all validated on the same held-out pairs.

    `shipped`: metrics of the network that adaptation began from.
    """
    for metric, reference, most in (
        (GateMetric.SYNTHETIC_ERROR, shipped, MAX_SYNTHETIC),
        (GateMetric.RAYS, serving, MAX_RAYS),
        (GateMetric.WITHIN, serving, MAX_WITHIN),
        (GateMetric.BONES, serving, MAX_BONES),
        (GateMetric.INHUMAN, serving, 1.0),
        (GateMetric.LABELS, serving, GAIN),
        (GateMetric.DEPTH, serving, GAIN),
    ):
        # Written so that a metric that is not a number fails.
        if not metric.of(candidate) <= most * metric.of(reference):
            return PromotionDecision(False, metric, metric.of(reference), metric.of(candidate))
    return PromotionDecision(True, GateMetric.DEPTH, serving.depth, candidate.depth)
