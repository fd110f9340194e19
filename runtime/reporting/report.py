"""Report of a run: rate, latency, drops, rotation, error; as the status line while it runs and the summary at its end."""

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from capture.frames import FramePair
from hand.findings import Findings
from hand.joints import unit_hand
from hand.rotations import angle_deg
from runtime.calibration.status import CalibrationStatus
from runtime.reporting.calibration_check_text import describe_check
from runtime.reporting.calibration_text import describe
from runtime.reporting.histogram import Histogram
from runtime.reporting.latency import StageLatencies
from runtime.reporting.run_stats import CalibrationStats, FindingStats, RotationStats, Section, Stats
from runtime.reporting.skew import Skew
from runtime.types import DualHand

NO_COUNTS: Mapping[str, int] = MappingProxyType({})
TrueHand = Callable[[FramePair], np.ndarray | None]
"""The true joints (21, 3) of a synthetic pair, left camera's axes, any unit; None where no hand is in view."""


class Report:
    """Accumulates a run's figures pair by pair; written by one thread, read by another."""

    def __init__(self, *, live: bool, hand_size_mm: float, true_hand: TrueHand | None = None):
        self.sections: dict[str, Section] = {}
        """Figures of other parts of the program, by name; called at the end."""
        self._live = live
        self._hand_size_mm = hand_size_mm
        self._true_hand = true_hand
        self._views = Counter[str]()
        self._latency = Histogram()
        self._work = Histogram()
        self._stages = StageLatencies(live=live)
        self._skew = Skew()
        self._error_sum_mm = 0.0
        self._error_count = 0
        self._recent_ns: tuple[int, ...] = ()
        self._first_ns = self._last_ns = 0
        self._hand: DualHand | None = None
        self._last_with_rotation: DualHand | None = None
        """The newest hand that came with a rotation."""
        self.calibration: Callable[[], CalibrationStatus | None] = lambda: None
        """The status of the cameras' calibration; None where nothing is calibrated."""
        self.notes: list[Callable[[], str]] = []
        """What else the status line is to say."""
        self.calibration_stats: Callable[[], CalibrationStats | None] = lambda: None
        """What the calibration came to, for the end."""
        self.calibration_lines: Callable[[], list[tuple[str, str]]] = list
        """The same for the summary: labels and texts."""
        self.skew_note: Callable[[], str | None] = lambda: None
        """What is to be said of the times that skew is measured between."""
        self.findings = Findings()
        """What the run found out that its user should know."""

    @property
    def pairs(self) -> int:
        return self._views.total()

    @property
    def pairs_per_s(self) -> float:
        """Over the whole run; 0 before the second pair."""
        return (self.pairs - 1) * 1e9 / (self._last_ns - self._first_ns) if self._last_ns > self._first_ns else 0.0

    def add(self, pair: FramePair, hands: list[DualHand], started_ns: int, finished_ns: int) -> None:
        """Count a pair that the pipeline started and finished at these times (host monotonic clock)."""
        if not self.pairs:
            self._first_ns = finished_ns
        self._last_ns = finished_ns
        self._recent_ns = (*self._recent_ns[-30:], finished_ns)
        self._work.add(finished_ns - started_ns)
        if pair.complete:
            self._skew.add(pair.skew_ns)
        self._views[_seen_by(hands)] += 1
        self._hand = hands[0] if hands else None
        if self._hand is None:
            return
        if self._hand.R_right_from_left is not None:
            self._last_with_rotation = self._hand
        self._stages.add(self._hand.timings)
        if self._live:
            self._latency.add(self._hand.timings.latency_ns)
        if self._true_hand and (truth := self._true_hand(pair)) is not None:
            distances = np.linalg.norm(self._hand.joints - unit_hand(truth), axis=-1)
            self._error_sum_mm += float(distances.mean()) * self._hand_size_mm
            self._error_count += 1

    def add_shown(self, hand: DualHand) -> None:
        """Count a hand that was shown, once; called by the viewer's thread."""
        self._stages.add_shown(hand.timings)

    def status(self) -> str:
        """One line for the viewer."""
        steps = [later - earlier for earlier, later in pairwise(self._recent_ns)]
        rate = f"{1e9 * len(steps) / sum(steps):.0f} pairs/s" if sum(steps) else "starting"
        hand = self._hand
        if hand is None:
            return f"{rate}  |  no hand in view"
        parts = [rate, *([f"{hand.timings.latency_ns / 1e6:.0f} ms"] if self._live else []), f"{hand.side} hand"]
        parts.append({"both": "both views", "left": "left view only", "right": "right view only"}[_seen_by([hand])])
        calibration = self.calibration()
        if calibration is not None:
            parts.append(describe(calibration))
        elif hand.R_right_from_left is not None:
            parts.append(
                f"cameras {_rotation_angle_deg(hand.R_right_from_left):.0f} +- {hand.rotation_uncertainty_deg:.1f} deg apart"
            )
        return "  |  ".join([*parts, *(note() for note in self.notes)])

    def stats(self, drops: Mapping[str, int], faults: Mapping[str, int] = NO_COUNTS) -> Stats:
        """All figures; `drops`: frames by reason, `faults`: camera events by kind."""
        rotation = None
        if self._last_with_rotation is not None and self._last_with_rotation.R_right_from_left is not None:
            angle = _rotation_angle_deg(self._last_with_rotation.R_right_from_left)
            rotation = RotationStats(angle_deg=angle, uncertainty_deg=self._last_with_rotation.rotation_uncertainty_deg)
        figures_by_name = {name: section() for name, section in self.sections.items()}
        return Stats(
            live=self._live,
            pairs=self.pairs,
            pairs_per_s=self.pairs_per_s,
            seen_by={name: self._views[name] for name in ("both", "left", "right", "none")},
            work=self._work.quantiles(),
            latency=self._latency.quantiles(),
            steps=self._stages.steps(),
            skew=self._skew.stats(),
            drops=_nonzero(drops),
            faults=_nonzero(faults),
            rotation=rotation,
            calibration=self.calibration_stats(),
            error_mm=self._error_sum_mm / self._error_count if self._error_count else None,
            findings=[FindingStats(kind=f.kind, level=f.level, view=f.view, text=f.text) for f in self.findings.all],
            sections={name: figures for name, figures in figures_by_name.items() if figures is not None},
        )

    def _rotation_text(self, rotation: RotationStats) -> str:
        text = f"{rotation.angle_deg:.1f} deg between the views"
        if rotation.uncertainty_deg is not None:
            text += f", +- {rotation.uncertainty_deg:.1f} deg"
        status = self.calibration()
        return text if status is None or status.check is None else f"{text}, {describe_check(status.check)}"

    def summary(self, drops: Mapping[str, int], faults: Mapping[str, int] = NO_COUNTS) -> str:
        """Several lines for the end; see `stats`."""
        stats = self.stats(drops, faults)
        if not stats.pairs:
            lines = ["no pair of frames arrived", _line("dropped", _listing(stats.drops))]
            return "\n".join(lines + _lines("findings", [finding.text for finding in stats.findings]))
        work, latency = stats.work, stats.latency
        both, left, right, none = (
            f"{100 * stats.seen_by[name] / stats.pairs:.0f} %" for name in ("both", "left", "right", "none")
        )
        lines = [
            _line("pairs", f"{stats.pairs} at {stats.pairs_per_s:.1f} pairs/s"),
            _line("work", f"p50 {work.p50_ms:.1f} ms, p95 {work.p95_ms:.1f} ms, p99 {work.p99_ms:.1f} ms a pair"),
        ]
        if latency.count:
            text = f"p50 {latency.p50_ms:.1f} ms, p95 {latency.p95_ms:.1f} ms, p99 {latency.p99_ms:.1f} ms from capture to hand"
            lines.append(_line("latency", text))
        lines += _lines("stages", self._stages.lines())
        lines += _lines("skew", self._skew.lines() + list(filter(None, [self.skew_note()])))
        lines.append(_line("hand seen", f"by both views {both}, left only {left}, right only {right}, none {none}"))
        lines.append(_line("dropped", _listing(stats.drops)))
        if stats.faults:
            lines.append(_line("cameras", _listing(stats.faults)))
        if stats.rotation is not None:
            lines.append(_line("rotation", self._rotation_text(stats.rotation)))
        else:
            lines.append(_line("rotation", "not known: it needs hands that both views see"))
        lines += [_line(label, text) for label, text in self.calibration_lines()]
        if stats.error_mm is not None:
            text = f"{stats.error_mm:.1f} mm a joint against the synthetic truth, over {self._error_count} pairs"
            lines.append(_line("error", text))
        lines += _lines("findings", [finding.text for finding in stats.findings])
        return "\n".join(lines)


def _seen_by(hands: list[DualHand]) -> str:
    if not hands:
        return "none"
    seen = [view for view, hand in hands[0].views.items() if hand is not None]
    return "both" if len(seen) == 2 else seen[0]


def _rotation_angle_deg(rotation: np.ndarray) -> float:
    return float(angle_deg(rotation, np.eye(3)))


def _nonzero(counts: Mapping[str, int]) -> dict[str, int]:
    return {reason: count for reason, count in sorted(counts.items()) if count}


def _listing(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in counts.items()) or "nothing"


def _line(name: str, text: str) -> str:
    return f"{name:<11}{text}"


def _lines(name: str, lines: list[str]) -> list[str]:
    return [_line(name if not number else "", line) for number, line in enumerate(lines)]
