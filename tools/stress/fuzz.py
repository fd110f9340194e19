"""Messages that are nearly right, by the hundred thousand, into all that reads from a socket: nothing escapes, nothing grows.

python -m tools.stress.fuzz --messages 100000 --seed 1

Each message is a good one to which some of what goes wrong has been done: bytes changed, cut, doubled and moved, fields of other
types and sizes, parts missing or exchanged. Now and then a good pair is sent between them and must come out. Exit code 1 if not.
"""

import base64
import contextlib
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import psutil
import tyro

from capture import wire
from capture.clock import RemoteClock
from capture.intake import Intake
from capture.sources import lerobot
from capture.sources.pattern import PatternSource
from capture.transport.probing import read_answer, read_question
from capture.views import VIEWS, PerView, View

_CHECK_EVERY = 500
"""Messages between two good pairs."""
_EDGES = [0, 1, -1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 8192, 8193, 65535, 65536]
_ODD: list[Any] = [
    None,
    True,
    "",
    "left",
    "x" * 600,
    b"",
    b"\0" * 50,
    1.5,
    -0.0,
    float("nan"),
    float("inf"),
    [],
    [[]],
    {},
    {"kind": 1},
]
_GROWTH_MB = 20

Message = list[bytes]


@dataclass
class Settings:
    """Fuzz the receiving side."""

    messages: int = 100_000
    seed: int = 1
    json: bool = False
    """Print figures for programs."""


@dataclass
class Outcome:
    """What came of it."""

    messages: int = 0
    seconds: float = 0.0
    refused: int = 0
    """Counted as malformed."""
    pairs: int = 0
    """Of the good pairs that were sent in between."""
    missing: int = 0
    """Those that did not come out."""
    growth_mb: float = 0.0
    escaped: list[str] = field(default_factory=list)
    """Exceptions that were not caught where they should have been, the first few."""

    @property
    def broken(self) -> bool:
        return bool(self.escaped or self.missing or self.growth_mb > _GROWTH_MB)


class Mutator:
    """Makes messages that are nearly right."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        image = PatternSource(64, 48, 60, paced=False).picture(77)
        self._good: list[tuple[View, Message]] = []
        for view in VIEWS:
            for format in ("jpeg", "rgb8", "gray8"):
                self._good.append((view, wire.encode(view, 5, 10**9, image, format, 60.0, 5611)))
            self._good.append((view, wire.encode_end(view, 9, "unplugged")))
        coded = base64.b64encode(self._good[0][1][2]).decode()
        self._lerobot = json.dumps({"timestamps": {"head": 1.7e9}, "images": {"head": coded}}).encode()
        self._probe = msgspec.msgpack.encode({"kind": "probe", "version": 1, "number": 7})
        self._answer = msgspec.msgpack.encode({"kind": "clock", "version": 1, "number": 7, "clock_ns": 10**15})

    def message(self) -> tuple[View, Message]:
        """The view on whose socket it comes, and its parts."""
        view, good = self._chance.choice(self._good)
        message = list(good)
        for _ in range(self._chance.choice((1, 1, 1, 2, 3, 8))):
            self._chance.choice((self._in_a_part, self._in_a_part, self._in_a_field, self._in_a_field, self._of_parts))(message)
        return view, message

    def text(self) -> bytes:
        return self._bytes(self._lerobot)

    def question(self) -> bytes:
        return self._bytes(self._probe)

    def answer(self) -> bytes:
        return self._bytes(self._answer)

    def _in_a_part(self, message: Message) -> None:
        if message:
            at = self._chance.randrange(len(message))
            message[at] = self._bytes(message[at])

    def _in_a_field(self, message: Message) -> None:
        """Change one value of the header, whose msgpack stays sound."""
        if len(message) < 2:
            return
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, msgspec.ValidationError):
            fields = msgspec.msgpack.decode(message[1])
            if not isinstance(fields, dict) or not fields:
                return
            name = self._chance.choice(list(fields))
            match self._chance.randrange(4):
                case 0:
                    del fields[name]
                case 1:
                    fields[self._chance.choice(["extra", "Kind", name + "_"]) if isinstance(name, str) else "x"] = 1
                case 2:
                    fields[name] = self._chance.choice(_EDGES)
                case _:
                    fields[name] = self._chance.choice(_ODD)
            with contextlib.suppress(OverflowError):
                message[1] = msgspec.msgpack.encode(fields)

    def _of_parts(self, message: Message) -> None:
        at = self._chance.randrange(len(message) + 1)
        match self._chance.randrange(4):
            case 0 if message:
                del message[at - 1]
            case 1:
                message.insert(at, self._chance.randbytes(self._chance.choice((0, 1, 4, 5000))))
            case 2 if message:
                message.insert(at, self._chance.choice(message))
            case _:
                self._chance.shuffle(message)

    def _bytes(self, good: bytes) -> bytes:
        data = bytearray(good)
        for _ in range(self._chance.choice((1, 1, 2, 4, 16))):
            at = self._chance.randrange(len(data) + 1)
            match self._chance.randrange(6):
                case 0 if data:
                    data[at - 1] ^= 1 << self._chance.randrange(8)
                case 1 if data:
                    data[at - 1] = self._chance.choice((0, 0x7F, 0x80, 0xC1, 0xFF, self._chance.randrange(256)))
                case 2:
                    del data[at:]
                case 3:
                    data[at:at] = self._chance.randbytes(self._chance.randrange(1, 9))
                case 4:
                    end = at + self._chance.randrange(1, 40)
                    data[at:at] = data[at:end]
                case _:
                    del data[at : at + self._chance.randrange(1, 9)]
        return bytes(data)


class Receiver:
    """All that reads from a socket, without the sockets."""

    def __init__(self) -> None:
        self._clock = RemoteClock()
        self._intake = self._new()
        self._seq = 0
        self._now_ns = 10**12
        self._image = PatternSource(64, 48, 60, paced=False).picture(1)
        self.refused = 0

    def take(self, view: View, message: Sequence[bytes]) -> None:
        self._seq += 1
        before = self._intake.drops["malformed"]
        self._intake.take(view, [message], self._seq)
        self.refused += self._intake.drops["malformed"] - before
        if not all(self._intake.wants(each) for each in VIEWS):
            # A message may say that its view is at its end: that is no error.
            self._intake = self._new()

    def pair_comes_out(self) -> bool:
        """Send a good pair, and see."""
        pairs = []
        self._now_ns += 10**11
        for step in range(3):
            self._seq += 1
            for view in VIEWS:
                message = wire.encode(view, self._seq, self._now_ns + step * 10**7, self._image, "jpeg")
                pairs += self._intake.take(view, [message], self._seq)
        return bool(pairs)

    def _new(self) -> Intake:
        return Intake(PerView("left", "right"), newest=True, started_ns=0, silence_ns=2**62, tolerance_ns=10**6)


def fuzz(settings: Settings, on_message: Callable[[], object] = lambda: None) -> Outcome:
    """Run it all."""
    mutator, receiver, outcome = Mutator(settings.seed), Receiver(), Outcome()
    process = psutil.Process()
    started, warm_mb = time.monotonic(), 0.0
    with _silent_stderr():
        for number in range(settings.messages):
            outcome.messages += 1
            for what, step in _steps(mutator, receiver, number):
                try:
                    step()
                except Exception as error:  # that one escapes is what this is looking for
                    if len(outcome.escaped) < 10:
                        outcome.escaped.append(f"message {number}, {what}: {type(error).__name__}: {error}")
            if number % _CHECK_EVERY == _CHECK_EVERY - 1:
                outcome.pairs += 1
                outcome.missing += not receiver.pair_comes_out()
            if number == settings.messages // 5:
                warm_mb = process.memory_info().rss / 2**20
            on_message()
    outcome.seconds = time.monotonic() - started
    outcome.refused = receiver.refused
    outcome.growth_mb = round(process.memory_info().rss / 2**20 - warm_mb, 1)
    return outcome


def _steps(mutator: Mutator, receiver: Receiver, number: int) -> Iterator[tuple[str, Callable[[], object]]]:
    view, message = mutator.message()
    yield "wire", lambda: receiver.take(view, message)
    # The other readers are simpler, and get a share.
    if number % 10 == 0:
        question, answer, text = mutator.question(), mutator.answer(), mutator.text()
        yield "clock's question", lambda: read_question(question)
        yield "clock's answer", lambda: read_answer(answer)
        yield "LeRobot", lambda: _read_lerobot(text)


def _read_lerobot(text: bytes) -> None:
    with contextlib.suppress(lerobot.MessageError):
        for name, image in lerobot.read(text).images.items():
            lerobot.decode(image)
            assert isinstance(name, str)


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Without libjpeg's complaints, which it writes itself, one for each damaged image."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def main(settings: Settings) -> int:
    outcome = fuzz(settings)
    if settings.json:
        print(msgspec.json.encode(outcome).decode())
    else:
        print(
            f"{outcome.messages} messages in {outcome.seconds:.0f} s, {outcome.refused} refused; "
            f"{outcome.pairs} good pairs in between, {outcome.missing} missing; "
            f"memory grew by {outcome.growth_mb:.1f} MB; {len(outcome.escaped)} exceptions escaped"
        )
        print(*outcome.escaped, sep="\n", end="\n" if outcome.escaped else "")
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Settings)))
