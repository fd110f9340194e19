"""What Linux says of its cameras: names and USB buses from /sys, formats, sizes and rates from the driver.

Structures and numbers are those of <linux/videodev2.h> (kernel documentation, "Video for Linux API", appendix A).
"""

import errno
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SYS = Path("/sys/class/video4linux")
_CAPTURE = 1
"""V4L2_BUF_TYPE_VIDEO_CAPTURE."""
_CAP_CAPTURE, _CAP_DEVICE_CAPS = 0x00000001, 0x80000000
_DISCRETE = 1
"""V4L2_FRMSIZE_TYPE_DISCRETE, and V4L2_FRMIVAL_TYPE_DISCRETE."""
_MOST = 64
"""Formats, sizes or rates of one kind that are read; no driver should list more."""

Ioctl = Callable[[int, bytes], bytes]
"""Sends a request with its structure; gives the structure as the driver filled it in. Raises OSError."""


class Request(NamedTuple):
    """One question to a driver."""

    number: int
    layout: struct.Struct

    @property
    def code(self) -> int:
        """The ioctl's number: read and written unless it is QUERYCAP, of group 'V'."""
        direction = 2 if self.number == 0 else 3
        return direction << 30 | self.layout.size << 16 | ord("V") << 8 | self.number


QUERYCAP = Request(0, struct.Struct("=16s32s32sIII12x"))
"""driver, card, bus, version, capabilities, capabilities of this node."""
ENUM_FMT = Request(2, struct.Struct("=III32s4s16x"))
"""index, buffer type, flags, description, fourcc."""
ENUM_FRAMESIZES = Request(74, struct.Struct("=I4sI6I8x"))
"""index, fourcc, kind, discrete: width, height; stepwise: least, most and step of each."""
ENUM_FRAMEINTERVALS = Request(75, struct.Struct("=I4sIII6I8x"))
"""index, fourcc, width, height, kind, discrete: numerator, denominator; stepwise: least, most, step."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A size in one format, and how often it comes."""

    fourcc: str
    width: int
    height: int
    rates_fps: tuple[float, ...]
    """Fastest first; of a camera that takes any rate, the fastest and the slowest."""


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """One device node that captures video."""

    path: str
    name: str
    bus: str
    """As the driver names it, such as usb-0000:00:14.0-2."""
    usb: str | None
    """Bus and speed, such as "bus 1, 480 Mbit/s"; None for a camera that is not on USB."""
    modes: tuple[Mode, ...]
    problem: str | None = None
    """Why it could not be asked."""


def cameras(sys: Path = SYS, dev: Path = Path("/dev")) -> list[CameraInfo]:
    """All cameras of this host, by number. Nodes that capture nothing, such as a webcam's second one, are left out."""
    nodes = [entry for entry in sys.glob("video*") if entry.name[5:].isdigit()] if sys.is_dir() else []
    found = []
    for entry in sorted(nodes, key=lambda entry: int(entry.name[5:])):
        name = _text(entry / "name") or entry.name
        path = dev / entry.name
        try:
            with _opened(path) as ask:
                info = describe(ask, str(path), name, usb_place(entry))
        except OSError as error:
            info = CameraInfo(str(path), name, "", usb_place(entry), (), error.strerror or str(error))
        if info is not None:
            found.append(info)
    return found


def describe(ask: Ioctl, path: str, name: str, usb: str | None) -> CameraInfo | None:
    """Ask one driver; None for a node that captures no pictures. Raises OSError where it does not answer."""
    _, card, bus, _, everything, node = QUERYCAP.layout.unpack(ask(QUERYCAP.code, bytes(QUERYCAP.layout.size)))
    if not (node if everything & _CAP_DEVICE_CAPS else everything) & _CAP_CAPTURE:
        return None
    modes = [mode for fourcc in _formats(ask) for mode in _modes(ask, fourcc)]
    return CameraInfo(path, _string(card) or name, _string(bus), usb, tuple(modes))


def capturing_sibling(path: str) -> str | None:
    """The node that gives the pictures of the camera at `path`, whose own node gives none, as a webcam's second one does.

    None where `path` gives pictures itself, or that cannot be found out.
    """
    try:
        with _opened(Path(path)) as ask:
            if describe(ask, path, "", None) is not None:
                return None
    except OSError:
        return None
    return same_device(path, [camera.path for camera in cameras()])


def same_device(path: str, others: Sequence[str], sys: Path = SYS) -> str | None:
    """The first of `others` that is a node of the same device as the node at `path`; None where there is none."""

    def device(node: str) -> Path | None:
        return _resolved(sys / Path(node).resolve().name / "device")

    here = device(path)
    return None if here is None else next((other for other in others if device(other) == here), None)


def programs_using(path: str, proc: Path = Path("/proc")) -> list[str]:
    """Names and process numbers of the other programs that hold the file at `path` open, as far as this user may see them."""
    target = Path(path).resolve()
    users = []
    for process in sorted(proc.glob("[0-9]*"), key=lambda process: int(process.name)):
        if int(process.name) != os.getpid() and any(_resolved(link) == target for link in _listed(process / "fd")):
            users.append(f"{_text(process / 'comm') or 'a program'} (process {process.name})")
    return users


def usb_place(entry: Path) -> str | None:
    """Bus and speed of the USB device above a node of /sys; None where there is none."""
    try:
        place = (entry / "device").resolve(strict=True)
    except OSError:
        return None
    for folder in (place, *place.parents):
        bus, speed = _text(folder / "busnum"), _text(folder / "speed")
        if bus and speed:
            return f"bus {bus}, {speed} Mbit/s"
    return None


def _formats(ask: Ioctl) -> Iterator[bytes]:
    for answer in _each(lambda index: ask(ENUM_FMT.code, ENUM_FMT.layout.pack(index, _CAPTURE, 0, b"", b""))):
        yield ENUM_FMT.layout.unpack(answer)[4]


def _modes(ask: Ioctl, fourcc: bytes) -> Iterator[Mode]:
    name = fourcc.decode("latin-1").strip()
    sizes = ENUM_FRAMESIZES
    for answer in _each(lambda index: ask(sizes.code, sizes.layout.pack(index, fourcc, 0, *[0] * 6))):
        _, _, kind, *numbers = sizes.layout.unpack(answer)
        both = [(numbers[0], numbers[1])] if kind == _DISCRETE else [(numbers[0], numbers[3]), (numbers[1], numbers[4])]
        for width, height in dict.fromkeys(both):
            yield Mode(name, width, height, tuple(sorted(set(_rates(ask, fourcc, width, height)), reverse=True)))
        if kind != _DISCRETE:
            return


def _rates(ask: Ioctl, fourcc: bytes, width: int, height: int) -> Iterator[float]:
    rates = ENUM_FRAMEINTERVALS
    for answer in _each(lambda index: ask(rates.code, rates.layout.pack(index, fourcc, width, height, 0, *[0] * 6))):
        _, _, _, _, kind, *numbers = rates.layout.unpack(answer)
        # An interval is a fraction of seconds; the shortest two numbers are the fastest rate.
        for numerator, denominator in [numbers[:2]] if kind == _DISCRETE else [numbers[:2], numbers[2:4]]:
            if numerator and denominator:
                yield round(denominator / numerator, 3)
        if kind != _DISCRETE:
            return


def _each(ask: Callable[[int], bytes]) -> Iterator[bytes]:
    """What a driver lists, until it says that there is no more."""
    for index in range(_MOST):
        try:
            yield ask(index)
        except OSError as error:
            # EINVAL ends a list; a driver without that list says ENOTTY or ENODATA.
            if error.errno in (errno.EINVAL, errno.ENOTTY, errno.ENODATA):
                return
            raise


class _opened:
    """An open device node that answers ioctls."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Ioctl:
        # Opening for reading and not waiting disturbs no program that streams from it.
        self._file = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        return self._ask

    def __exit__(self, *exception: object) -> None:
        os.close(self._file)

    def _ask(self, code: int, argument: bytes) -> bytes:
        import fcntl

        return fcntl.ioctl(self._file, code, argument)


def _listed(folder: Path) -> list[Path]:
    """What is in a folder; nothing where it may not be read, or is gone."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _resolved(link: Path) -> Path | None:
    try:
        return link.resolve(strict=True)
    except OSError:
        return None


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _string(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace").strip()
