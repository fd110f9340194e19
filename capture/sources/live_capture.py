"""A stream that OpenCV receives, from the network or from a pipeline: frames are stamped when they arrive."""

import time
from collections.abc import Iterator

import cv2

from capture.sources.base import CapturedImage
from hand.errors import UserError
from hand.findings import Finding

FIRST_FRAMES = 300
"""A stream of which the first so many frames cannot be decoded is none."""


def stamped_on_arrival(name: str) -> Finding:
    """What is to be known of the times of such frames."""
    return Finding(
        "stamped_on_arrival",
        f"{name} does not say when it captured a frame, so frames are stamped on arrival, later by a time that is not known and "
        "that the skew of pairs does not show; take both views from cameras of one kind",
        "info",
    )


class LiveCaptureSource:
    """Yields what an open capture receives. A stream that ends or stalls is lost, and may come back when it is opened anew."""

    fov_deg = None
    note = None

    def __init__(self, name: str, capture: cv2.VideoCapture) -> None:
        """`name`: of the camera, for sentences, without secrets."""
        self._name = name
        self._capture = capture

    def frames(self, start_ns: int) -> Iterator[CapturedImage]:
        """`start_ns` is not used: a camera has its own time. Raises UserError when the stream ends."""
        seq = damaged = 0
        while self._capture.grab():
            captured_ns = time.monotonic_ns()
            ok, bgr = self._capture.retrieve()
            # A damaged image is a lost frame, which the gap in seq shows; the camera goes on.
            damaged = 0 if ok else damaged + 1
            if damaged > FIRST_FRAMES:
                raise UserError(f"{self._name} sends frames that cannot be decoded; choose H.264 or MJPEG in its settings")
            if ok:
                yield CapturedImage(seq, captured_ns, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
            seq += 1
        raise UserError(f"{self._name} stopped sending after {seq} frames; check that it still streams, and the network")

    def close(self) -> None:
        self._capture.release()
