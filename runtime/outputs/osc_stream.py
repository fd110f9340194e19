"""Hands as OSC bundles over UDP, `osc://127.0.0.1:9000`: for Pure Data, Max, TouchDesigner, SuperCollider, VCV Rack.

One bundle a hand, with the time of the capture as its time tag:

    /duohand/right/number  i          counts hands from 0
    /duohand/right/wrist   f f f      mm, left camera's axes (x right, y down, z forward); left out until its place is known
    /duohand/right/index_tip  f f f   mm from the wrist, same axes; so for each of the 21 joints but the wrist (`hand.joints`)
    /duohand/right/rotation   f f f f palm axes to the left camera's, quaternion w x y z
    /duohand/right/pinch      f       thumb tip to index tip, hand lengths: 0 pinched
    /duohand/right/grab       f       fingers' tips to their knuckles: 1 a fist, 0 stretched

UDP waits for nobody; whether somebody listens is not known.
"""

import socket

import numpy as np
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from hand.errors import UserError
from hand.joints import FINGERS, JOINT_NAMES, finger_extension
from runtime.outputs.hand_message import HandMessage
from runtime.outputs.stream_address import StreamAddress

ROOT = "/duohand"
_FIST = 0.8
"""What a finger lacks of being straight in a fist."""


class OscStream:
    """Sends to one address."""

    missed = 0
    """UDP tells nothing of its receivers."""

    def __init__(self, address: StreamAddress) -> None:
        """Raises UserError for a host that is not known."""
        try:
            family, kind, _, _, self._to = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)[0]
        except OSError as error:
            raise UserError(f"--output {address.masked}: the host {address.host!r} is not known ({error.strerror})") from error
        self._socket = socket.socket(family, kind)
        self._socket.setblocking(False)

    def send(self, message: HandMessage) -> None:
        try:
            self._socket.sendto(osc_bundle(message), self._to)
        except (BlockingIOError, ConnectionRefusedError):
            # The buffer is full, or nobody listens yet: that costs this hand alone.
            self.missed += 1

    def close(self) -> None:
        self._socket.close()


def osc_bundle(message: HandMessage) -> bytes:
    """The bundle of one hand."""
    root = f"{ROOT}/{message.side}"
    captured = IMMEDIATELY if message.captured_unix_ns is None else message.captured_unix_ns / 1e9
    bundle = OscBundleBuilder(captured)  # pyright: ignore[reportArgumentType]
    unit = np.array(message.fused.joints)

    def add(name: str, *values: float) -> None:
        built = OscMessageBuilder(f"{root}/{name}")
        for value in values:
            built.add_arg(value)
        bundle.add_content(built.build())  # pyright: ignore[reportArgumentType]

    add("number", message.number)
    if message.wrist_mm is not None:
        add("wrist", *message.wrist_mm)
    for name, point in zip(JOINT_NAMES[1:], unit[1:] * message.hand_size_mm, strict=True):
        add(name, *point.tolist())
    if message.rotations is not None:
        add("rotation", *message.rotations[0])
    add("pinch", float(np.linalg.norm(unit[FINGERS["thumb"][-1]] - unit[FINGERS["index"][-1]])))
    add("grab", grab(unit))
    return bundle.build().dgram


def grab(joints: np.ndarray) -> float:
    """How far the four fingers of a hand (21, 3) are bent, in [0, 1]; 1 is a fist."""
    return float(np.clip((1 - finger_extension(joints)[1:]).mean() / _FIST, 0, 1))
