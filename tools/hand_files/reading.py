"""Hands of a recording (`--record`) or of lines (`--save`), whichever a file holds."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from tqdm import tqdm

from capture.recording.reader import Note, Recording
from hand.errors import UserError
from runtime.outputs.hand_line import HandLine
from runtime.outputs.run_recorder import HAND_TOPIC

_decoder = msgspec.json.Decoder(HandLine)
LINES = ".jsonl"


def read_hands(path: Path, on_bytes: Callable[[int], object] = lambda position: None) -> list[HandLine]:
    """All hands, in order; `on_bytes` is told how far in the file they have been read.

    Raises UserError for a file that is neither, and for a line that is no hand.
    """
    return _of_lines(path, on_bytes) if path.suffix.lower() == LINES else _of_recording(path, on_bytes)


def read_shown(path: Path) -> list[HandLine]:
    """`read_hands` with a progress bar."""
    size = path.stat().st_size if path.is_file() else None
    with tqdm(desc="reading", total=size, unit="B", unit_scale=True, disable=None) as bar:
        return read_hands(path, lambda position: bar.update(position - bar.n))


def recorded_hands(recording: Recording, on_item: Callable[[], object]) -> Iterator[bytes]:
    """The hands of a recording, each a line of JSON; `on_item` is called after each item of the file."""
    for item in recording.items():
        if isinstance(item, Note) and item.topic == HAND_TOPIC:
            yield item.data
        on_item()


def _of_recording(path: Path, on_bytes: Callable[[int], object]) -> list[HandLine]:
    with Recording(path) as recording:
        return [_decoder.decode(line) for line in recorded_hands(recording, lambda: on_bytes(recording.position))]


def _of_lines(path: Path, on_bytes: Callable[[int], object]) -> list[HandLine]:
    hands, position = [], 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    hands.append(_decoder.decode(line))
                except msgspec.MsgspecError as error:
                    raise UserError(
                        f"{path}, line {number} is no hand ({error}): expected a file that --save wrote; "
                        f"of one that was cut off, delete the last line"
                    ) from error
                position += len(line)
                on_bytes(position)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; give a file that --save or --record wrote") from error
    return hands
