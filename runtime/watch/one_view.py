"""Whether one view sees the hand nearly all the time and the other one nearly never."""

from capture.views import VIEWS, PerView, View, other
from hand.findings import Finding
from runtime.watch.recent import RecentShare
from runtime.watch.watched import WatchedPair

WINDOW_NS, MIN_NS = 10_000_000_000, 4_000_000_000
MAX_SHARE, MIN_PARTNER_SHARE = 0.05, 0.6
"""Share of the pairs in which the one view, and the other, sees a hand."""


class OneView:
    """A `Watcher`."""

    def __init__(self) -> None:
        self._seen = PerView(RecentShare(WINDOW_NS), RecentShare(WINDOW_NS))

    def take(self, watched: WatchedPair) -> None:
        """See `Watcher`; a pair with an absent view says nothing."""
        for view, seen in self._seen.items():
            if watched.pair.complete:
                seen.add(watched.captured_ns, watched.hands[view] is not None)

    @property
    def findings(self) -> list[Finding]:
        """See `Watcher`."""
        return [self._finding(view) for view in VIEWS if self._is_blind(view)]

    def _is_blind(self, view: View) -> bool:
        seen, partner = self._seen[view], self._seen[other(view)]
        return seen.span_ns >= MIN_NS and seen.share <= MAX_SHARE and partner.share >= MIN_PARTNER_SHARE

    def _finding(self, view: View) -> Finding:
        seen, partner = self._seen[view], self._seen[other(view)]
        text = (
            f"the {view} camera sees a hand in {100 * seen.share:.0f} % of the last {seen.count} pairs, the {other(view)} one "
            f"in {100 * partner.share:.0f} %: depth comes from one view alone; turn the {view} camera to the hand, and see "
            "whether its picture is sharp, bright enough and upright"
        )
        return Finding("one_view_only", text, view=view)
