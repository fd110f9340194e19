"""Whether a view's picture is blurred all over: out of focus, or through a dirty lens."""

import numpy as np

from capture.views import VIEWS, PerView, View
from hand.findings import Finding
from runtime.watch.recent import RecentShare
from runtime.watch.watched import Picture, WatchedPair

LOOK_EVERY = 5
"""Of the pictures, five a second."""
WINDOW_NS, MIN_NS, MIN_SHARE = 8_000_000_000, 4_000_000_000, 0.8
WIDTH_PX = 640
"""Widths of edges are in pixels of a picture of this width."""
MIN_WIDTH_PX = 320
"""Narrower pictures are not judged."""
MAX_EDGE_PX = 11.0
"""Width of the sharpest edges from which a picture is blurred: 2 to 5 px in focus, 11 or more after a Gaussian blur of 6 px."""
MIN_CONTRAST = 40.0
"""Difference within a tenth of a row, of 255, from which there is an edge to judge by."""
_ROWS = 24
_WINDOW = 64


class Sharpness:
    """A `PictureWatcher`."""

    def __init__(self) -> None:
        self._looks = 0
        self._blurred = PerView(RecentShare(WINDOW_NS), RecentShare(WINDOW_NS))
        self._edge_px = PerView(0.0, 0.0)

    def look(self, watched: WatchedPair, pictures: PerView[Picture | None]) -> None:
        """See `PictureWatcher`."""
        self._looks += 1
        if self._looks % LOOK_EVERY:
            return

        def edge(view: View) -> float:
            picture = pictures[view]
            width = None if picture is None else edge_width_px(picture.image)
            if width is None:
                return self._edge_px[view]
            self._blurred[view].add(watched.captured_ns, width > MAX_EDGE_PX)
            return width

        self._edge_px = PerView.of(edge)

    def take(self, watched: WatchedPair) -> None:
        """See `Watcher`."""

    @property
    def findings(self) -> list[Finding]:
        """See `Watcher`."""
        return [
            Finding(
                "picture_blurred",
                f"the {view} picture is blurred (its sharpest edges are {self._edge_px[view]:.0f} px wide in {WIDTH_PX}, in "
                "focus they are 2 to 5), and joints may be less exact; clean its lens, and focus it on the hand",
                view=view,
            )
            for view in VIEWS
            if self._blurred[view].span_ns >= MIN_NS and self._blurred[view].share >= MIN_SHARE
        ]


def edge_width_px(image: np.ndarray) -> float | None:
    """Width of the sharpest edges across an image (H, W, 3) uint8, in pixels of a picture 640 px wide; None where it has none."""
    height, width = image.shape[:2]
    if width < MIN_WIDTH_PX:
        return None
    scale = max(width / WIDTH_PX, 1.0)
    rows = np.linspace(0, height - 1, _ROWS + 2).astype(int)[1:-1]
    columns = (np.arange(int(width / scale)) * scale).astype(int)
    levels = image[rows[:, None], columns, 1].astype(np.float32)
    windows = levels[:, : levels.shape[1] // _WINDOW * _WINDOW].reshape(_ROWS, -1, _WINDOW)
    contrast = float(np.quantile(np.ptp(windows, axis=2), 0.95))
    if contrast < MIN_CONTRAST:
        return None
    # An edge as high as the contrast is as wide as it needs at the steepest slope.
    slope = float(np.quantile(np.abs(levels[:, 2:] - levels[:, :-2]), 0.999)) / 2
    return contrast / max(slope, 1e-6)
