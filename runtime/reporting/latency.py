"""Latency by pipeline stage, from the capture to the screen."""

from itertools import pairwise

from runtime.reporting.histogram import Histogram, Quantiles
from runtime.types import STAGES, Timings


class StageLatencies:
    """Histograms of the time between consecutive stages. Where an estimator lacks a stage, the two steps around it are one."""

    def __init__(self, *, live: bool) -> None:
        """Not `live`, frames wait for the reader: only stages from `started` on are counted."""
        self._stages = STAGES if live else STAGES[STAGES.index("started") :]
        self._steps: dict[tuple[str, str], Histogram] = {}

    def add(self, timings: Timings) -> None:
        """Count the steps up to the merged hand."""
        self._count([(stage, stamp_ns) for stage, stamp_ns in timings.stamps() if stage != "shown"])

    def add_shown(self, timings: Timings) -> None:
        """Count the last step, of a hand that was shown; may be called by another thread."""
        self._count(timings.stamps()[-2:])

    def steps(self) -> dict[str, Quantiles]:
        """By name, such as "captured_received", in order."""
        order = sorted(self._steps, key=lambda step: STAGES.index(step[1]))
        return {f"{before}_{after}": self._steps[before, after].quantiles() for before, after in order}

    def lines(self) -> list[str]:
        """For the summary."""
        lines = [
            f"{step.replace('_', ' > '):<22}{quantiles.p50_ms:8.1f}{quantiles.p95_ms:8.1f}{quantiles.p99_ms:8.1f}"
            for step, quantiles in self.steps().items()
        ]
        return [f"{'ms from > to':<22}{'p50':>8}{'p95':>8}{'p99':>8}", *lines] if lines else []

    def _count(self, stamps: list[tuple[str, int]]) -> None:
        for (before, from_ns), (after, to_ns) in pairwise(stamp for stamp in stamps if stamp[0] in self._stages):
            if (before, after) not in self._steps:
                self._steps[before, after] = Histogram()
            self._steps[before, after].add(to_ns - from_ns)
