"""One hand as other programs get it: a line of `hands.jsonl` with the message's version, number and wall time.

Its JSON Schema is docs/hand.schema.json. Fields are only added; a changed meaning is a new version.
"""

import time

import msgspec

from runtime.outputs.hand_line import HandLine

VERSION = 1
_NOW_NS = 60_000_000_000
"""Captures further from now are of another time: a clip's own, or of the run that a recording was made in."""


class HandMessage(HandLine, frozen=True, kw_only=True, omit_defaults=False):
    """A record of `hands.jsonl` with what a stream of messages adds."""

    version: int = VERSION
    """Of the message's format."""
    number: int = 0
    """Sequence number of the hands, from 0: a gap counts the hands that a slow receiver missed."""
    captured_unix_ns: int | None = None
    """`captured_ns` by the wall clock of the host that tracks; null for clips and recordings, which have times of their own."""


def hand_message(number: int, line: HandLine) -> HandMessage:
    """The message of a hand."""
    return HandMessage(number=number, captured_unix_ns=_unix_ns(line.captured_ns), **msgspec.structs.asdict(line))


def _unix_ns(captured_ns: int) -> int | None:
    age_ns = time.monotonic_ns() - captured_ns
    return time.time_ns() - age_ns if abs(age_ns) < _NOW_NS else None


def json_schema() -> bytes:
    """The message's JSON Schema, as docs/hand.schema.json has it."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(HandMessage)), indent=2) + b"\n"
