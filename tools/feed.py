"""Publish a camera, a video file or the synthetic camera in the wire format: an example of what a headset's app sends.

python -m tools.feed --source clip.mp4 --view left --bind tcp://127.0.0.1:5601
"""

import math
import signal
import sys
import threading
import time

import tyro

from capture.publisher import Publisher, publish
from capture.sources import DEFAULT_MODE, check_endpoint, open_source
from capture.views import View
from capture.wire import Format
from hand.errors import UserError

_LINGER_S = 2.0


def feed(source: str, view: View, bind: str, format: Format = "jpeg", every_frame: bool = False) -> None:
    """Publish one camera until it ends or Ctrl-C.

    Args:
        source: A camera number, /dev/videoN, a video file, or synthetic.
        view: Which of the two cameras this is.
        bind: Where to publish: tcp://host:port on this host, or ipc://path.
        format: How images travel: jpeg is small; rgb8 and gray8 cost no time to decode.
        every_frame: Wait for a receiver and go at its pace, so that no frame is lost; else at the camera's pace.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    check_endpoint(bind)
    camera = open_source(source, view, paced=not every_frame, mode=DEFAULT_MODE)
    try:
        publisher = Publisher(bind, lossless=every_frame)
        try:
            print(f"{view}: {source} on {bind} as {format}; Ctrl-C ends it", flush=True)
            if camera.note:
                print(camera.note, flush=True)
            if every_frame:
                publisher.wait_for_subscriber(stop)
            leave_within_s = math.inf if every_frame else _LINGER_S
            publish(camera, publisher, view, time.monotonic_ns(), stop, format=format, leave_within_s=leave_within_s)
        finally:
            publisher.close()
    finally:
        camera.close()


def main() -> None:
    try:
        tyro.cli(feed)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
