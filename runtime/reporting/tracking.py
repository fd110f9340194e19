"""How often the hand that was followed turned out to be another, and what to tell the person of it."""

import msgspec

from capture.views import View
from hand.findings import Finding

_MANY = 3
"""Changes of side from which on the choice is worth being made by the person."""


class TrackingCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counts over a run."""

    side_changes: int = 0
    """The hand had been taken for the other one of the person; the cameras are calibrated anew from then on."""
    left_lost: int = 0
    """The left view followed something else than the right one, and looked for the hand anew."""
    right_lost: int = 0

    def with_side_change(self) -> "TrackingCounts":
        return msgspec.structs.replace(self, side_changes=self.side_changes + 1)

    def with_lost(self, view: View) -> "TrackingCounts":
        key = f"{view}_lost"
        return msgspec.structs.replace(self, **{key: getattr(self, key) + 1})


def tracking_finding(counts: TrackingCounts) -> Finding | None:
    """What the person can do where the hand's side was unsure; None where it was not."""
    if counts.side_changes < _MANY:
        return None
    text = (
        f"the hand was taken for the other one {counts.side_changes} times, and what was known of the cameras was dropped each "
        "time: if one hand was shown, give --hand-side left or right"
    )
    return Finding("side_changes", text)
