"""Print the hands that another program publishes: an example of a receiver.

python stream.py --left 0 --right 2 --publish tcp://127.0.0.1:5570
python -m tools.listen tcp://127.0.0.1:5570
"""

import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import tyro
import zmq

from capture.transport.keys import load_keys
from capture.transport.latest_publisher import subscribe_latest
from hand.errors import UserError
from hand.joints import JOINTS
from runtime.outputs.hand_publisher import PublishedHand, decode_hand

_POLL_MS = 100
_INDEX_TIP = 8


@dataclass
class Settings:
    """Print published hands, one a line."""

    address: tyro.conf.Positional[str]
    """Address that was given to --publish of the application."""
    hands: int | None = None
    """Stop after this number; by default at Ctrl-C."""
    keys: Path | None = None
    """Folder of keys (python -m tools.keys makes them), for an address on another host."""
    peer: str | None = None
    """Name of the other host's key; by default the only one in the folder."""


class Stop:
    """Set by a signal."""

    asked = False


def listen(settings: Settings, stop: Stop) -> str:
    """Print hands until `stop`; returns a summary. Raises UserError for an address that cannot be used."""
    received, missed, last, broken = 0, 0, None, 0
    context = zmq.Context()
    socket = subscribe_latest(context, settings.address, load_keys(settings.keys) if settings.keys else None, settings.peer)
    try:
        while not stop.asked and (settings.hands is None or received < settings.hands):
            if not socket.poll(_POLL_MS):
                continue
            try:
                hand = decode_hand(socket.recv())
            except msgspec.MsgspecError:
                broken += 1
                continue
            # A restarted publisher counts from 0 again.
            missed += max(hand.number - last - 1, 0) if last is not None else 0
            last = hand.number
            received += 1
            print(line_of(hand, time.monotonic_ns()), flush=True)
    finally:
        socket.close()
        context.term()
    return f"{received} hands, {missed} missed" + f", {broken} invalid messages" * (broken > 0)


def line_of(hand: PublishedHand, now_ns: int) -> str:
    """One hand as text: number, side, age, views that see it, wrist and tip of the index finger."""
    assert len(hand.fused.joints) == JOINTS
    seen = " and ".join(view for view in ("left", "right") if getattr(hand.views, view).own) or "neither view"
    wrist = "unknown" if hand.wrist_mm is None else " ".join(f"{value:.0f}" for value in hand.wrist_mm) + " mm"
    tip = " ".join(f"{value:+.2f}" for value in hand.fused.joints[_INDEX_TIP])
    age_ms = (now_ns - hand.captured_ns) / 1e6
    return f"{hand.number:6d}  {hand.side} hand, {age_ms:.0f} ms old, seen by {seen}; wrist {wrist}; index tip {tip} hands"


def main(arguments: Sequence[str] | None = None, prog: str = "tools.listen") -> int:
    """Print until Ctrl-C; the exit code."""
    stop = Stop()
    settings = tyro.cli(Settings, prog=prog, args=arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: setattr(stop, "asked", True))
    try:
        print(listen(settings, stop), file=sys.stderr)
    except UserError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
