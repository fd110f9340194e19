"""A stream's queue: what its stream cannot take is displaced by what is newer, and a failure is told once to who gives hands."""

import threading

import pytest

from runtime.outputs.hand_message import HandMessage
from runtime.outputs.queued_output import QUEUED, QueuedOutput
from tests.runtime.dual_hands import dual_hand, frame_pair


class Slow:
    """Takes one hand, and no other before it is let go."""

    missed = 0

    def __init__(self, error: OSError | None = None) -> None:
        self.taken: list[int] = []
        self.holding, self.let_go = threading.Event(), threading.Event()
        self.closed = False
        self._error = error

    def send(self, message: HandMessage) -> None:
        self.holding.set()
        assert self.let_go.wait(20)
        if self._error:
            raise self._error
        self.taken.append(message.number)

    def close(self) -> None:
        self.closed = True


def give(output: QueuedOutput, count: int) -> None:
    for seq in range(count):
        output.take(frame_pair(seq), [dual_hand(frame_pair(seq))])


def test_the_newest_displace_the_oldest_and_are_counted():
    stream = Slow()
    output = QueuedOutput(stream)
    give(output, 1)
    assert stream.holding.wait(20)
    give(output, 9)
    stream.let_go.set()
    output.close()
    assert stream.taken == [0, *range(10 - QUEUED, 10)]
    assert output.missed == 9 - QUEUED and output.written == f"{1 + QUEUED} hands" and stream.closed


def test_a_broken_stream_is_told_to_who_gives_hands():
    stream = Slow(OSError(28, "No space left on device"))
    stream.let_go.set()
    output = QueuedOutput(stream)
    give(output, 1)
    with pytest.raises(OSError, match="No space left"):
        while True:
            give(output, 1)
    output.close()
    assert stream.closed
