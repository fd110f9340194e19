"""Interfaces of a camera source: its specification, read from a SOURCE, and the open source of frames."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

import numpy as np

from capture.clip_timing import ClipTiming
from capture.views import View
from hand.findings import Finding

if TYPE_CHECKING:
    # It brings OpenCV, which reading a SOURCE does not wait for.
    from capture.sources.clip_header import ClipHeader


@dataclass(frozen=True, slots=True)
class DeviceMode:
    """The mode that is requested of a device; the actual one may differ."""

    width: int = 640
    height: int = 480
    fps: float = 30.0
    exposure: float | None = None
    """In the driver's unit, for most 100 µs; None leaves it to the camera."""
    sequence_fps: float | None = None
    """Pictures a second of image sequences, which do not say it."""


DEFAULT_MODE = DeviceMode()


class CapturedImage(NamedTuple):
    """One image, as a source yields it."""

    seq: int
    captured_ns: int
    """Monotonic clock of this host."""
    image: np.ndarray
    """(H, W, 3) uint8 RGB."""


class Source(Protocol):
    """An open camera."""

    @property
    def fov_deg(self) -> float | None:
        """Horizontal field of view, where the source knows it."""
        ...

    @property
    def note(self) -> str | None:
        """One sentence for the user, such as a mode that the camera refused."""
        ...

    def frames(self, start_ns: int) -> Iterator[CapturedImage]:
        """Yield the images until they end; `start_ns` is when a source that makes its own time begins.

        Raises UserError when the camera fails.
        """
        ...

    def close(self) -> None: ...


class SourceSpec(ABC):
    """A SOURCE that was read and is not open yet. Each kind of camera has a subclass, a frozen dataclass."""

    __slots__ = ()

    lasting: ClassVar[bool] = True
    """A camera that stops may come back; a recording that stops is at its end."""
    physical: ClassVar[bool] = False
    """A real camera, whose placement may be the same in the next run."""

    @classmethod
    @abstractmethod
    def parse(cls, text: str, *, secured: bool) -> "SourceSpec | None":
        """Read a SOURCE; None where it is of another kind. `secured`: there are keys. Raises UserError for a wrong one."""

    @abstractmethod
    def open(self, view: View, *, paced: bool, mode: DeviceMode) -> Source:
        """Open it in this process.

        `paced`: a file or a recording plays at its own rate; else as fast as it is read. Raises UserError.
        """

    def check(self, mode: DeviceMode = DEFAULT_MODE) -> tuple[Finding, ...]:
        """What it takes for granted. Raises UserError for what `open` would find wrong, as far as that is known at once."""
        return ()

    @property
    def first_number(self) -> int | None:
        """Number of the first frame where a file's name says it; two views with such numbers may count one time."""
        return None

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of this host that it reads."""
        return ()

    @property
    def folder(self) -> "tuple[Path, re.Pattern[str]] | None":
        """Where whatever file has such a name is one of its files; None where no folder is read."""
        return None

    @property
    def device(self) -> str | None:
        """The device node that only one view can open; None for what is no device of this host."""
        return None

    @property
    def feed_endpoint(self) -> str | None:
        """ZeroMQ address at which another program publishes its frames; None for what this program captures itself."""
        return None

    def timed(self, timing: ClipTiming) -> "SourceSpec | None":
        """The same clip with its frames at these times; None for what is no clip on disk, and has times of its own."""
        return None

    @property
    def clip_header(self) -> "ClipHeader | None":
        """What the header of a clip on disk announces; None for anything else. Raises UserError where it cannot be read."""
        return None

    @property
    def name(self) -> str | None:
        """Its identity, however the SOURCE was written; None where that is the SOURCE itself."""
        return None
