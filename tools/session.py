"""Describe a recording, cut it, export it to other files, or repair one that was interrupted.

python -m tools.session info session.mcap
python -m tools.session cut session.mcap part.mcap --start 2 --end 10
python -m tools.session export session.mcap hands.npz
python -m tools.session repair session.mcap whole.mcap
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tyro
from tqdm import tqdm
from tyro.conf import Positional

from capture.recording.copy import copy_recording
from capture.recording.reader import Entry, Recording
from capture.recording.replay import ReplayPairs
from hand import program
from hand.errors import UserError
from hand.files import saving
from hand.outputs import ProgramFiles
from tools.hand_files.reading import read_shown
from tools.hand_files.registry import WRITERS, write_hands
from tools.session_export import export_lines, export_video
from tools.session_info import SessionInfo


def info(recording: Positional[Path]) -> None:
    """Describe a recording: length, cameras, skew, drops, hands, settings, hash of the weights.

    Args:
        recording: A file that --record wrote.

    """
    with _opened(recording, "reading") as (opened, tick):
        summary = SessionInfo(opened, tick)
    print("\n".join(summary.lines()))


def cut(
    recording: Positional[Path], to: Positional[Path], start: float = 0.0, end: float = float("inf"), overwrite: bool = False
) -> None:
    """Copy a part of a recording to a new one.

    Args:
        recording: A file that --record wrote.
        to: The new file.
        start: Where the part begins, seconds from the first frame's arrival.
        end: Where it ends.
        overwrite: Replace a file that is there already.

    """
    _check(recording, to, overwrite)
    if not 0 <= start < end:
        raise UserError(f"a part from {start:g} to {end:g} s: expected a start of 0 or more and an end after it")
    first_ns = _first_ns(recording)

    def inside(entry: Entry) -> bool:
        return start <= (entry.message.log_time - first_ns) / 1e9 < end

    with _opened(recording, "cutting") as (opened, tick), saving(to) as part:
        kept = copy_recording(opened, part, inside, tick)
        if not kept:
            raise UserError(
                f"nothing is between {start:g} and {end:g} s; python -m tools.session info {recording} tells its length"
            )
    print(f"{kept:,} messages in {to}")


def repair(recording: Positional[Path], to: Positional[Path], overwrite: bool = False) -> None:
    """Copy all intact messages of an interrupted or damaged recording to a file that any reader of MCAP opens.

    Args:
        recording: A file that --record wrote.
        to: The new file.
        overwrite: Replace a file that is there already.

    """
    _check(recording, to, overwrite)
    with _opened(recording, "copying") as (opened, tick), saving(to) as part:
        kept = copy_recording(opened, part, on_entry=tick)
        broken = opened.broken
    print(f"{kept:,} messages in {to}; {f'of the first file, {broken}' if broken else 'the first file was intact'}")


def export(recording: Positional[Path], to: Positional[Path], overwrite: bool = False) -> None:
    """Write the hands or a video of both views to another file.

    Args:
        recording: A file that --record wrote; for .npz, .csv, .parquet and .bvh also hands.jsonl of --save.
        to: A new .jsonl (a hand a line), .npz (arrays; python -c "help('tools.hand_files.arrays')" lists them), .csv or .parquet
            (a row a joint), .bvh (motion of a skeleton, for Blender) or .mp4 (both views side by side, with the joints).
        overwrite: Replace a file that is there already.

    """
    _check(recording, to, overwrite, (".jsonl", ".mp4", *WRITERS))
    kind = to.suffix.lower()
    if kind in WRITERS:
        hands = read_shown(recording)
        write_hands(hands, to)
        print(f"{len(hands):,} hands in {to}")
        return
    if kind == ".mp4":
        with ReplayPairs(recording, paced=False) as replay, tqdm(desc="drawing", unit=" pairs", disable=None) as bar:
            count = export_video(replay, to, bar.update)
        print(f"{count:,} pairs in {to}")
        return
    with _opened(recording, "reading") as (opened, tick):
        count = export_lines(opened, to, tick)
    print(f"{count:,} hands in {to}")


def _check(recording: Path, to: Path, overwrite: bool, suffixes: tuple[str, ...] = ()) -> None:
    """Raises UserError for a new file that is the recording, is there already, or cannot be written."""
    files = ProgramFiles(overwrite=overwrite).reads("RECORDING", recording)
    files.writes("TO", to, suffixes=suffixes, plain=True).check()


@contextmanager
def _opened(path: Path, doing: str) -> Iterator[tuple[Recording, Callable[[], None]]]:
    """A recording, and a function that updates its progress bar."""
    with Recording(path) as recording, tqdm(desc=doing, total=recording.size, unit="B", unit_scale=True, disable=None) as bar:
        yield recording, lambda: _to(bar, recording.position)


def _to(bar: tqdm, position: int) -> None:
    bar.update(position - bar.n)


def _first_ns(path: Path) -> int:
    """Arrival time of the first frame, ns, by the log time of MCAP."""
    with Recording(path) as recording:
        for entry in recording.entries():
            if isinstance(entry, Entry) and entry.channel.topic.endswith("/frame"):
                return entry.message.log_time
    raise UserError(f"the recording {path} holds no frame")


COMMANDS: dict[str, Callable[..., None]] = {"info": info, "cut": cut, "export": export, "repair": repair}


def main(arguments: Sequence[str] | None = None, prog: str = "tools.session") -> int:
    return program.code_of(
        lambda: tyro.extras.subcommand_cli_from_dict(COMMANDS, prog=prog, description=__doc__, args=arguments), prog
    )


if __name__ == "__main__":
    program.run_line(main)
