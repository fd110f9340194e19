"""Share of the recent pairs that have a property, so that what flickers is not reported and what lasts is."""

from collections import deque


class RecentShare:
    """Of the pairs within the last `window_ns`."""

    def __init__(self, window_ns: int):
        self._window_ns = window_ns
        self._pairs: deque[tuple[int, bool]] = deque()
        self._true = 0

    def add(self, captured_ns: int, value: bool) -> None:
        """A pair, with whether it has the property."""
        self._pairs.append((captured_ns, value))
        self._true += value
        while captured_ns - self._pairs[0][0] > self._window_ns:
            self._true -= self._pairs.popleft()[1]

    def clear(self) -> None:
        self._pairs.clear()
        self._true = 0

    @property
    def count(self) -> int:
        return len(self._pairs)

    @property
    def span_ns(self) -> int:
        """From the oldest of the pairs to the newest."""
        return self._pairs[-1][0] - self._pairs[0][0] if self._pairs else 0

    @property
    def share(self) -> float:
        """In [0, 1]; 0 without a pair."""
        return self._true / len(self._pairs) if self._pairs else 0.0
