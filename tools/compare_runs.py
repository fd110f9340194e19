"""Compare the hands of two checkouts, byte for byte save times: `python -m tools.compare_runs OLD . --left A --right B`.

For changes that must not change behaviour. Both checkouts run the same matrix in this Python environment: the clips by every
engine and merge, a replay of a recording, and prequential adaptation. Compared are the lines of `hands.jsonl`, of which the
values of `TIMES` alone may differ. A clip's frames are captured when it is played, so capture times count from the first hand's.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro

from hand import program
from hand.errors import UserError
from hand.outputs import ProgramFiles

TIMES = ("received_ns", "paired_ns", "started_ns", "cropped_ns", "inferred_ns", "merged_ns")
"""Keys that hold the host's clock."""
_TIME = re.compile(rb'"(%s)":(?:\d+|null)' % "|".join(TIMES).encode())
_CAPTURED = re.compile(rb'"captured_ns":(\d+)')


@dataclass
class Settings:
    """Run two checkouts alike, and compare their hands."""

    before: tyro.conf.Positional[Path]
    """Checkout to compare with, or a folder with what an earlier comparison wrote of it."""
    after: tyro.conf.Positional[Path]
    """Checkout that must give the same, or such a folder."""
    left: Path | None = None
    """Clip of the left camera."""
    right: Path | None = None
    """Clip of the right camera."""
    session: Path | None = None
    """A recording to replay."""
    out: Path = Path("out/compare_runs")
    """Folder for both checkouts' hands and logs, in subfolders `before` and `after`."""
    engines: tuple[str, ...] = ("torch", "onnx", "mediapipe")
    merges: tuple[str, ...] = ("rotation", "geometry", "auto")
    prequential: bool = True
    """Whether adaptation is compared too, which takes minutes."""
    overwrite: bool = False
    """Replace an earlier comparison's files."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How two files of hands differ."""

    name: str
    lines: tuple[int, int]
    """How many lines each has; 0 for a file that is missing."""
    first: int | None
    """Number of the first line that differs, from 1; None where all that both have are equal."""

    @property
    def equal(self) -> bool:
        return self.first is None and self.lines[0] == self.lines[1] > 0

    def __str__(self) -> str:
        if self.equal:
            return f"{self.name:32} {self.lines[0]:5} lines equal"
        if 0 in self.lines:
            return f"{self.name:32} DIFFERENT: {self.lines[0]} and {self.lines[1]} lines"
        where = "" if self.first is None else f", the first other one is line {self.first}"
        return f"{self.name:32} DIFFERENT: {self.lines[0]} and {self.lines[1]} lines{where}"


def without_times(lines: list[bytes]) -> list[bytes]:
    """Lines of `hands.jsonl` with every value of `TIMES` set to 0, and capture times relative to the first line's."""
    captured = [int(value) for value in _CAPTURED.findall(lines[0])] if lines else []
    start_ns = min(captured, default=0)

    def relative(match: re.Match[bytes]) -> bytes:
        return b'"captured_ns":%d' % (int(match[1]) - start_ns)

    return [_CAPTURED.sub(relative, _TIME.sub(rb'"\1":0', line)) for line in lines]


def compare(name: str, before: Path, after: Path) -> Difference:
    """Compare two files of hands; a missing one counts as empty."""
    lines = [file.read_bytes().splitlines() if file.is_file() else [] for file in (before, after)]
    pairs = enumerate(zip(*map(without_times, lines), strict=False), 1)
    first = next((number for number, (old, new) in pairs if old != new), None)
    return Difference(name, (len(lines[0]), len(lines[1])), first)


def runs(settings: Settings) -> Iterator[tuple[str, list[str]]]:
    """The name of each run's file of hands, and the arguments after `python`; `{out}` stands for the file."""
    clips = []
    if settings.left and settings.right:
        clips = ["--left", str(settings.left.resolve()), "--right", str(settings.right.resolve())]
        for engine in settings.engines:
            for merge in settings.merges:
                chosen = ["--estimator", "detnet", "--engine", engine, "--merge", merge]
                yield (
                    f"clip-{engine}-{merge}.jsonl",
                    ["stream.py", *clips, "--every-pair", "--headless", *chosen, "--save", "{out}"],
                )
    if settings.session:
        replay = ["--replay", str(settings.session.resolve())]
        yield "replay.jsonl", ["stream.py", *replay, "--every-pair", "--headless", "--save", "{out}"]
    if clips and settings.prequential:
        learning = ["--batch", "16", "--rehearse", "0.25"]
        yield "prequential/hands.jsonl", ["-m", "tools.prequential", "{folder}", *clips, *learning]


def check_files(settings: Settings) -> None:
    """Raises UserError for a file that is an input, is there already, or cannot be written."""
    files = ProgramFiles(overwrite=settings.overwrite).reads("--session", settings.session)
    files.reads("--left", settings.left).reads("--right", settings.right)
    for name, place in (("before", settings.before), ("after", settings.after)):
        if (place / "stream.py").is_file():
            for hands in (settings.out / name / run_name for run_name, _ in runs(settings)):
                files.writes("--out", hands, hands.with_suffix(".log"))
    files.check()


def run(checkout: Path, folder: Path, settings: Settings) -> None:
    """Run the matrix in a checkout. Raises UserError, with the log's last lines, for a run that fails."""
    for name, arguments in runs(settings):
        file = folder.resolve() / name
        file.parent.mkdir(parents=True, exist_ok=True)
        # An older checkout knows no --overwrite; `check_files` has seen to it that the file may go.
        file.unlink(missing_ok=True)
        print(f"{checkout}: {name}", flush=True)
        command = [argument.format(out=file, folder=file.parent) for argument in arguments]
        # The checkout's own modules come first, wherever this environment has installed others from.
        done = subprocess.run(
            [sys.executable, *command], cwd=checkout, env=os.environ | {"PYTHONPATH": "."}, capture_output=True, text=True
        )
        file.with_suffix(".log").write_text(done.stdout + done.stderr)
        if done.returncode:
            end = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
            raise UserError(f"{checkout}: the run for {name} ended with {done.returncode}; its last lines:\n{end}")


def main(settings: Settings) -> int:
    """Run what is to be run, print a line a file; 1 where a line of hands differs."""
    check_files(settings)
    folders = []
    for name, place in (("before", settings.before), ("after", settings.after)):
        is_checkout = (place / "stream.py").is_file()
        if not is_checkout and not any(place.rglob("*.jsonl")):
            raise UserError(f"{place} is neither a checkout (no stream.py) nor a folder of hands (no .jsonl file)")
        folder = settings.out / name if is_checkout else place
        if is_checkout:
            run(place, folder, settings)
        folders.append(folder)
    names = sorted({str(file.relative_to(folder)) for folder in folders for file in folder.rglob("*.jsonl")})
    if not names:
        raise UserError(
            "nothing was run: give both clips (--left A --right B), a recording (--session FILE), or folders of hands"
        )
    differences = [compare(name, folders[0] / name, folders[1] / name) for name in names]
    print(*differences, sep="\n")
    unequal = sum(not difference.equal for difference in differences)
    print(
        f"{len(names) - unequal} of {len(names)} files equal, byte for byte save {', '.join(TIMES)}; captured_ns from the first"
    )
    return 1 if unequal else 0


if __name__ == "__main__":
    program.run(main, Settings)
