"""Which of two cameras of a calibration is the left one: by their names, or else by their order."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from capture.views import PerView
from hand.findings import Finding

_LEFT, _RIGHT = re.compile(r"left|(?<![a-z])l(?![a-z])"), re.compile(r"right|(?<![a-z])r(?![a-z])")


@dataclass(frozen=True, slots=True)
class ViewOrder:
    """Which camera is which."""

    views: PerView[int]
    """Index of each view's camera."""
    named: bool
    """Their names say so; else it is their order."""

    def findings(self, cameras: Sequence[object], advice: str) -> tuple[Finding, ...]:
        """What is said of an order that was taken for granted. `advice`: what to do where it is the other way round."""
        if self.named:
            return ()
        left, right = self.views.map(lambda index: cameras[index])
        order = f"{left} is taken for the left camera and {right} for the right one, by their order"
        return (Finding("calibration_order", f"calibration: {order}; if it is the other way round, {advice}"),)


def assign_views(names: Sequence[str]) -> ViewOrder:
    """Of two cameras by name."""
    first, second = (name.casefold() for name in names)
    if _LEFT.search(first) and _RIGHT.search(second):
        return ViewOrder(PerView(0, 1), named=True)
    if _RIGHT.search(first) and _LEFT.search(second):
        return ViewOrder(PerView(1, 0), named=True)
    return ViewOrder(PerView(0, 1), named=False)
