"""What every camera source gives: shots, in the mode that it was asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np


@dataclass(frozen=True, slots=True)
class DeviceMode:
    """What a device is asked for; it may give something else."""

    width: int = 640
    height: int = 480
    fps: float = 30.0
    exposure: float | None = None
    """In the driver's unit, for most 100 µs; None leaves it to the camera."""


DEFAULT_MODE = DeviceMode()


class Shot(NamedTuple):
    """One image as its source yields it."""

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

    def frames(self, start_ns: int) -> Iterator[Shot]:
        """Yield the images until they end; `start_ns` is when a source that makes its own time begins.

        Raises UserError when the camera fails.
        """
        ...

    def close(self) -> None: ...
