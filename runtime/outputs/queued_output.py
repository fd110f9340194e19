"""A stream of hands on a thread of its own with a bounded queue: a slow or dead receiver costs messages, never a tracked hand."""

import threading
from collections import deque
from typing import Protocol

from capture.frames import FramePair
from runtime.outputs.hand_line import hand_line
from runtime.outputs.hand_message import HandMessage, hand_message
from runtime.types import DualHand

QUEUED = 2
"""Messages that wait at most; beyond that the newest displaces the oldest."""
_CLOSING_S = 2.0


class HandStream(Protocol):
    """Sends hands somewhere. Everything is called from one thread but `close`, which comes after the last `send`."""

    @property
    def missed(self) -> int:
        """Messages that a receiver was too slow for."""
        ...

    def send(self, message: HandMessage) -> None:
        """Send one hand; may wait. Raises OSError where nothing can be sent any more."""
        ...

    def close(self) -> None:
        """Finish. May be called again."""
        ...


class QueuedOutput:
    """Passes the hands of each pair to a stream."""

    def __init__(self, stream: HandStream) -> None:
        self._stream = stream
        self._waiting: deque[tuple[int, FramePair, DualHand]] = deque()
        """Number of each hand, its pair, and the hand: what is displaced costs no encoding."""
        self._changed = threading.Condition()
        self._number = self._displaced = 0
        self._failure: OSError | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    def take(self, pair: FramePair, hands: list[DualHand]) -> None:
        """Queue the hands of a pair, never waiting. Raises OSError where the stream has broken off."""
        if self._failure:
            raise self._failure
        for hand in hands:
            with self._changed:
                if len(self._waiting) == QUEUED:
                    self._waiting.popleft()
                    self._displaced += 1
                self._waiting.append((self._number, pair, hand))
                self._number += 1
                self._changed.notify()

    @property
    def written(self) -> str:
        return f"{self._number - self.missed} hands"

    @property
    def missed(self) -> int:
        """Hands that its receivers were too slow for."""
        return self._displaced + self._stream.missed

    def close(self) -> None:
        """Send what waits, and end; a receiver that takes nothing is given two seconds. May be called again."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(_CLOSING_S)
        self._stream.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                number, pair, hand = self._waiting.popleft()
            try:
                self._stream.send(hand_message(number, hand_line(pair, hand, hand.R_right_from_left)))
            except OSError as error:
                self._failure = error
                return
