"""Quantiles of durations in constant memory, by a logarithmic histogram."""

import math

import msgspec
import numpy as np


class Quantiles(msgspec.Struct, frozen=True, kw_only=True):
    """Count and quantiles of durations, ms; null where nothing was counted."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Histogram:
    """Counts durations from 1 microsecond to 100 seconds in bins 1 % wide; durations beyond are clamped."""

    RATIO = 1.01
    _FIRST_NS, _LAST_NS = 1e3, 1e11

    def __init__(self) -> None:
        self._counts = np.zeros(math.ceil(math.log(self._LAST_NS / self._FIRST_NS, self.RATIO)) + 1, np.int64)

    @property
    def count(self) -> int:
        return int(self._counts.sum())

    def add(self, duration_ns: int) -> None:
        within = min(max(duration_ns, self._FIRST_NS), self._LAST_NS)
        self._counts[int(math.log(within / self._FIRST_NS, self.RATIO))] += 1

    def quantile_ms(self, share: float) -> float:
        """The duration that `share` of all do not exceed, to half a bin; NaN before the first."""
        total = self.count
        if not total:
            return math.nan
        bin_ = int(np.searchsorted(np.cumsum(self._counts), share * total))
        return self._FIRST_NS * self.RATIO ** (bin_ + 0.5) / 1e6

    def quantiles(self) -> Quantiles:
        p50_ms, p95_ms, p99_ms = (self.quantile_ms(share) for share in (0.5, 0.95, 0.99))
        return Quantiles(count=self.count, p50_ms=p50_ms, p95_ms=p95_ms, p99_ms=p99_ms)
