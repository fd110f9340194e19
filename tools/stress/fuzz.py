"""What the receiving side makes of 100,000 messages that are nearly valid: nothing escapes, nothing grows.

python -m tools.stress.fuzz --messages 100000 --seed 1

Hypothesis draws how messages are altered (`near_valid`): bytes changed, cut, inserted and doubled, fields of other types and
sizes, parts missing or moved. Each alteration is made to a good message of every kind. Between them good pairs are sent and must
come out. An exception is reduced by Hypothesis to its shortest message. Exit code 1 where a law is broken.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import psutil

from capture import wire
from capture.clock import RemoteClock
from capture.frame_receiver import FrameReceiver
from capture.sources import lerobot
from capture.sources.pattern import PatternSource
from capture.transport.probing import read_answer, read_question
from capture.views import VIEWS, PerView, View
from hand import program
from hand.errors import UserError

_CHECK_EVERY = 500
"""Messages between two good pairs, at least."""
_GROWTH_MB = 20
_MAX_ESCAPED = 3


@dataclass
class Settings:
    """Send nearly valid messages to the receiving side."""

    messages: int = 100_000
    seed: int = 1
    json: bool = False
    """Print figures for programs."""


@dataclass
class Outcome:
    """Figures of a run."""

    messages: int = 0
    seconds: float = 0.0
    refused: int = 0
    """Counted as malformed."""
    pairs: int = 0
    """Good pairs that were sent between the messages."""
    missing: int = 0
    """Good pairs that did not come out."""
    growth_mb: float = 0.0
    escaped: list[str] = field(default_factory=list)
    """Uncaught exceptions, the first few, each with the alteration that Hypothesis reduced it to."""

    @property
    def broken(self) -> bool:
        return bool(self.escaped or self.missing or self.growth_mb > _GROWTH_MB)


class Receiver:
    """The receiving side of a stream without its sockets."""

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
            # A message may validly say that its view has ended.
            self._intake = self._new()

    def pair_comes_out(self) -> bool:
        """Whether a good pair that is sent now comes out."""
        pairs = []
        self._now_ns += 10**11
        for step in range(3):
            self._seq += 1
            for view in VIEWS:
                message = wire.encode(view, self._seq, self._now_ns + step * 10**7, self._image, "jpeg")
                pairs += self._intake.take(view, [message], self._seq)
        return bool(pairs)

    def _new(self) -> FrameReceiver:
        return FrameReceiver(PerView("left", "right"), newest=True, started_ns=0, silence_ns=2**62, tolerance_ns=10**6)


def fuzz(settings: Settings, on_messages: Callable[[int], object] = lambda count: None) -> Outcome:
    """Send all messages. Raises UserError where Hypothesis is missing."""
    try:
        import hypothesis
    except ImportError as error:
        raise UserError("fuzzing needs Hypothesis, which is not installed: pip install '.[dev]'") from error
    from tools.stress import near_valid

    receiver, outcome, process = Receiver(), Outcome(), psutil.Process()
    started, warm_mb = time.monotonic(), 0.0

    @hypothesis.settings(
        max_examples=-(-_CHECK_EVERY // len(near_valid.GOOD)),
        database=None,
        deadline=None,
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        suppress_health_check=(hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large),
    )
    @hypothesis.given(near_valid.steps, near_valid.edits)
    def send(steps: list[near_valid.Step], edits: list[near_valid.Edit]) -> None:
        for good in near_valid.GOOD:
            outcome.messages += 1
            receiver.take(*near_valid.altered(good, steps))
        read_question(near_valid.edited(near_valid.GOOD_QUESTION, edits))
        read_answer(near_valid.edited(near_valid.GOOD_ANSWER, edits))
        _read_lerobot(near_valid.edited(near_valid.GOOD_LEROBOT, edits))

    with _silent_stderr():
        # A run of its own between any two good pairs: Hypothesis remembers what it drew in a run.
        while outcome.messages < settings.messages and len(outcome.escaped) < _MAX_ESCAPED:
            before = outcome.messages
            try:
                hypothesis.seed(f"{settings.seed} {outcome.pairs}")(send)()
            except Exception as error:  # that one escapes is what this is looking for
                note = " ".join(" ".join(getattr(error, "__notes__", ())).split())
                outcome.escaped.append(f"{type(error).__name__}: {error}; {note}")
            outcome.pairs += 1
            outcome.missing += not receiver.pair_comes_out()
            if before <= settings.messages // 5:
                warm_mb = process.memory_info().rss / 2**20
            on_messages(outcome.messages - before)
    outcome.seconds = time.monotonic() - started
    outcome.refused = receiver.refused
    outcome.growth_mb = round(process.memory_info().rss / 2**20 - warm_mb, 1)
    return outcome


def _read_lerobot(text: bytes) -> None:
    with contextlib.suppress(lerobot.MessageError):
        for name, image in lerobot.read(text).images.items():
            lerobot.decode(image)
            assert isinstance(name, str)


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Without libjpeg's warnings, which it writes itself, one for each damaged image."""
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
    from tqdm import tqdm

    with tqdm(desc="fuzz", unit=" messages", total=settings.messages, disable=settings.json or None) as bar:
        outcome = fuzz(settings, bar.update)
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
    program.run(main, Settings)
