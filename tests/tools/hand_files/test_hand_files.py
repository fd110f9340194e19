"""Hands in other programs' files are the hands that were given: tables by their own readers, motion by another's BVH parser."""

import csv
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from bvh import Bvh

from hand.errors import UserError
from hand.joints import FINGERS, JOINT_NAMES, WRIST
from hand.rotations import from_vector
from runtime.outputs.hand_line import HandLine, hand_line
from runtime.outputs.hand_writer import HandWriter
from tests.runtime.dual_hands import MS, R_RIGHT_FROM_LEFT, dual_hand, frame_pair
from tests.runtime.hands import moving_hand
from tools.hand_files.reading import read_hands
from tools.hand_files.registry import WRITERS, write_hands
from tools.session import export

HANDS = 12


def lines() -> list[HandLine]:
    """Hands that move, placed in space from the fifth on, 33 ms apart."""
    moving = moving_hand(np.random.default_rng(0), HANDS)
    made = []
    for seq in range(HANDS):
        pair = frame_pair(seq)
        hand = dual_hand(pair, rotation=R_RIGHT_FROM_LEFT)
        hand.joints[:] = moving[seq]
        line = hand_line(pair, hand, R_RIGHT_FROM_LEFT)
        if seq >= 4:
            placed = (hand.joints * 90 + [10.0 * seq, -20, 400]).round(2).tolist()
            line = msgspec.structs.replace(line, joints_mm=placed, joint_sigma_mm=[2.0] * 21)
        made.append(line)
    return made


def test_a_table_has_a_row_a_joint(tmp_path):
    hands = lines()
    write_hands(hands, tmp_path / "h.csv")
    write_hands(hands, tmp_path / "h.parquet")
    with (tmp_path / "h.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = pq.read_table(tmp_path / "h.parquet").to_pylist()
    assert len(rows) == len(table) == HANDS * 21
    for row, typed in zip(rows, table, strict=True):
        hand, joint = hands[int(row["hand"])], int(row["joint"])
        assert typed["name"] == row["name"] == JOINT_NAMES[joint]
        assert [typed["x"], typed["y"], typed["z"]] == hand.fused.joints[joint] == [float(row[axis]) for axis in "xyz"]
        assert (row["x_mm"] == "") == (typed["x_mm"] is None) == (hand.joints_mm is None)
        assert hand.views.right.pixels and [typed["u_right"], typed["v_right"]] == hand.views.right.pixels[joint]


def positions(motion: Bvh, frame: int) -> dict[str, np.ndarray]:
    """Every joint's place, cm, by the format's own rules: an offset, then the rotations in the order of the channels."""
    axis = {"X": [1, 0, 0], "Y": [0, 1, 0], "Z": [0, 0, 1]}
    found: dict[str, np.ndarray] = {}

    def visit(node, R: np.ndarray, at: np.ndarray) -> None:
        name = node.name
        at = at + R @ np.array(motion.joint_offset(name))
        for channel in motion.joint_channels(name):
            value = motion.frame_joint_channel(frame, name, channel)
            if channel.endswith("position"):
                at = at + np.array(axis[channel[0]]) * value
            else:
                R = R @ from_vector(np.radians(value) * np.array(axis[channel[0]]))
        found[name] = at
        for child in node.children:
            if child.value[0] == "JOINT":
                visit(child, R, at)
            elif child.value[0] == "End":
                found[name.rsplit("_", 1)[0] + "_tip"] = at + R @ np.array([float(x) for x in child["OFFSET"]])

    root = next(motion.root.filter("ROOT"))
    visit(root, np.eye(3), np.zeros(3))
    return found


def test_motion_puts_every_joint_where_the_hand_has_it(tmp_path):
    # Those whose place is not known are left out where others' is.
    hands = lines()
    # One frame is missing: the pose before it is held.
    del hands[7]
    write_hands(hands, tmp_path / "h.bvh")
    motion = Bvh((tmp_path / "h.bvh").read_text())
    assert motion.nframes == HANDS - 4 and motion.frame_time == pytest.approx(0.033)
    shown = [4, 5, 6, 6, 7, 8, 9, 10]
    for frame, number in enumerate(shown):
        truth = np.array(hands[number].joints_mm) * [0.1, -0.1, -0.1]
        found = positions(motion, frame)
        assert found.keys() == set(JOINT_NAMES)
        for joint, name in enumerate(JOINT_NAMES):
            # Knuckles of the skeleton are fixed in the palm, and lengths are the mean ones.
            np.testing.assert_allclose(found[name], truth[joint], atol=0.05 if joint == WRIST else 0.3)
    assert motion.get_joints_names() == ["wrist", *(JOINT_NAMES[j] for chain in FINGERS.values() for j in chain[:-1])]


def test_lines_and_recordings_are_read(tmp_path):
    writer = HandWriter(tmp_path / "h.jsonl")
    for seq in range(3):
        writer.take(frame_pair(seq), [dual_hand(frame_pair(seq), rotation=R_RIGHT_FROM_LEFT)])
    writer.close()
    told: list[int] = []
    hands = read_hands(tmp_path / "h.jsonl", told.append)
    assert [hand.index for hand in hands] == [0, 1, 2] and told[-1] == (tmp_path / "h.jsonl").stat().st_size
    assert hands[1].captured_ns - hands[0].captured_ns == 33 * MS
    export(tmp_path / "h.jsonl", tmp_path / "h.bvh")
    assert (tmp_path / "h.bvh").read_text().startswith("HIERARCHY")


def test_what_is_wrong_is_said_and_leaves_no_file(tmp_path: Path):
    (tmp_path / "bad.jsonl").write_text('{"index": 1}\n')
    with pytest.raises(UserError, match=r"bad.jsonl, line 1 is no hand"):
        read_hands(tmp_path / "bad.jsonl")
    with pytest.raises(UserError, match="cannot read"):
        read_hands(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(UserError, match="there is no hand"):
        export(tmp_path / "empty.jsonl", tmp_path / "h.bvh")
    for ending in WRITERS.keys() - {".bvh"}:
        export(tmp_path / "empty.jsonl", tmp_path / f"h{ending}")
    assert {path.name for path in tmp_path.iterdir()} == {"bad.jsonl", "empty.jsonl", "h.npz", "h.csv", "h.parquet"}
