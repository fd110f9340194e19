"""Print the hands that another program publishes: an example of a receiver.

python stream.py --left 0 --right 2 --publish tcp://127.0.0.1:5570
python -m tools.listen tcp://127.0.0.1:5570
"""

import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec
import tyro
import zmq

from capture.connection import Connection, ConnectionMonitor, why_silent
from capture.transport.keys import load_keys
from capture.transport.latest_publisher import subscribe_latest
from hand import program
from hand.joints import JOINTS
from runtime.outputs.hand_message import HandMessage
from runtime.outputs.hand_publisher import decode_hand

_POLL_MS = 100
_PATIENCE_NS = 1_000_000_000
"""Time without a hand after which it is said why none comes."""
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


class Waiting:
    """What to say while no hand comes: each reason once, and once more that the wait for a program is over."""

    def __init__(self, address: str, started_ns: int) -> None:
        self._address = address
        self._since_ns = started_ns
        """The latest hand, or the start."""
        self._said: object = None
        """The latest reason."""
        self._waited = False
        """Whether it was said that nothing listens there."""

    def hand(self, now_ns: int) -> None:
        """Note that a hand has come."""
        self._since_ns, self._said, self._waited = now_ns, Connection.READY, False

    def sentence(self, connection: Connection, invalid: int, now_ns: int) -> str | None:
        """What is to be said now; `invalid` messages have come instead of hands."""
        if connection is Connection.READY and self._waited:
            self._waited, self._said, self._since_ns = False, None, now_ns
            return f"connected to {self._address}"
        reason = "invalid" if connection is Connection.READY and invalid else connection
        if now_ns - self._since_ns < _PATIENCE_NS or reason == self._said:
            return None
        # A program that publishes may see no hand for minutes.
        self._said, self._waited = reason, connection is Connection.WAITING
        if reason == "invalid":
            return (
                f"{self._address} is connected, but sends what is no hand ({invalid} messages so far); give the address that "
                f"was given to --publish"
            )
        if connection is Connection.READY:
            return f"{self._address} is connected, but no message has come yet: hands are sent while one is in view"
        sentence = why_silent(connection, self._address, f"stream.py --publish {self._address}")
        return f"waiting: {sentence}" if connection is Connection.WAITING else sentence


def listen(settings: Settings, stop: Stop) -> str:
    """Print hands until `stop`; returns a summary. Raises UserError for an address that cannot be used."""
    received, missed, last, broken = 0, 0, None, 0
    keys = load_keys(settings.keys) if settings.keys else None
    waiting = Waiting(settings.address, time.monotonic_ns())
    with ExitStack() as stack:
        context = stack.enter_context(zmq.Context())
        monitors: list[ConnectionMonitor] = []
        socket = subscribe_latest(
            context, settings.address, keys, settings.peer, on_socket=lambda made: monitors.append(ConnectionMonitor(made))
        )
        stack.callback(socket.close)
        (monitor,) = monitors
        stack.callback(monitor.close)
        while not stop.asked and (settings.hands is None or received < settings.hands):
            sentence = waiting.sentence(monitor.connection, broken, time.monotonic_ns())
            if sentence is not None:
                print(sentence, file=sys.stderr, flush=True)
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
            now_ns = time.monotonic_ns()
            waiting.hand(now_ns)
            print(line_of(hand, now_ns), flush=True)
    return f"{received} hands, {missed} missed" + f", {broken} invalid messages" * (broken > 0)


def line_of(hand: HandMessage, now_ns: int) -> str:
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
    return program.code_of(lambda: print(listen(settings, stop), file=sys.stderr), prog)


if __name__ == "__main__":
    program.run_line(main)
