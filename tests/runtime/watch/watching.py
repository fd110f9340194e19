"""Pairs for watchers: pictures, hands and calibration statuses, 30 a second."""

from collections.abc import Iterable

import numpy as np

from capture.frames import Frame, FramePair
from capture.views import PerView, View
from hand.findings import Finding
from runtime.calibration.status import CalibrationPhase, CalibrationStatus, RejectionReason, SolutionFigures, Uncertainty
from runtime.types import DualHand, Timings, ViewHand
from runtime.watch.watched import PictureWatcher, WatchedPair, Watcher, pictures_of
from tests.runtime.hands import flexed_hand

PERIOD_NS = 33_333_333
LOOK_EVERY = 6
UNSEEN: PerView[ViewHand | None] = PerView(None, None)
DARK = PerView(np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64, 3), np.uint8))


def scene(seed: int, size_px: tuple[int, int] = (320, 240)) -> np.ndarray:
    """(H, W, 3) uint8: what a camera sees that stands somewhere: things of many sizes."""
    rng = np.random.default_rng(seed)
    width, height = size_px
    image = np.full((height, width, 3), 90.0)
    for _ in range(60):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        w, h = int(rng.integers(10, 80)), int(rng.integers(10, 80))
        image[y : y + h, x : x + w] = rng.uniform(0, 255, 3)
    return image.astype(np.uint8)


def noisy(image: np.ndarray, rng: np.random.Generator, sigma: float = 2.0) -> np.ndarray:
    """As a sensor gives it."""
    return np.clip(image + rng.normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


def with_hand(image: np.ndarray, number: int, size: int = 60) -> np.ndarray:
    """Something bright that moves through the picture."""
    image = image.copy()
    x = int((image.shape[1] - size) * (0.5 + 0.5 * np.sin(number / 10)))
    image[40 : 40 + size, x : x + size] = 230
    return image


def view_hand(view: View, *, px: float = 100.0, margin: float | None = None, at_px: float = 200.0) -> ViewHand:
    """A hand of `px` px, its wrist at (`at_px`, `at_px`)."""
    joints = flexed_hand()
    extent = float(np.ptp(joints[:, :2], axis=0).max())
    return ViewHand(view, "right", joints, joints[:, :2] * px / extent + at_px, np.full(21, 0.5), right_margin=margin)


def watched(
    number: int,
    views: PerView[ViewHand | None] = UNSEEN,
    status: CalibrationStatus | None = None,
    images: PerView[np.ndarray] = DARK,
    *,
    placed: bool = False,
    absent: str | None = None,
) -> WatchedPair:
    """Pair `number` of a run."""
    captured_ns = 10**12 + number * PERIOD_NS
    pair = FramePair(*(Frame(v, number, captured_ns, captured_ns, image, absent=v == absent) for v, image in images.items()))
    hand = None
    if views.left is not None or views.right is not None:
        timings = Timings(captured_ns=captured_ns, received_ns=captured_ns, started_ns=captured_ns, merged_ns=captured_ns)
        wrist_mm = np.array([0.0, 0.0, 400.0]) if placed else None
        hand = DualHand(
            "right", flexed_hand(), np.full(21, 0.5), views, None, float("inf"), timings, None, wrist_mm
        )  # fmt: skip
    return WatchedPair(captured_ns, pair, hand, status, number * PERIOD_NS)


def both(*, px: float = 100.0, left_margin: float | None = None, right_margin: float | None = None) -> PerView[ViewHand | None]:
    return PerView(view_hand("left", px=px, margin=left_margin), view_hand("right", px=px, margin=right_margin))


def show(watcher: Watcher, pairs: Iterable[WatchedPair]) -> list[Finding]:
    """What a watcher has found after these pairs."""
    for pair in pairs:
        watcher.take(pair)
    return watcher.findings


def show_pictures(watcher: PictureWatcher, pairs: Iterable[WatchedPair]) -> list[Finding]:
    """The same, with the pictures of every sixth pair."""
    for pair in pairs:
        watcher.take(pair)
        if pair.pair.left.seq % LOOK_EVERY == 0:
            watcher.look(pair, pictures_of(pair.pair))
    return watcher.findings


def figures(angle_deg: float = 43.1, uncertainty_deg: float = 1.2, inliers: float = 0.9) -> SolutionFigures:
    return SolutionFigures(angle_deg, Uncertainty(uncertainty_deg, 2.0, PerView(3.0, 3.0)), inliers)


def rejected(reason: RejectionReason) -> CalibrationStatus:
    return CalibrationStatus(CalibrationPhase.REJECTED, 0.5, figures(inliers=0.4), rejection=reason)
