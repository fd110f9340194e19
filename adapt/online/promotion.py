"""Whether a network that has learnt may take the place of the one in use: it must not make things worse."""

from dataclasses import dataclass

from adapt.online.validation import ValidationMetrics

GAIN = 0.97
"""What must get better is to be at most so many times what it was: less is chance."""
RAYS, BONES, WITHIN = 1.10, 1.08, 1.30
"""What must not get worse may be so many times what it was. A view's 3D and 2D come from the same maps, which makes them agree
better than either does with the truth: right adaptation lets them part by a tenth."""
FORGOTTEN = 1.10
"""The same of drawn hands, against the network that ships."""


@dataclass(frozen=True, slots=True)
class PromotionDecision:
    """What the guard says of a candidate."""

    better: bool
    reason: str
    """What decided, for a person."""


def decide_promotion(candidate: ValidationMetrics, serving: ValidationMetrics, shipped: ValidationMetrics) -> PromotionDecision:
    """Whether a candidate is better than the network in use, all judged by the same hands held out.

    `shipped` is the evidence of the network that everything began from.
    """
    for name, now, before, most in (
        ("drawn hands", candidate.drawn, shipped.drawn, FORGOTTEN),
        ("the views' rays", candidate.rays, serving.rays, RAYS),
        ("3D against 2D", candidate.within, serving.within, WITHIN),
        ("bone lengths", candidate.bones, serving.bones, BONES),
    ):
        if not now <= most * before:
            return PromotionDecision(False, f"{name} {_change(now, before)}")
    if not candidate.inhuman <= serving.inhuman:
        return PromotionDecision(False, f"bones that no person has {candidate.inhuman:.0%}")
    for name, now, before in (("3D", candidate.labels, serving.labels), ("3D against rays", candidate.depth, serving.depth)):
        if not now <= GAIN * before:
            return PromotionDecision(False, f"{name} {_change(now, before)}")
    return PromotionDecision(True, f"3D against rays {_change(candidate.depth, serving.depth)}")


def _change(now: float, before: float) -> str:
    return f"{before:.3f} to {now:.3f}"
