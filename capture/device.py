"""A camera of this host through V4L2: asked for a mode, read back, stamped as early as OpenCV allows."""

import os
import stat
import time
from collections.abc import Iterator

import cv2

from capture.sources import DeviceMode, Shot
from hand.errors import UserError


class DeviceSource:
    """Yields a device's frames as they come, stamped when the driver hands them over, before they are decoded."""

    fov_deg = None

    def __init__(self, path: str, mode: DeviceMode) -> None:
        """Raises UserError for a device that is missing, forbidden, busy, or no camera."""
        self._path = path
        _check_node(path)
        self._capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise UserError(f"camera {path} is busy or cannot capture video; close the program that uses it, or give another")
        # Two cameras of raw video do not fit on one USB 2 bus. The format comes first: it decides which sizes there are.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, mode.width)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, mode.height)
        self._capture.set(cv2.CAP_PROP_FPS, mode.fps)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 2)
        self.note = self._difference(mode)

    def frames(self, start_ns: int) -> Iterator[Shot]:
        """`start_ns` is not used: a camera has its own time. Raises UserError when the camera stops answering."""
        seq = 0
        while self._capture.grab():
            captured_ns = time.monotonic_ns()
            ok, bgr = self._capture.retrieve()
            # A damaged image is a lost frame, which the gap in seq shows; the camera goes on.
            if ok:
                yield Shot(seq, captured_ns, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
            seq += 1
        raise UserError(f"camera {self._path} stopped answering after {seq} frames; check its cable and start again")

    def close(self) -> None:
        self._capture.release()

    def _difference(self, mode: DeviceMode) -> str | None:
        given = DeviceMode(
            int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            self._capture.get(cv2.CAP_PROP_FPS),
        )
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode("latin-1")
        if code == "MJPG" and given == mode:
            return None
        return (
            f"camera {self._path} was asked for MJPG {mode.width}×{mode.height} at {mode.fps:g}/s "
            f"and gives {code} {given.width}×{given.height} at {given.fps:g}/s"
        )


def _check_node(path: str) -> None:
    """Say what OpenCV would not: it answers only that a camera did not open."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise UserError(f"camera {path} does not exist; plug it in, or see which there are with ls /dev/video*") from None
    if not stat.S_ISCHR(mode):
        raise UserError(f"camera {path} is not a device; give one of ls /dev/video*")
    if not os.access(path, os.R_OK | os.W_OK):
        raise UserError(f"camera {path} may not be opened by this user; add the user to the group video and log in again")
