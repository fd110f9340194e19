"""How the stream of two cameras gets over faults: a long run with a fault every few seconds.

python -m tools.stress.soak --seconds 600 --seed 1

The left camera is a process of the stream's own, the right one a feed with keys and a clock of its own. Both show the number of
their period, so a pair with two different numbers is wrong. Exit code 1 where a law is broken: memory stays flat, no pair is
wrong, each fault shows in the counters, and both views are back to normal within a second.
"""

import json
import random
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from capture.frames import FramePair
from capture.sources.pattern import read_number
from capture.stream import PairStream
from capture.transport.keys import Keys, load_keys, make_keys
from capture.views import PerView
from hand import program
from tools.stress.soak_faults import FAULTS, GIVEN_UP_S, SHOWS, Fault, Faults
from tools.stress.soak_headset import Headset
from tools.stress.soak_report import Event, Outcome, table

_WINDOW_S = 0.25
_NORMAL_SHARE = 2 / 3
"""Service is normal while at least this share of the pairs due in a window is received, with both views."""


@dataclass
class Settings:
    """Cause one fault after another in a stream of two cameras."""

    seconds: float = 600.0
    seed: int = 1
    fps: float = 60.0
    size: tuple[int, int] = (320, 240)
    every_s: tuple[float, float] = (2.0, 5.0)
    """From one fault's end to the next fault, at least and at most."""
    faults: int | None = None
    """Stop after so many faults, whatever time they take."""
    json: bool = False
    """Print figures for programs, not a table."""


class Soak:
    """One run: reads all pairs and causes one fault after the other."""

    def __init__(self, settings: Settings, stream: PairStream, headset: Headset, stranger: Keys, feed_key: bytes) -> None:
        self.outcome = Outcome()
        self._settings = settings
        self._stream = stream
        self._headset = headset
        self._chance = random.Random(settings.seed)
        self._faults = Faults(self._chance, headset, stranger, feed_key, self._for, self._until)
        self._started = time.monotonic()
        self._recent: deque[float] = deque()
        """When complete pairs were received, over the last window."""
        self._sampled = 0.0
        self._fault: Fault | None = None
        """That is being caused or recovered from."""

    def run(self, on_second: Callable[[], object]) -> Outcome:
        faults: list[Fault] = []
        self._until(lambda: self._normal, GIVEN_UP_S)
        self._started = time.monotonic()
        while self._at_s < self._settings.seconds - 2 and len(self.outcome.events) != self._settings.faults:
            if not faults:
                faults = self._chance.sample(FAULTS, len(FAULTS))
            wait_s = min(self._chance.uniform(*self._settings.every_s), self._settings.seconds - self._at_s)
            self._for(wait_s)
            self._suffer(faults.pop())
            on_second()
        if self._settings.faults is None:
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
        """Cause a fault and wait until service is normal again."""
        before, at_s = self._counters(), self._at_s
        self._fault = fault
        self._faults.cause(fault)
        ended = time.monotonic()
        # Pairs received before the fault do not count as recovery.
        self._recent.clear()
        self._until(lambda: self._normal, GIVEN_UP_S)
        recovered_s = max(0.0, time.monotonic() - ended - _WINDOW_S)
        # Its counters may rise a moment later.
        self._until(lambda: any((self._counters() - before)[name] for name in SHOWS[fault]), 1.0)
        self._fault = None
        self.outcome.events.append(Event(fault, at_s, recovered_s, dict(self._counters() - before)))

    def _counters(self) -> Counter[str]:
        return Counter({**self._stream.drops, **self._stream.faults, "refused": self._headset.refused()})

    def _for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._until(lambda: time.monotonic() >= end, seconds + 1)

    def _until(self, done: Callable[[], bool], most_s: float) -> None:
        """Read pairs until `done`, for `most_s` at most."""
        deadline = time.monotonic() + most_s
        while not done() and time.monotonic() < deadline:
            pair = self._stream.next_pair(0.02)
            if pair is not None:
                self._take(pair)
            elif self._stream.ended:
                raise SystemExit(f"the stream ended: {self._stream.failure}")

    def _take(self, pair: FramePair) -> None:
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
    """One run; leaves no process and no file."""
    with tempfile.TemporaryDirectory(prefix="duohand-soak-") as directory:
        keys = {name: make_keys(Path(directory) / name) for name in ("headset", "desk", "stranger")}
        for owner, peer in (("headset", "desk"), ("desk", "headset")):
            (Path(directory) / owner / "peers" / f"{peer}.key").write_bytes((keys[peer].folder / "own.key").read_bytes())
        headset = Headset(keys["headset"].folder, settings.size, settings.fps, settings.seed)
        width, height = settings.size
        sources = PerView(f"pattern?size={width}x{height}&rate={settings.fps:g}", headset.endpoint)
        try:
            with PairStream(sources, keys=load_keys(keys["desk"].folder)) as stream:
                return Soak(settings, stream, headset, keys["stranger"], keys["headset"].public).run(on_second)
        finally:
            headset.close()


def main(settings: Settings) -> int:
    from tqdm import tqdm

    with tqdm(desc="soak", unit=" faults", disable=settings.json or None) as bar:
        outcome = soak(settings, bar.update)
    figures: dict[str, Any] = asdict(outcome) | {"settled_mb": outcome.settled_mb, "broken": outcome.broken}
    print(json.dumps(figures) if settings.json else table(outcome))
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    program.run(main, Settings)
