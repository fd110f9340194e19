"""Whether a view's picture stands still while the other one changes, though new frames keep coming."""

import numpy as np

from capture.views import VIEWS, PerView, View, other
from hand.findings import Finding
from runtime.types import ViewHand
from runtime.watch.watched import PICTURE_PERIOD_NS, Picture, WatchedPair

SAME_MEAN, SAME_MAX = 0.15, 10
"""Mean and maximum difference of samples, of 255, up to which two pictures are one: coding refines a repeated picture by so
much, and a sensor's noise is larger."""
CHANGED_LEVELS, CHANGED_SHARE = 20, 0.002
"""A picture changes where so large a share of its samples differs by more than so many levels."""
STILL_NS, STILL_SCENE_NS = 1_000_000_000 - PICTURE_PERIOD_NS, 3_000_000_000
"""How long a picture is seen to stand still that shows a hand, while the hand moves in the other view: it does so for up to a
period more; and any other picture: a still scene may be coded as one picture for long."""
MOVED = 0.25
"""By how much a hand has moved, in its size."""
OTHER_CHANGES = 3
"""How often the other view's picture has changed meanwhile, of five times a second."""


class _Still:
    """How long one view's picture has stood still."""

    def __init__(self) -> None:
        self.reference: np.ndarray | None = None
        """(N, 3) samples of the picture that it stands still at."""
        self.since_ns = self.from_start_ns = 0
        """When that was captured, by the clock and since the start of the run."""
        self.other_changes = 0
        self._hands = 0
        """Pairs since then in which this view saw a hand."""
        self._partner_px: np.ndarray | None = None
        """(2,) where the other view first saw its hand since then."""
        self._moved = 0.0
        """How far that was from there at most, in its size."""

    def look(self, picture: Picture, watched: WatchedPair) -> None:
        """Begin anew with a picture that is another one."""
        if self.reference is None or not _same(self.reference, picture.samples):
            self.reference = picture.samples
            self.since_ns, self.from_start_ns = watched.captured_ns, watched.passed_ns
            self.other_changes = self._hands = 0
            self._partner_px, self._moved = None, 0.0

    def take(self, hand: ViewHand | None, partner: ViewHand | None) -> None:
        """Add a pair's hands: that of this view, and that of the other one."""
        self._hands += hand is not None
        if partner is None:
            return
        middle = partner.pixels.mean(0)
        self._partner_px = middle if self._partner_px is None else self._partner_px
        size = max(float(np.ptp(partner.pixels, axis=0).max()), 1.0)
        self._moved = max(self._moved, float(np.linalg.norm(middle - self._partner_px)) / size)

    @property
    def shows_a_moving_hand(self) -> bool:
        """Whether there is a hand in the picture that stands still, which moves in the other view."""
        return bool(self._hands) and self._moved >= MOVED


class FrozenView:
    """A `PictureWatcher`."""

    def __init__(self) -> None:
        self._views = PerView(_Still(), _Still())
        self._last: PerView[np.ndarray | None] = PerView(None, None)
        """The samples before."""
        self._past_ns: PerView[list[tuple[int, int]]] = PerView([], [])
        """When each view's picture stood still with a hand, and when it moved again, since the start of the run."""
        self._now_ns = 0

    def look(self, watched: WatchedPair, pictures: PerView[Picture | None]) -> None:
        """See `PictureWatcher`."""
        self._now_ns = watched.captured_ns
        for view in VIEWS:
            picture, partner = pictures[view], pictures[other(view)]
            if picture is None or partner is None:
                self._views = PerView(_Still(), _Still())
                self._last = PerView(None, None)
                return
            still, since_ns = self._views[view], self._views[view].from_start_ns
            harmed = still.shows_a_moving_hand and self._frozen(view)
            still.look(picture, watched)
            if harmed and still.from_start_ns != since_ns:
                self._past_ns[view].append((since_ns, watched.passed_ns))
            before = self._last[other(view)]
            still.other_changes += before is not None and _changed(before, partner.samples)
        self._last = pictures.map(lambda picture: None if picture is None else picture.samples)

    def take(self, watched: WatchedPair) -> None:
        """See `Watcher`."""
        for view, still in self._views.items():
            still.take(watched.hands[view], watched.hands[other(view)])

    @property
    def findings(self) -> list[Finding]:
        """See `Watcher`."""
        return [finding for view in VIEWS if (finding := self._finding(view)) is not None]

    def _frozen(self, view: View) -> bool:
        still = self._views[view]
        if still.reference is None or still.other_changes < OTHER_CHANGES:
            return False
        return self._now_ns - still.since_ns >= (STILL_NS if still.shows_a_moving_hand else STILL_SCENE_NS)

    def _finding(self, view: View) -> Finding | None:
        """What is the case, else what was: hands of that time stay wrong."""
        if not self._frozen(view):
            return _past_finding(view, self._past_ns[view]) if self._past_ns[view] else None
        still = self._views[view]
        seconds = still.from_start_ns / 1e9
        text = (
            f"the {view} picture has stood still since {seconds:.1f} s, while the {other(view)} one changes: what sends it "
            f"hangs and repeats one frame, so hands are wrong from there on; start the {view} camera or its program again"
        )
        return Finding("view_frozen", text, "error" if still.shows_a_moving_hand else "warning", view)


def _past_finding(view: View, past_ns: list[tuple[int, int]]) -> Finding:
    since_ns, until_ns = past_ns[-1]
    before = len(past_ns) - 1
    times = f" and {before} time{'s' if before > 1 else ''} before" if before else ""
    text = (
        f"the {view} picture stood still from {since_ns / 1e9:.1f} to {until_ns / 1e9:.1f} s{times}, while the {other(view)} one "
        f"changed: what sends it hung and repeated one frame, so hands of that time are wrong; leave them out"
    )
    return Finding("view_frozen", text, view=view)


def _same(samples: np.ndarray, later: np.ndarray) -> bool:
    if samples.shape != later.shape:
        return False
    difference = np.abs(samples.astype(np.int16) - later)
    return bool(difference.mean() <= SAME_MEAN and difference.max(initial=0) <= SAME_MAX)


def _changed(samples: np.ndarray, later: np.ndarray) -> bool:
    if samples.shape != later.shape:
        return True
    differ = (np.abs(samples.astype(np.int16) - later) > CHANGED_LEVELS).any(-1)
    return bool(differ.mean() > CHANGED_SHARE)
