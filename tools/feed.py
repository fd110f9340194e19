"""Publish a camera, a video file or the synthetic camera in the wire format: an example of what a headset's app sends.

python -m tools.feed --source clip.mp4 --view left --bind tcp://127.0.0.1:5601
"""

import math
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import tyro

from capture.masking import masked
from capture.sources.base import DEFAULT_MODE
from capture.sources.endpoint import check_endpoint
from capture.sources.registry import parse_source
from capture.transport.keys import load_keys
from capture.transport.publisher import Publisher, publish
from capture.views import View
from capture.wire import Format
from hand import program
from hand.errors import UserError

_LINGER_S = 2.0


def feed(
    source: str,
    view: View,
    bind: str,
    format: Format = "jpeg",
    every_frame: bool = False,
    keys: Path | None = None,
    clock_port: int | None = None,
) -> None:
    """Publish one camera until it ends or Ctrl-C.

    Args:
        source: A camera number, /dev/videoN, a video file, pictures (a folder, frames/%05d.png), rtsp://host/path,
            http://host:port/video, lerobot://host:port?camera=NAME, pattern or synthetic.
        view: Which of the two cameras this is.
        bind: Where to publish: tcp://host:port or ipc://path. An address beyond this host needs --keys.
        format: How images are sent: jpeg is small; rgb8 and gray8 need no decoding.
        every_frame: Wait for a receiver and send at its pace, losing no frame; otherwise send at the camera's pace.
        keys: Folder of keys (python -m tools.keys makes them); only the peers in it are served.
        clock_port: TCP port that answers clock probes; by default ten above the port of --bind; 0 for none.

    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    check_endpoint(bind, secured=keys is not None)
    loaded = load_keys(keys) if keys else None
    spec = parse_source(source)
    for finding in spec.check():
        print(finding.text, flush=True)
    camera = spec.open(view, paced=not every_frame, mode=DEFAULT_MODE)
    try:
        publisher = Publisher(bind, lossless=every_frame, keys=loaded, clock=_clock_address(bind, clock_port))
        try:
            probes = f", clock probes at port {publisher.clock_port}" if publisher.clock_port else ""
            print(f"{view}: {masked(source)} on {bind} as {format}{probes}; Ctrl-C ends it", flush=True)
            if camera.note:
                print(camera.note, flush=True)
            if every_frame:
                publisher.wait_for_subscriber(stop)
            leave_within_s = math.inf if every_frame else _LINGER_S
            publish(camera, publisher, view, time.monotonic_ns(), stop, format=format, leave_within_s=leave_within_s)
            if publisher.refused:
                print(f"refused {publisher.refused} connections of receivers that are not on the list", flush=True)
        finally:
            publisher.close()
    finally:
        camera.close()


def _clock_address(bind: str, port: int | None) -> str | None:
    """Ten ports above a TCP address; ipc needs none, as both ends share this host's clock."""
    address, _, own_port = bind.rpartition(":")
    if not bind.startswith("tcp://") or port == 0:
        return None
    chosen = int(own_port) + 10 if port is None else port
    if not 0 < chosen < 65536:
        raise UserError(f"the clock's port would be {chosen}: give --clock-port a free one from 1 to 65535, or 0 for none")
    return f"{address}:{chosen}"


def main(arguments: Sequence[str] | None = None, prog: str = "tools.feed") -> int:
    """Publish until the camera ends or Ctrl-C; the exit code. Raises UserError."""
    tyro.cli(feed, prog=prog, args=arguments)
    return 0


if __name__ == "__main__":
    program.run_line(main)
