"""`--publish`: every merged hand as one msgpack message, as `capture/PROTOCOL.md` describes."""

import msgspec
import zmq

from capture.frames import FramePair
from capture.transport.keys import Keys
from capture.transport.latest_publisher import LatestPublisher
from runtime.outputs.hand_line import hand_line
from runtime.outputs.hand_message import HandMessage, hand_message
from runtime.types import DualHand


def encode_hand(message: HandMessage) -> bytes:
    """The bytes of a message."""
    return _encoder.encode(message)


def decode_hand(message: bytes) -> HandMessage:
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
            message = encode_hand(hand_message(self._number, hand_line(pair, hand, hand.R_right_from_left)))
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
_decoder = msgspec.msgpack.Decoder(HandMessage)
