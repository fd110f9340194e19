"""Whether both views show the pictures of one camera, at the same time or some frames apart."""

import numpy as np

from capture.views import PerView
from hand.findings import Finding
from runtime.watch.watched import THUMBNAIL_PX, Picture, WatchedPair

TEXTURED_LEVELS = 12.0
"""Gradient of a thumbnail, of 255 a pixel, from which one can tell where its pixel is."""
MIN_TEXTURED = 60
"""Pixels with so large a gradient that are needed: of an empty wall two cameras give one picture."""
SAME_PLACE = 0.25
"""Thumbnail pixels by which two pictures may be apart: 1 in 256 of their width. Two cameras that stand beside each other, or look
in directions that differ by half a degree, are farther apart."""
CODING_LEVELS = 3.0
"""Difference that coding makes."""
MIN_SHARE = 0.85
"""Share of the textured pixels that agree."""
MAX_GAIN = 2.0
"""Contrast that one of two pictures of one camera may have more than the other."""
STILL_LOOKS = 10
"""Looks over which a pixel has not changed in either view, where there are enough such pixels: of one camera's pictures at two
times, up to two seconds apart, these agree."""
MIN_STILL_SHARE = 0.25
"""Share of the textured pixels that are enough: where a view changes its camera, those that agree by chance stand still."""
LOOKS = 4
"""Pictures in a row that agree before it is said, and that disagree before it is withdrawn."""

SAME_CAMERA_TEXT = (
    "both views show one camera's pictures, and from one place depth cannot be seen: hands are no better than one camera's, "
    "their rotation and place are worth nothing; give --left and --right two cameras that look at the hand from two sides"
)


class SameCamera:
    """A `PictureWatcher`."""

    def __init__(self) -> None:
        self._agreed = self._disagreed = 0
        """Looks in a row."""
        self._same = False
        self._before: PerView[np.ndarray] | None = None
        """(48, 64) thumbnails of the last look."""
        self._still = np.zeros(THUMBNAIL_PX[::-1], int)
        """(48, 64) looks since a pixel has changed in either view."""

    def look(self, watched: WatchedPair, pictures: PerView[Picture | None]) -> None:
        """See `PictureWatcher`."""
        if pictures.left is None or pictures.right is None:
            return
        now = PerView(pictures.left.thumbnail, pictures.right.thumbnail)
        if self._before is not None:
            before = self._before
            changed = PerView.of(lambda view: np.abs(now[view] - before[view]) > CODING_LEVELS)
            self._still = np.where(changed.left | changed.right, 0, self._still + 1)
        self._before = now
        same = show_the_same(now.left, now.right, self._still >= STILL_LOOKS)
        if same is None:
            return
        self._agreed = self._agreed + 1 if same else 0
        self._disagreed = 0 if same else self._disagreed + 1
        if self._agreed >= LOOKS:
            self._same = True
        elif self._disagreed >= LOOKS:
            self._same = False

    def take(self, watched: WatchedPair) -> None:
        """See `Watcher`."""

    @property
    def findings(self) -> list[Finding]:
        """See `Watcher`."""
        return [Finding("same_camera", SAME_CAMERA_TEXT, "error")] if self._same else []


def show_the_same(left: np.ndarray, right: np.ndarray, still: np.ndarray) -> bool | None:
    """Whether two thumbnails (48, 64) show the same things at the same places; None where they show too little to tell.

    `still`: (48, 64), where nothing has moved lately; only that counts where it is enough.
    """
    left = _lit_alike(left, right)
    gradients = PerView(_gradient(left), _gradient(right))
    textured = np.maximum(gradients.left, gradients.right) > TEXTURED_LEVELS
    if (textured & still).sum() >= max(MIN_TEXTURED, MIN_STILL_SHARE * textured.sum()):
        textured &= still
    if textured.sum() < MIN_TEXTURED:
        return None
    allowed = np.maximum(CODING_LEVELS, SAME_PLACE * np.minimum(gradients.left, gradients.right))
    return bool((np.abs(left - right) <= allowed)[textured].mean() >= MIN_SHARE)


def _lit_alike(image: np.ndarray, other: np.ndarray) -> np.ndarray:
    """`image` with the brightness and contrast of `other`: a program between may have changed both."""
    gain = float(np.clip(other.std() / max(float(image.std()), 1e-9), 1 / MAX_GAIN, MAX_GAIN))
    return (image - image.mean()) * gain + other.mean()


def _gradient(image: np.ndarray) -> np.ndarray:
    """(48, 64) largest difference from a neighbour to the right or below."""
    across = np.abs(np.diff(image, axis=1, append=image[:, -1:]))
    down = np.abs(np.diff(image, axis=0, append=image[-1:]))
    return np.maximum(across, down)
