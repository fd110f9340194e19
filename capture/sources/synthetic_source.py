"""The synthetic headset's cameras as a source; what they show is in `capture.sources.synthetic`."""

from collections.abc import Iterator
from dataclasses import dataclass

from capture.sources.base import CapturedImage, DeviceMode, Source, SourceSpec
from capture.views import View


@dataclass(frozen=True, slots=True)
class Synthetic(SourceSpec):
    """`synthetic`: a rendered hand in front of a camera that does not exist."""

    @classmethod
    def parse(cls, text: str, *, secured: bool) -> "Synthetic":
        return cls()

    def open(self, view: View, *, paced: bool, mode: DeviceMode) -> Source:
        return _Camera(view, paced=paced)


class _Camera:
    """The synthetic camera; its loop is rendered on opening, which takes some seconds."""

    note = None

    def __init__(self, view: View, *, paced: bool) -> None:
        # PyTorch takes seconds to import, and only the camera's own process needs it.
        from capture.sources.synthetic import SyntheticSource

        self._camera = SyntheticSource(view)
        self._paced = paced
        self.fov_deg: float | None = SyntheticSource.fov_deg

    def frames(self, start_ns: int) -> Iterator[CapturedImage]:
        for shot in self._camera.frames(start_ns, paced=self._paced):
            yield CapturedImage(*shot)

    def close(self) -> None:
        pass
