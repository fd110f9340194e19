"""Skew of pairs: the time between the captures of their two frames."""

import msgspec
import numpy as np

from runtime.reporting.histogram import Histogram

EDGES_MS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 33.0)
"""Where the bins begin; the last one has no end."""
_BAR = 30


class SkewBin(msgspec.Struct, frozen=True, kw_only=True):
    """Number of pairs with an absolute skew from `from_ms` to `to_ms`."""

    from_ms: float
    to_ms: float | None
    """None for the last bin, which has no end."""
    pairs: int


class SkewStats(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics of the skew of all pairs."""

    p50_ms: float
    p95_ms: float
    most_ms: float
    right_later_ms: float
    """By how much the right frame was captured later than the left one, on average."""
    bins: list[SkewBin]


class Skew:
    """Counts the absolute skew of pairs, and averages the signed one."""

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
        skew = self.stats()
        total = sum(bin_.pairs for bin_ in skew.bins)
        if not total:
            return []
        lines = [
            f"p50 {skew.p50_ms:.1f} ms, p95 {skew.p95_ms:.1f} ms, at most {skew.most_ms:.1f} ms between the captures of a pair; "
            f"right later by {skew.right_later_ms:.1f} ms on average"
        ]
        filled = [number for number, bin_ in enumerate(skew.bins) if bin_.pairs]
        for bin_ in skew.bins[filled[0] : filled[-1] + 1]:
            name = f"{bin_.from_ms:.0f} to {bin_.to_ms:.0f} ms" if bin_.to_ms else f"beyond {bin_.from_ms:.0f} ms"
            lines.append(f"{name:<12} {100 * bin_.pairs / total:4.0f} %  {'#' * -(-bin_.pairs * _BAR // total)}")
        return lines
