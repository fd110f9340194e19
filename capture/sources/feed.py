"""A camera that another program, such as a headset's, publishes in the wire format: its address."""

from dataclasses import dataclass
from typing import ClassVar

from capture.sources.base import DeviceMode, Source, SourceSpec
from capture.sources.endpoint import check_endpoint, parse_options
from capture.views import View
from hand.errors import UserError


@dataclass(frozen=True, slots=True)
class Feed(SourceSpec):
    """`tcp://host:port`, `tcp://host:port?key=NAME` or `ipc://path`."""

    physical: ClassVar[bool] = True

    endpoint: str
    """ZeroMQ address: ipc://path, or tcp://host:port."""
    key: str | None = None
    """Whose key it has, where keys are used; None for the only one that is known."""

    @classmethod
    def parse(cls, text: str, *, secured: bool) -> "Feed":
        endpoint, options = parse_options(text, "key")
        return cls(check_endpoint(endpoint, secured=secured), options.get("key"))

    def open(self, view: View, *, paced: bool, mode: DeviceMode) -> Source:
        raise UserError(f"source {self.endpoint!r} is a feed already; give a camera, a video file or synthetic")

    @property
    def feed_endpoint(self) -> str:
        return self.endpoint

    @property
    def name(self) -> str:
        return self.endpoint
