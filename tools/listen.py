"""Print the hands that another program publishes: an example of one that takes them.

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
    """As stream.py --publish was given it."""
    hands: int | None = None
    """Stop after so many; none: at Ctrl-C."""
    keys: Path | None = None
    """Folder of keys (python -m tools.keys makes them), where the address is on another host."""
    peer: str | None = None
    """Name of the other host's key; none: the only one there is."""


class Stop:
    """Set by a signal."""

    asked = False


def listen(settings: Settings, stop: Stop) -> str:
    """Print hands until it is asked to stop; gives a sentence about them. Raises UserError for an address that cannot be used."""
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
            # A publisher that was started again counts anew.
            missed += max(hand.number - last - 1, 0) if last is not None else 0
            last = hand.number
            received += 1
            print(line_of(hand, time.monotonic_ns()), flush=True)
    finally:
        socket.close()
        context.term()
    return f"{received} hands, {missed} missed" + f", {broken} messages that were none" * (broken > 0)


def line_of(hand: PublishedHand, now_ns: int) -> str:
    """One hand in a line: which, how old, who saw it, where the wrist and the index finger's tip are."""
    assert len(hand.fused.joints) == JOINTS
    seen = " and ".join(view for view in ("left", "right") if getattr(hand.views, view).own) or "nobody"
    wrist = "unknown" if hand.wrist_mm is None else " ".join(f"{value:.0f}" for value in hand.wrist_mm) + " mm"
    tip = " ".join(f"{value:+.2f}" for value in hand.fused.joints[_INDEX_TIP])
    age_ms = (now_ns - hand.captured_ns) / 1e6
    return f"{hand.number:6d}  {hand.side} hand, {age_ms:.0f} ms old, seen by {seen}; wrist {wrist}; index tip {tip} hands"


def main(arguments: Sequence[str] | None = None) -> int:
    stop = Stop()
    settings = tyro.cli(Settings, args=arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: setattr(stop, "asked", True))
    try:
        print(listen(settings, stop), file=sys.stderr)
    except UserError as error:
        print(f"tools.listen: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
