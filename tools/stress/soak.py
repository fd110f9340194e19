"""Two cameras for a long time, and something goes wrong every few seconds: what the stream does about it.

python -m tools.stress.soak --seconds 600 --seed 1

The left camera is a process of the stream's own, the right one a feed with keys and a clock of its own. Both show the number of
their period, so that a pair of two numbers is a wrong one. Exit code 1 where a law is broken: memory stays flat, no pair is
wrong, each fault shows in the counters, and both views are back to normal within a second.
"""

import json
import multiprocessing
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import psutil
import tyro
import zmq

from capture.frames import FramePair
from capture.process import warm_context
from capture.sources.pattern import read_number
from capture.stream import PairStream
from capture.transport.keys import Keys, load_keys, make_keys, secure_client
from capture.views import PerView
from tools.stress.soak_headset import Mischief, run

Fault = Mischief | Literal["left killed", "left frozen", "feed killed", "stranger", "garbage"]
FAULTS: tuple[Fault, ...] = (
    *get_args(Mischief),
    *("left killed", "left frozen", "feed killed", "stranger", "garbage"),
)
SHOWS: dict[Fault, tuple[str, ...]] = {
    "late": ("late", "no_partner", "out_of_tolerance"),
    "duplicated": ("late", "superseded"),
    "reordered": ("late", "superseded"),
    "corrupted": ("malformed",),
    "oversized": ("malformed",),
    "stalled": ("right_absent",),
    "clock step": ("right_clock_steps",),
    "left killed": ("left_restarts",),
    "left frozen": ("left_absent",),
    "feed killed": ("right_absent",),
    "stranger": ("refused",),
    "garbage": ("refused",),
}
"""The counters of which one at least must rise."""
_WINDOW_S = 0.25
_NORMAL_SHARE = 2 / 3
"""Service is normal while so many of the pairs that are due in a window come, of both views."""
_GIVEN_UP_S = 20.0
_RESPAWN_S = 0.7
_PAUSE_S = 0.8


@dataclass
class Settings:
    """Soak the transport."""

    seconds: float = 600.0
    seed: int = 1
    fps: float = 60.0
    size: tuple[int, int] = (320, 240)
    every_s: tuple[float, float] = (2.0, 5.0)
    """From one fault's end to the next fault, at least and at most."""
    json: bool = False
    """Print figures for programs, not a table."""


@dataclass
class Event:
    """One fault and what came of it."""

    fault: Fault
    at_s: float
    recovered_s: float
    """From the fault's end until service was normal again."""
    shown: dict[str, int]
    """Counters that rose."""


@dataclass
class Outcome:
    """What the whole run came to."""

    seconds: float = 0.0
    pairs: int = 0
    alone: int = 0
    """Pairs of one view and a stand-in."""
    wrong: int = 0
    first_wrong: list[str] = field(default_factory=list)
    """What is known of the first few."""
    events: list[Event] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    """Resident, of the receiving process, once a second."""
    counters: dict[str, int] = field(default_factory=dict)
    clock: str = ""

    @property
    def settled_mb(self) -> tuple[float, float]:
        """Mean of the first and of the last fifth, after a fifth to settle."""
        fifth = max(1, len(self.memory_mb) // 5)
        return float(np.median(self.memory_mb[fifth : 2 * fifth])), float(np.median(self.memory_mb[-fifth:]))

    @property
    def broken(self) -> list[str]:
        """A sentence for each law that does not hold."""
        first, last = self.settled_mb
        laws = [
            (abs(last - first) <= 20, f"memory went from {first:.0f} to {last:.0f} MB"),
            (self.wrong == 0, f"{self.wrong} pairs are wrong: {'; '.join(self.first_wrong)}"),
            (self.pairs > 0, "no pair came"),
        ]
        for event in self.events:
            what = f"{event.fault} at {event.at_s:.1f} s"
            laws.append((bool(set(event.shown) & set(SHOWS[event.fault])), f"{what} shows in no counter"))
            laws.append((event.recovered_s <= 1.0, f"{what}: normal again only after {event.recovered_s:.2f} s"))
        return [sentence for holds, sentence in laws if not holds]


class Headset:
    """The misbehaving feed's process, which may be killed and started again."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._folder, self._settings = folder, settings
        self._refused = 0
        self._started = 0
        self.start()

    @property
    def endpoint(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._started += 1
        self._control, theirs = multiprocessing.Pipe()
        arguments = (
            theirs,
            self.endpoint,
            self._folder,
            self._settings.size,
            self._settings.fps,
            self._settings.seed + self._started,
        )
        self._process = warm_context().Process(target=run, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def order(self, *what: object) -> None:
        self._control.send(what)

    def over(self) -> bool:
        """Whether the last order is done."""
        if not self._control.poll(0):
            return False
        self._control.recv()
        return True

    def refused(self) -> int:
        """Connections that it refused, over all its lives; to be asked while no order is being done."""
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


class Soak:
    """One run: reads all pairs, and lets one fault follow the other."""

    def __init__(self, settings: Settings, stream: PairStream, headset: Headset, stranger: Keys, feed_key: bytes) -> None:
        self.outcome = Outcome()
        self._settings = settings
        self._stream = stream
        self._headset = headset
        self._stranger, self._feed_key = stranger, feed_key
        self._chance = random.Random(settings.seed)
        self._started = time.monotonic()
        self._recent: deque[float] = deque()
        """When complete pairs came, over the last window."""
        self._sampled = 0.0
        self._fault: Fault | None = None
        """That is being done, or recovered from."""

    def run(self, on_second: Callable[[], object]) -> Outcome:
        faults: list[Fault] = []
        self._until(lambda: self._normal, _GIVEN_UP_S)
        self._started = time.monotonic()
        while self._at_s < self._settings.seconds - 2:
            if not faults:
                faults = self._chance.sample(FAULTS, len(FAULTS))
            wait_s = min(self._chance.uniform(*self._settings.every_s), self._settings.seconds - self._at_s)
            self._for(wait_s)
            self._suffer(faults.pop())
            on_second()
        self._for(max(0.0, self._settings.seconds - self._at_s))
        self.outcome.seconds = self._at_s
        self.outcome.counters = dict(self._counters())
        self.outcome.clock = str(self._stream.clocks.get("right", "not known"))
        return self.outcome

    @property
    def _at_s(self) -> float:
        return time.monotonic() - self._started

    @property
    def _normal(self) -> bool:
        now = time.monotonic()
        while self._recent and self._recent[0] < now - _WINDOW_S:
            self._recent.popleft()
        return len(self._recent) >= _NORMAL_SHARE * _WINDOW_S * self._settings.fps

    def _suffer(self, fault: Fault) -> None:
        """Do one thing wrong, and wait until all is well again."""
        before, at_s = self._counters(), self._at_s
        self._fault = fault
        self._begin(fault)
        ended = time.monotonic()
        # Service of before the fault says nothing of what comes after it.
        self._recent.clear()
        self._until(lambda: self._normal, _GIVEN_UP_S)
        recovered_s = max(0.0, time.monotonic() - ended - _WINDOW_S)
        # What it leaves in the counters may come a moment later.
        self._until(lambda: any((self._counters() - before)[name] for name in SHOWS[fault]), 1.0)
        self._fault = None
        self.outcome.events.append(Event(fault, at_s, recovered_s, dict(self._counters() - before)))

    def _begin(self, fault: Fault) -> None:
        """Do it, until it is over."""
        match fault:
            case "clock step":
                step_s = self._chance.choice([-1, 1]) * self._chance.uniform(2, 3600)
                self._headset.order(fault, round(step_s * 1e9))
                self._until(self._headset.over, _GIVEN_UP_S)
            case "left killed":
                os.kill(self._left_pid(), signal.SIGKILL)
            case "left frozen":
                pid = self._left_pid()
                os.kill(pid, signal.SIGSTOP)
                self._for(_PAUSE_S)
                os.kill(pid, signal.SIGCONT)
            case "feed killed":
                self._headset.kill()
                self._for(_RESPAWN_S)
                self._headset.start()
            case "stranger":
                self._knock(lambda peer: secure_client(peer, self._stranger, self._feed_key))
                self._knock(lambda peer: None)
            case "garbage":
                with socket.create_connection(("127.0.0.1", self._headset.port)) as peer:
                    peer.sendall(b"GET / HTTP/1.1\r\nHost: headset\r\n\r\n" + self._chance.randbytes(1000))
                    self._for(0.2)
            case _:
                self._headset.order(fault)
                self._until(self._headset.over, _GIVEN_UP_S)

    def _knock(self, secure: Callable[[zmq.Socket], None]) -> None:
        """A receiver that is not on the list: it must get nothing."""
        with zmq.Context() as context, context.socket(zmq.SUB) as peer:
            peer.linger = 0
            secure(peer)
            peer.subscribe(b"")
            peer.connect(self._headset.endpoint)
            self._for(0.3)
            assert not peer.poll(0), "a stranger was served"

    def _left_pid(self) -> int:
        (left,) = (child for child in multiprocessing.active_children() if child.name == "duohand-left")
        return left.pid or 0

    def _counters(self) -> Counter[str]:
        return Counter({**self._stream.drops, **self._stream.faults, "refused": self._refused()})

    def _refused(self) -> int:
        return self._headset.refused()

    def _for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._until(lambda: time.monotonic() >= end, seconds + 1)

    def _until(self, done: Callable[[], bool], most_s: float) -> None:
        """Read pairs until it is done, or for so long."""
        deadline = time.monotonic() + most_s
        while not done() and time.monotonic() < deadline:
            pair = self._stream.next_pair(0.02)
            if pair is not None:
                self._look_at(pair)
            elif self._stream.ended:
                raise SystemExit(f"the stream ended: {self._stream.failure}")

    def _look_at(self, pair: FramePair) -> None:
        now = time.monotonic()
        if pair.complete:
            self._recent.append(now)
            self.outcome.pairs += 1
            self._check(pair)
        else:
            self.outcome.alone += 1
        if now - self._sampled >= 1:
            self._sampled = now
            self.outcome.memory_mb.append(psutil.Process().memory_info().rss / 2**20)

    def _check(self, pair: FramePair) -> None:
        left, right = read_number(pair.left.image), read_number(pair.right.image)
        if left == right:
            return
        self.outcome.wrong += 1
        if len(self.outcome.first_wrong) < 10:
            after = self.outcome.events[-1].fault if self.outcome.events else "the start"
            told = f"left {left} with right {right}, {pair.skew_ns / 1e6:.1f} ms apart, during or after {self._fault or after}"
            self.outcome.first_wrong.append(f"{self._at_s:.1f} s: {told}; {self._stream.clocks.get('right')}")


def soak(settings: Settings, on_second: Callable[[], object] = lambda: None) -> Outcome:
    """Run it all; leaves no process and no file."""
    with tempfile.TemporaryDirectory(prefix="duohand-soak-") as directory:
        keys = {name: make_keys(Path(directory) / name) for name in ("headset", "desk", "stranger")}
        for owner, peer in (("headset", "desk"), ("desk", "headset")):
            (Path(directory) / owner / "peers" / f"{peer}.key").write_bytes((keys[peer].folder / "own.key").read_bytes())
        headset = Headset(keys["headset"].folder, settings)
        width, height = settings.size
        sources = PerView(f"pattern?size={width}x{height}&rate={settings.fps:g}", headset.endpoint)
        try:
            with PairStream(sources, keys=load_keys(keys["desk"].folder)) as stream:
                return Soak(settings, stream, headset, keys["stranger"], keys["headset"].public).run(on_second)
        finally:
            headset.close()


def table(outcome: Outcome) -> str:
    """The outcome for a person."""
    lines = [f"{'fault':<13}{'times':>5}  {'normal again after (median, worst)':<36}counters that rose"]
    for fault in FAULTS:
        events = [event for event in outcome.events if event.fault == fault]
        if events:
            took = [event.recovered_s for event in events]
            rose = ", ".join(f"{name} {count}" for name, count in sum((Counter(e.shown) for e in events), Counter()).items())
            lines.append(f"{fault:<13}{len(events):>5}  {f'{np.median(took):.2f} s, {max(took):.2f} s':<36}{rose}")
    first, last = outcome.settled_mb
    due = outcome.pairs / outcome.seconds if outcome.seconds else 0
    lines += [
        f"{outcome.seconds:.0f} s, {outcome.pairs} pairs of both views ({due:.1f}/s), {outcome.alone} of one view, "
        f"{outcome.wrong} wrong",
        f"load of this machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
        f"memory {first:.0f} to {last:.0f} MB, most {max(outcome.memory_mb):.0f} MB",
        f"the feed's {outcome.clock}",
    ]
    return "\n".join([*lines, *(f"BROKEN: {sentence}" for sentence in outcome.broken)])


def main(settings: Settings) -> int:
    from tqdm import tqdm

    with tqdm(desc="soak", unit=" faults", disable=settings.json or None) as bar:
        outcome = soak(settings, bar.update)
    figures: dict[str, Any] = asdict(outcome) | {"settled_mb": outcome.settled_mb, "broken": outcome.broken}
    print(json.dumps(figures) if settings.json else table(outcome))
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Settings)))
