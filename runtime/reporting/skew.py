"""How far apart in time the two frames of pairs were captured."""

import msgspec
import numpy as np

from runtime.reporting.histogram import Histogram

EDGES_MS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 33.0)
"""Where the bins begin; the last one has no end."""
_BAR = 30


class SkewBin(msgspec.Struct, frozen=True, kw_only=True):
    """Pairs whose frames lie between so many milliseconds apart."""

    from_ms: float
    to_ms: float | None
    """None for the last bin, which has no end."""
    pairs: int


class SkewStats(msgspec.Struct, frozen=True, kw_only=True):
    """What `Skew` counted."""

    p50_ms: float
    p95_ms: float
    most_ms: float
    right_later_ms: float
    """By how much the right frame was captured later than the left one, on average."""
    bins: list[SkewBin]


class Skew:
    """Counts the skew of pairs, without regard to its sign but for the average."""

    def __init__(self) -> None:
        self._sizes = Histogram()
        self._bins = np.zeros(len(EDGES_MS), np.int64)
        self._sum_ns = self._most_ns = 0

    def add(self, skew_ns: int) -> None:
        """`skew_ns`: right − left."""
        size_ns = abs(skew_ns)
        self._sizes.add(size_ns)
        self._bins[int(np.searchsorted(EDGES_MS, size_ns / 1e6, side="right")) - 1] += 1
        self._sum_ns += skew_ns
        self._most_ns = max(self._most_ns, size_ns)

    def stats(self) -> SkewStats:
        ends = [*EDGES_MS[1:], None]
        counts = zip(EDGES_MS, ends, self._bins.tolist(), strict=True)
        most_ms = self._most_ns / 1e6
        # A bin's middle may lie beyond the largest of all.
        p50_ms, p95_ms = (min(self._sizes.quantile_ms(share), most_ms) for share in (0.5, 0.95))
        return SkewStats(
            p50_ms=p50_ms,
            p95_ms=p95_ms,
            most_ms=most_ms,
            right_later_ms=self._sum_ns / 1e6 / max(self._sizes.count, 1),
            bins=[SkewBin(from_ms=start, to_ms=end, pairs=pairs) for start, end, pairs in counts],
        )

    def lines(self) -> list[str]:
        """For the summary: quantiles, then a bar for each bin between the first and the last that has pairs."""
        told = self.stats()
        total = sum(each.pairs for each in told.bins)
        if not total:
            return []
        lines = [
            f"p50 {told.p50_ms:.1f} ms, p95 {told.p95_ms:.1f} ms, at most {told.most_ms:.1f} ms between the captures of a pair; "
            f"right later by {told.right_later_ms:.1f} ms on average"
        ]
        filled = [number for number, each in enumerate(told.bins) if each.pairs]
        for each in told.bins[filled[0] : filled[-1] + 1]:
            name = f"{each.from_ms:.0f} to {each.to_ms:.0f} ms" if each.to_ms else f"beyond {each.from_ms:.0f} ms"
            lines.append(f"{name:<12} {100 * each.pairs / total:4.0f} %  {'#' * -(-each.pairs * _BAR // total)}")
        return lines
