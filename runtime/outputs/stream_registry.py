"""Which streams of hands there are: the scheme of an `--output URL`, its options, and what opens it."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from hand.errors import UserError
from runtime.outputs.queued_output import HandStream, QueuedOutput
from runtime.outputs.stream_address import StreamAddress


@dataclass(frozen=True, slots=True)
class StreamKind:
    """One scheme."""

    module: str
    """Imported when asked for."""
    factory: str
    """Gives the stream of an address; raises UserError where it cannot be opened."""
    options: tuple[str, ...] = ()


STREAMS = {
    "ws": StreamKind("runtime.outputs.websocket_stream", "open_hands", ("token",)),
    "openxr+ws": StreamKind("runtime.outputs.websocket_stream", "open_openxr", ("token",)),
    "osc": StreamKind("runtime.outputs.osc_stream", "OscStream"),
}


def parse_stream(url: str) -> tuple[StreamKind, StreamAddress]:
    """The kind of stream and its address. Raises UserError for a URL that cannot be used."""
    scheme = url.partition("://")[0]
    if scheme not in STREAMS:
        raise UserError(f"--output {url!r} is not known: expected {', '.join(f'{known}://' for known in STREAMS)} and HOST:PORT")
    address = StreamAddress.parse(url, STREAMS[scheme].options)
    if "token" in STREAMS[scheme].options:
        address.check_token()
    return STREAMS[scheme], address


def open_stream(url: str) -> QueuedOutput:
    """The output of a URL. Raises UserError for one that cannot be used, or opened."""
    kind, address = parse_stream(url)
    make: Callable[[StreamAddress], HandStream] = getattr(importlib.import_module(kind.module), kind.factory)
    return QueuedOutput(make(address))
