"""`--publish`: every merged hand as one msgpack message, as `capture/PROTOCOL.md` describes."""

import msgspec
import zmq

from capture.frames import FramePair
from capture.transport.keys import Keys
from capture.transport.latest_publisher import LatestPublisher
from runtime.outputs.hand_line import HandLine, hand_line
from runtime.types import DualHand

VERSION = 1


class PublishedHand(HandLine, frozen=True, kw_only=True, omit_defaults=False):
    """A record of `hands.jsonl` with the message's version and number."""

    version: int = VERSION
    """Of the message's format."""
    number: int = 0
    """Sequence number of published hands, from 0: a gap counts the hands that a slow receiver missed."""


def encode_hand(number: int, line: HandLine) -> bytes:
    """The message."""
    return _encoder.encode({"version": VERSION, "number": number, **msgspec.structs.asdict(line)})


def decode_hand(message: bytes) -> PublishedHand:
    """The hand in a message. Raises msgspec.MsgspecError for a message of another format."""
    return _decoder.decode(message)


class HandPublisher:
    """Publishes each pair's hands; a slow receiver gets the newest."""

    def __init__(self, endpoint: str, keys: Keys | None = None) -> None:
        """Raises UserError where the address cannot be bound, or leaves this host without keys."""
        self._publisher = LatestPublisher(endpoint, keys)
        self._number = 0

    def take(self, pair: FramePair, hands: list[DualHand]) -> None:
        """Publish the hands of a pair. Raises OSError where the address is gone."""
        for hand in hands:
            message = encode_hand(self._number, hand_line(pair, hand, hand.R_right_from_left))
            try:
                self._publisher.send(message)
            except zmq.ZMQError as error:
                raise OSError(error.errno, error.strerror) from error
            self._number += 1

    @property
    def written(self) -> str:
        return f"{self._number} hands"

    def close(self) -> None:
        self._publisher.close()


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PublishedHand)
