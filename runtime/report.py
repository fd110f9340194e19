"""What a run did: rate, latency, drops, rotation, error; the status line while it runs and the summary at its end."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from capture.frames import FramePair
from hand.joints import unit_hand
from hand.rotations import angle_deg
from runtime.types import DualHand

TrueHand = Callable[[FramePair], np.ndarray | None]
"""The true joints (21, 3) of a synthetic pair, left camera's axes, any unit; None where no hand is in view."""


class Histogram:
    """Durations counted in steps of 0.25 ms up to 5 s, so that a long run needs no more memory than a short one."""

    STEP_MS = 0.25

    def __init__(self) -> None:
        self._counts = np.zeros(20_000, np.int64)

    def add(self, duration_ns: int) -> None:
        self._counts[min(max(int(duration_ns / 1e6 / self.STEP_MS), 0), len(self._counts) - 1)] += 1

    def quantile_ms(self, share: float) -> float:
        """The duration that `share` of all stay below, to the middle of a step; NaN before the first."""
        total = int(self._counts.sum())
        if not total:
            return math.nan
        return (int(np.searchsorted(np.cumsum(self._counts), share * total)) + 0.5) * self.STEP_MS


class Report:
    """Counts what a run gives, a pair at a time; used by one thread, read by another."""

    def __init__(self, *, live: bool, hand_size_mm: float, true_hand: TrueHand | None = None):
        self._live = live
        self._hand_size_mm = hand_size_mm
        self._true_hand = true_hand
        self._views = Counter[str]()
        self._latency = Histogram()
        self._work = Histogram()
        self._error_sum_mm = 0.0
        self._error_count = 0
        self._recent_ns: tuple[int, ...] = ()
        self._first_ns = self._last_ns = 0
        self._hand: DualHand | None = None
        self._turned: DualHand | None = None
        """The newest hand that came with a rotation."""
        self.notes: list[Callable[[], str]] = []
        """What else the status line is to say."""

    @property
    def pairs(self) -> int:
        return self._views.total()

    @property
    def pairs_per_s(self) -> float:
        """Over the whole run; 0 before the second pair."""
        return (self.pairs - 1) * 1e9 / (self._last_ns - self._first_ns) if self._last_ns > self._first_ns else 0.0

    def add(self, pair: FramePair, hands: list[DualHand], started_ns: int, finished_ns: int) -> None:
        """Count a pair that the pipeline took up and finished at these times (host monotonic clock)."""
        if not self.pairs:
            self._first_ns = finished_ns
        self._last_ns = finished_ns
        self._recent_ns = (*self._recent_ns[-30:], finished_ns)
        self._work.add(finished_ns - started_ns)
        self._views[_seen_by(hands)] += 1
        self._hand = hands[0] if hands else None
        if self._hand is None:
            return
        if self._hand.R_right_from_left is not None:
            self._turned = self._hand
        self._latency.add(self._hand.timings.latency_ns)
        if self._true_hand and (truth := self._true_hand(pair)) is not None:
            distances = np.linalg.norm(self._hand.joints - unit_hand(truth), axis=-1)
            self._error_sum_mm += float(distances.mean()) * self._hand_size_mm
            self._error_count += 1

    def status(self) -> str:
        """One line for the viewer."""
        steps = [later - earlier for earlier, later in pairwise(self._recent_ns)]
        rate = f"{1e9 * len(steps) / sum(steps):.0f} pairs/s" if sum(steps) else "starting"
        hand = self._hand
        if hand is None:
            return f"{rate}  |  no hand in view"
        parts = [rate, *([f"{hand.timings.latency_ns / 1e6:.0f} ms"] if self._live else []), f"{hand.side} hand"]
        parts.append({"both": "both views", "left": "left view only", "right": "right view only"}[_seen_by([hand])])
        if hand.note:
            parts.append(hand.note)
        elif hand.R_right_from_left is not None:
            parts.append(f"cameras {_turn_deg(hand.R_right_from_left):.0f} +- {hand.rotation_uncertainty_deg:.1f} deg apart")
        return "  |  ".join([*parts, *(note() for note in self.notes)])

    def summary(self, drops: Mapping[str, int], faults: Mapping[str, int] = MappingProxyType({})) -> str:
        """Several lines for the end; `drops` are frames by reason, `faults` what happened to the cameras, and how often."""
        if not self.pairs:
            return f"no pair of frames arrived\n{_counts('dropped', drops)}"
        both, left, right, none = (f"{100 * self._views[name] / self.pairs:.0f} %" for name in ("both", "left", "right", "none"))
        lines = [
            f"{'pairs':<11}{self.pairs} at {self.pairs_per_s:.1f} pairs/s",
            f"{'work':<11}p50 {self._work.quantile_ms(0.5):.1f} ms, p95 {self._work.quantile_ms(0.95):.1f} ms a pair",
        ]
        if self._live and self.pairs > self._views["none"]:
            p50, p95 = (self._latency.quantile_ms(share) for share in (0.5, 0.95))
            lines.append(f"{'latency':<11}p50 {p50:.1f} ms, p95 {p95:.1f} ms from capture to hand")
        lines.append(f"{'hand seen':<11}by both views {both}, left only {left}, right only {right}, none {none}")
        lines.append(_counts("dropped", drops))
        if faults:
            lines.append(_counts("cameras", faults))
        if self._turned is not None and self._turned.R_right_from_left is not None:
            angle = _turn_deg(self._turned.R_right_from_left)
            lines.append(f"{'rotation':<11}{angle:.1f} deg between the views, +- {self._turned.rotation_uncertainty_deg:.1f} deg")
        else:
            lines.append(f"{'rotation':<11}not known: it needs hands that both views see")
        if self._error_count:
            mean = self._error_sum_mm / self._error_count
            lines.append(f"{'error':<11}{mean:.1f} mm a joint against the synthetic truth, over {self._error_count} pairs")
        return "\n".join(lines)


def _seen_by(hands: list[DualHand]) -> str:
    if not hands:
        return "none"
    seen = [view for view, hand in hands[0].views.items() if hand is not None]
    return "both" if len(seen) == 2 else seen[0]


def _turn_deg(rotation: np.ndarray) -> float:
    return float(angle_deg(rotation, np.eye(3)))


def _counts(of: str, counts: Mapping[str, int]) -> str:
    counted = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()) if count)
    return f"{of:<11}{counted or 'nothing'}"
