"""The JSON Schema is the committed one, times are those of the wall clock, and records of earlier releases are read."""

import time

import msgspec
import numpy as np

from hand.bone_frames import bone_axes
from hand.rotations import from_quaternion
from runtime.outputs.hand_line import HandLine, hand_line
from runtime.outputs.hand_message import hand_message, json_schema
from tests.paths import ROOT
from tests.runtime.dual_hands import R_RIGHT_FROM_LEFT, dual_hand, frame_pair

PAIR = frame_pair(0)
LINE = hand_line(PAIR, dual_hand(PAIR, rotation=R_RIGHT_FROM_LEFT), R_RIGHT_FROM_LEFT)


def test_the_committed_schema_is_the_messages():
    update = "write runtime.outputs.hand_message.json_schema() to docs/hand.schema.json"
    assert (ROOT / "docs" / "hand.schema.json").read_bytes() == json_schema(), update


def test_a_capture_of_now_has_its_wall_time():
    captured_ns = time.monotonic_ns() - 20_000_000
    unix_ns = hand_message(0, msgspec.structs.replace(LINE, captured_ns=captured_ns)).captured_unix_ns
    assert unix_ns is not None and 0 <= time.time_ns() - unix_ns - 20_000_000 < 5_000_000_000
    assert hand_message(0, msgspec.structs.replace(LINE, captured_ns=captured_ns - 10**12)).captured_unix_ns is None


def test_lines_of_earlier_releases_are_read():
    added = ("hand_size_mm", "joints_mm", "joint_sigma_mm", "rotations")
    then = {name: value for name, value in msgspec.to_builtins(LINE).items() if name not in added}
    assert msgspec.convert(then, HandLine).fused == LINE.fused


def test_rotations_are_those_of_the_joints():
    assert LINE.rotations is not None
    axes = bone_axes(np.array(LINE.fused.joints), "right")
    rotations = from_quaternion(np.array(LINE.rotations))
    np.testing.assert_allclose(rotations[0], axes[0], atol=1e-4)
    np.testing.assert_allclose(axes[5] @ rotations[6], axes[6], atol=1e-4)
