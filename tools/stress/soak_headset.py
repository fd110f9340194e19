"""How the camera of a soak misbehaves: a feed with keys and a clock of its own, in a process that is controlled over a pipe."""

import multiprocessing
import random
import socket
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import msgspec

from capture import wire
from capture.process import forkserver_context
from capture.sources.pattern import PatternSource
from capture.transport.keys import load_keys
from capture.transport.publisher import Publisher
from capture.views import View

Mischief = Literal["late", "duplicated", "reordered", "corrupted", "oversized", "stalled", "clock step"]
VIEW: View = "right"
_FRAMES = 10
"""Frames that are altered, for each kind."""
_LATE_NS = 150_000_000
_STALL_NS = 800_000_000
_HEADSET_UP_NS = 10**15
"""Uptime of the headset, by its own clock."""

Message = list[bytes]


class Mischievous:
    """Which messages are sent in place of each message. Pure: time and random numbers are given."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._kind: Mischief | None = None
        self._left = 0
        self._held: list[tuple[int, Message]] = []
        self._stalled_until_ns = 0

    def begin(self, kind: Mischief, now_ns: int) -> None:
        """Alter the next frames in this way."""
        self._kind, self._left = kind, 1 if kind == "oversized" else _FRAMES
        if kind == "stalled":
            self._left, self._stalled_until_ns = 0, now_ns + _STALL_NS

    @property
    def over(self) -> bool:
        return not self._left and not self._held and not self._stalled_until_ns

    def __call__(self, message: Message, now_ns: int) -> Iterator[Message]:
        """The messages to send now that `message` is due."""
        if now_ns < self._stalled_until_ns:
            return
        self._stalled_until_ns = 0
        if not self._left:
            yield message
        else:
            self._left -= 1
            yield from self._instead(message, now_ns)
        due = [held for held in self._held if held[0] <= now_ns]
        self._held = [held for held in self._held if held[0] > now_ns]
        yield from (held for _, held in due)

    def _instead(self, message: Message, now_ns: int) -> Iterator[Message]:
        match self._kind:
            case "late":
                self._held.append((now_ns + self._chance.randrange(_LATE_NS // 3, _LATE_NS), message))
            case "reordered":
                # Every second one comes after its successor.
                if self._left % 2:
                    self._held.append((now_ns + 1, message))
                else:
                    yield message
            case "duplicated":
                yield from (message, message)
            case "corrupted":
                yield corrupted(message, self._chance)
            case "oversized":
                yield [*message[:2], bytes(wire.PAYLOAD_LIMIT + 1)]
            case _:
                yield message


def corrupted(message: Message, chance: random.Random) -> Message:
    """The message, damaged so that it is invalid."""
    topic, header, payload = message
    fields = msgspec.msgpack.decode(header)
    return chance.choice(
        [
            [topic, header[: chance.randrange(len(header))], payload],
            [topic, header, payload[: chance.randrange(len(payload))]],
            [topic, header],
            [topic, header, payload, b""],
            [topic, msgspec.msgpack.encode(fields | {"width": fields["width"] + 1}), payload],
            [topic, msgspec.msgpack.encode(fields | {"version": 99}), payload],
            [topic, bytes(wire.HEADER_LIMIT + 1), payload],
            [topic, chance.randbytes(len(header)), payload],
        ]
    )


def run(control: Connection, endpoint: str, folder: Path, size: tuple[int, int], fps: float, seed: int) -> None:
    """Publish until `control` gives None; it also gives kinds of mischief, and "refused" asks how many connections were."""
    offset_ns = _HEADSET_UP_NS
    mischievous, stop = Mischievous(random.Random(seed)), threading.Event()
    publisher = Publisher(
        endpoint,
        lossless=False,
        keys=load_keys(folder),
        clock=f"{endpoint.rpartition(':')[0]}:*",
        clock_ns=lambda: time.monotonic_ns() + offset_ns,
    )
    reported = True
    try:
        for seq, captured_ns, image in PatternSource(*size, fps, paced=True).frames(time.monotonic_ns()):
            while control.poll(0):
                order = control.recv()
                if order is None:
                    return
                if order == "refused":
                    control.send(publisher.refused)
                elif order[0] == "clock step":
                    offset_ns += order[1]
                    control.send("over")
                else:
                    mischievous.begin(order[0], time.monotonic_ns())
                    reported = False
            stamped_ns = captured_ns + offset_ns
            message = wire.encode(VIEW, seq, stamped_ns, image, "rgb8", clock_port=publisher.clock_port)
            for each in mischievous(message, time.monotonic_ns()):
                publisher.send(each, stop)
            if mischievous.over and not reported:
                reported = True
                control.send("over")
    except (EOFError, ConnectionError):
        return
    finally:
        publisher.close()


class Headset:
    """The misbehaving feed's process, which may be killed and started again."""

    def __init__(self, folder: Path, size: tuple[int, int], fps: float, seed: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._folder, self._size, self._fps, self._seed = folder, size, fps, seed
        self._refused = 0
        self.start()

    @property
    def endpoint(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._seed += 1
        self._control, theirs = multiprocessing.Pipe()
        arguments = (theirs, self.endpoint, self._folder, self._size, self._fps, self._seed)
        self._process = forkserver_context().Process(target=run, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def order(self, *what: object) -> None:
        self._control.send(what)

    def over(self) -> bool:
        """Whether the last order has been carried out."""
        if not self._control.poll(0):
            return False
        self._control.recv()
        return True

    def refused(self) -> int:
        """Connections that it refused since the first start; not to be asked while an order is carried out."""
        self._control.send("refused")
        return self._refused + self._control.recv()

    def kill(self) -> None:
        self._refused = self.refused()
        self._process.kill()
        self._process.join()

    def close(self) -> None:
        self._control.send(None)
        self._process.join(5)
        self._process.kill()
