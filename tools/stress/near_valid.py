"""Which messages are nearly valid: Hypothesis strategies that edit good messages of each kind that is read from a socket."""

import base64
import contextlib
import json
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import strategies as st

from capture import wire
from capture.sources.pattern import PatternSource
from capture.views import VIEWS, View

Message = list[bytes]
Edit = tuple[str, int, bytes]
"""What is done, at which byte (modulo the length), and with which bytes or as many bytes as these."""
Step = tuple[str, int, Any]
"""What is done to a message, to which part or field (modulo their number), and with what."""

_EDGES = (0, 1, -1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 8192, 8193, 65535, 65536)
_ABSENT = object()
_IMAGE = PatternSource(64, 48, 60, paced=False).picture(77)


def _good() -> list[tuple[View, Message]]:
    formats: tuple[wire.Format, ...] = ("jpeg", "rgb8", "gray8")
    frames: list[tuple[View, Message]] = [
        (view, wire.encode(view, 5, 10**9, _IMAGE, format, 60.0, 5611)) for view in VIEWS for format in formats
    ]
    return frames + [(view, wire.encode_end(view, 9, "unplugged")) for view in VIEWS]


GOOD = _good()
"""The view on whose socket each message comes, and its parts."""
GOOD_QUESTION = msgspec.msgpack.encode({"kind": "probe", "version": 1, "number": 7})
GOOD_ANSWER = msgspec.msgpack.encode({"kind": "clock", "version": 1, "number": 7, "clock_ns": 10**15})
GOOD_LEROBOT = json.dumps({"timestamps": {"head": 1.7e9}, "images": {"head": base64.b64encode(GOOD[0][1][2]).decode()}}).encode()

_places = st.integers(0, 2**16)
edits = st.lists(
    st.tuples(st.sampled_from(("cut", "insert", "replace", "delete", "double")), _places, st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=8,
)
"""For `edited`."""
_values = st.one_of(
    st.sampled_from(_EDGES),
    st.sampled_from((None, True, "", "left", "x" * 600, b"", bytes(50), [], [[]], {}, {"kind": 1}, _ABSENT)),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
)
_parts = st.sampled_from((b"", b"\0", b"left", bytes(5000))) | st.binary(max_size=8)
_steps = st.one_of(
    st.tuples(st.just("edit part"), _places, edits),
    st.tuples(st.just("set field"), _places, _values),
    st.tuples(st.just("add field"), _places, st.sampled_from(("extra", "Kind", "width_"))),
    st.tuples(st.just("insert part"), _places, _parts),
    st.tuples(st.sampled_from(("delete part", "double part", "move part")), _places, st.none()),
)


def edited(good: bytes, changes: Sequence[Edit]) -> bytes:
    """`good` after the changes, one after the other."""
    for what, place, piece in changes:
        at = place % (len(good) + 1)
        before, after, rest = good[:at], good[at:], good[at + len(piece) :]
        changed = {"cut": before, "insert": before + piece + after, "replace": before + piece + rest, "delete": before + rest}
        good = changed.get(what, before + after[: len(piece)] + after)
    return good


def altered(good: tuple[View, Message], changes: Sequence[Step]) -> tuple[View, Message]:
    """The message after the changes, one after the other."""
    view, parts = good[0], list(good[1])
    for what, place, value in changes:
        at = place % max(len(parts), 1)
        match what:
            case "insert part":
                parts.insert(at, value)
            case "set field" | "add field" if len(parts) > 1:
                parts[1] = _with_field(parts[1], what, place, value)
            case "edit part" if parts:
                parts[at] = edited(parts[at], value)
            case "delete part" if parts:
                del parts[at]
            case "double part" if parts:
                parts.insert(at, parts[at])
            case "move part" if parts:
                parts.append(parts.pop(at))
    return view, parts


def _with_field(header: bytes, what: str, place: int, value: Any) -> bytes:
    """The header with one field changed, removed or added; its msgpack stays valid. The same where it is no header any more."""
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, OverflowError):
        fields = msgspec.msgpack.decode(header)
        if isinstance(fields, dict) and fields:
            name = value if what == "add field" else list(fields)[place % len(fields)]
            fields[name] = 1 if what == "add field" else value
            return msgspec.msgpack.encode({name: value for name, value in fields.items() if value is not _ABSENT})
    return header


steps = st.lists(_steps, min_size=1, max_size=4)
"""For `altered`."""
