"""A V4L2 camera of this host: its mode is set and read back; frames are stamped by the driver, or when they are grabbed."""

import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import cv2

from capture.sources.base import DEFAULT_MODE, CapturedImage, DeviceMode, Source, SourceSpec
from capture.sources.v4l2 import SYS, capturing_sibling, programs_using, usb_place
from capture.views import View
from hand.errors import UserError
from hand.findings import Finding

_AUTO, _MANUAL = 3, 1
"""V4L2_EXPOSURE_APERTURE_PRIORITY and V4L2_EXPOSURE_MANUAL: what webcams call automatic and manual."""
_VIDEO_MAJOR = 81
"""Device number of V4L2 (admin-guide/devices.txt of the kernel's documentation)."""
_OLDEST_NS = 500_000_000
"""A frame that seems to have waited longer than the driver's few buffers hold was not stamped by the monotonic clock."""
_TRIAL = 10
"""Frames after which the choice of time stamps is final."""


@dataclass(frozen=True, slots=True)
class Device(SourceSpec):
    """`0`, `/dev/video0`: a camera of this host."""

    physical: ClassVar[bool] = True

    path: str
    """Such as /dev/video0."""

    @classmethod
    def parse(cls, text: str, *, secured: bool) -> "Device":
        return cls(f"/dev/video{int(text)}" if text.isdigit() else text)

    def open(self, view: View, *, paced: bool, mode: DeviceMode) -> Source:
        return DeviceSource(self.path, mode)

    def check(self, mode: DeviceMode = DEFAULT_MODE) -> tuple[Finding, ...]:
        _check_node(self.path)
        return ()

    @property
    def device(self) -> str:
        return self.path

    @property
    def name(self) -> str:
        return self.path


class DeviceSource:
    """Yields a device's frames: grabbed, stamped, then decoded."""

    fov_deg = None

    def __init__(self, path: str, mode: DeviceMode) -> None:
        """Raises UserError for a device that is missing, forbidden, busy, or no camera."""
        self._path = path
        _check_node(path)
        self._capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
        try:
            if not self._capture.isOpened():
                raise UserError(why_closed(path, programs_using(path)))
            self._ask(mode)
            self._stamps = StampChoice()
            # Frames tell whose clock stamps them, so a few are taken before the camera counts as open.
            for _ in range(_TRIAL):
                if not self._capture.grab():
                    raise UserError(why_no_frame(path, usb_place(SYS / Path(path).resolve().name)))
                self._stamp()
        except BaseException:
            self.close()
            raise
        stamped = "the driver" if self._stamps.source == "driver" else "the moment of the grab"
        given = difference(mode, self._given(), self._fourcc(), self._capture.get(cv2.CAP_PROP_EXPOSURE))
        self.note = f"camera {path} is stamped by {stamped}" + (f"; it was asked for {given}" if given else "")

    def frames(self, start_ns: int) -> Iterator[CapturedImage]:
        """`start_ns` is not used: a camera has its own time. Raises UserError when the camera stops answering."""
        seq = 0
        while self._capture.grab():
            captured_ns = self._stamp()
            ok, bgr = self._capture.retrieve()
            # A damaged image is a lost frame, which the gap in seq shows; the camera goes on.
            if ok:
                yield CapturedImage(seq, captured_ns, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
            seq += 1
        raise UserError(f"camera {self._path} stopped answering after {seq} frames; check its cable")

    def close(self) -> None:
        self._capture.release()

    def _stamp(self) -> int:
        # Of V4L2, OpenCV gives the buffer's own time here (opencv/modules/videoio/src/cap_v4l.cpp).
        return self._stamps.choose(time.monotonic_ns(), round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6))

    def _ask(self, mode: DeviceMode) -> None:
        # Two cameras of raw video do not fit on one USB 2 bus. The format comes first: it decides which sizes there are.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, mode.width)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, mode.height)
        self._capture.set(cv2.CAP_PROP_FPS, mode.fps)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 2)
        # A camera keeps an exposure that an earlier program has set.
        self._capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _AUTO if mode.exposure is None else _MANUAL)
        if mode.exposure is not None:
            self._capture.set(cv2.CAP_PROP_EXPOSURE, mode.exposure)

    def _given(self) -> DeviceMode:
        return DeviceMode(
            int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            self._capture.get(cv2.CAP_PROP_FPS),
        )

    def _fourcc(self) -> str:
        return int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode("latin-1")


class StampChoice:
    """Which time stamp a frame gets: the driver's where it is plausible, else that of the grab; final after some frames.

    V4L2 stamps a buffer when its first byte arrives, by the monotonic clock if the driver conforms. Some drivers give no time, or
    another clock's: then the time of the grab is used throughout. A single implausible time of a good driver is replaced alone.
    """

    def __init__(self) -> None:
        self.source: Literal["driver", "grab"] = "driver"
        self._seen = 0
        self._last_ns = 0

    def choose(self, grabbed_ns: int, driver_ns: int) -> int:
        """The frame's time, from the time of the grab (monotonic clock) and the driver's, ns."""
        plausible = self._last_ns < driver_ns <= grabbed_ns and grabbed_ns - driver_ns < _OLDEST_NS
        self._last_ns = max(self._last_ns, driver_ns)
        if self._seen < _TRIAL:
            self._seen += 1
            # The first buffers may have waited while the camera opened.
            if not plausible and self._seen > 2:
                self.source = "grab"
        return driver_ns if self.source == "driver" and plausible else grabbed_ns


def difference(asked: DeviceMode, given: DeviceMode, fourcc: str, exposure: float) -> str | None:
    """Requested and actual mode of a camera where they differ; None where they agree."""
    exposure_differs = asked.exposure is not None and exposure != asked.exposure
    same = (asked.width, asked.height, asked.fps) == (given.width, given.height, given.fps) and fourcc == "MJPG"
    if same and not exposure_differs:
        return None

    def describe(code: str, mode: DeviceMode, exposure: float | None) -> str:
        exposed = "" if asked.exposure is None else f" exposed {exposure:g}"
        return f"{code} {mode.width}×{mode.height} at {mode.fps:g}/s{exposed}"

    return f"{describe('MJPG', asked, asked.exposure)} and gives {describe(fourcc, given, exposure)}"


def why_closed(path: str, programs: Sequence[str]) -> str:
    """Sentence for a device that OpenCV cannot open; `programs` are those that hold it open."""
    if programs:
        return f"camera {path} is in use by {' and '.join(programs)}; close it, or give another camera"
    return f"camera {path} is busy or cannot capture video; close the program that uses it, or give another"


def why_no_frame(path: str, usb: str | None) -> str:
    """Sentence for a device that opens but does not stream; `usb` is its bus and speed."""
    # The driver says "no space left on device" where the bus has no bandwidth left; OpenCV keeps that to itself.
    bus = f"give the cameras a USB bus each (this one is on {usb}; python -m tools.cameras lists them), " if usb else ""
    return f"camera {path} opens but gives no frame; {bus}check its cable, or ask for less with --camera-size"


def _check_node(path: str) -> None:
    """Raise UserError with the reason: OpenCV only reports that a camera did not open."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise UserError(f"camera {path} does not exist; plug it in, or see which there are: python -m tools.cameras") from None
    if not stat.S_ISCHR(status.st_mode) or os.major(status.st_rdev) != _VIDEO_MAJOR:
        raise UserError(f"camera {path} is not a camera's device; give one of those that python -m tools.cameras lists")
    if not os.access(path, os.R_OK | os.W_OK):
        raise UserError(f"camera {path} may not be opened by this user; add the user to the group video and log in again")
    sibling = capturing_sibling(path)
    if sibling is not None:
        raise UserError(f"camera {path} is a webcam's second node, which gives no pictures; give {sibling}")
