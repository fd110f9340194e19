"""Which faults a soak causes, by which counters each must show, and how each is caused."""

import multiprocessing
import os
import random
import signal
import socket
from collections.abc import Callable
from typing import Literal, get_args

import zmq

from capture.transport.keys import Keys, secure_client
from tools.stress.soak_headset import Headset, Mischief

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
GIVEN_UP_S = 20.0
_RESPAWN_S = 0.7
_PAUSE_S = 0.8


class Faults:
    """Causes faults; waits by functions that read the stream all the while."""

    def __init__(
        self,
        chance: random.Random,
        headset: Headset,
        stranger: Keys,
        feed_key: bytes,
        wait_for: Callable[[float], None],
        wait_until: Callable[[Callable[[], bool], float], None],
    ) -> None:
        """`stranger`: keys that the feed does not know; `feed_key`: the feed's public key. `wait_for` takes seconds, `wait_until`
        a condition and the most seconds.
        """
        self._chance, self._headset = chance, headset
        self._stranger, self._feed_key = stranger, feed_key
        self._for, self._until = wait_for, wait_until

    def cause(self, fault: Fault) -> None:
        """Returns when the fault is over."""
        match fault:
            case "clock step":
                step_s = self._chance.choice([-1, 1]) * self._chance.uniform(2, 3600)
                self._headset.order(fault, round(step_s * 1e9))
                self._until(self._headset.over, GIVEN_UP_S)
            case "left killed":
                os.kill(_left_pid(), signal.SIGKILL)
            case "left frozen":
                pid = _left_pid()
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
                self._until(self._headset.over, GIVEN_UP_S)

    def _knock(self, secure: Callable[[zmq.Socket], None]) -> None:
        """Connect a receiver that is not on the list; it must get nothing."""
        with zmq.Context() as context, context.socket(zmq.SUB) as peer:
            peer.linger = 0
            secure(peer)
            peer.subscribe(b"")
            peer.connect(self._headset.endpoint)
            self._for(0.3)
            assert not peer.poll(0), "a stranger was served"


def _left_pid() -> int:
    (left,) = (child for child in multiprocessing.active_children() if child.name == "duohand-left")
    return left.pid or 0
