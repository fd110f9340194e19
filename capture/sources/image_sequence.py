"""Pictures as a camera: a folder, a numbered sequence such as `frames/%05d.png`, `frames/*.png`, or one picture."""

import fnmatch
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from capture.sources.base import DEFAULT_MODE, CapturedImage, DeviceMode, Source, SourceSpec
from capture.views import View
from hand.errors import UserError
from hand.findings import Finding

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2")
"""Of pictures that OpenCV reads; videos such as .gif are not among them."""
_PICTURE = re.compile(rf"(?!\.).+({'|'.join(map(re.escape, SUFFIXES))})", re.IGNORECASE)
"""Names of pictures in a folder."""
DEFAULT_FPS = 30.0
_NUMBER = re.compile(r"%(0?\d*)d")
_DARK_16_BIT = 4095
"""Cameras of 10 or 12 bits mostly leave the upper ones empty."""
_SKIP_LIMIT = 5
"""Pictures left out in a row to catch up; a machine too slow for the sequence still shows every sixth."""


@dataclass(frozen=True, slots=True)
class ImageSequence(SourceSpec):
    """`frames/`, `frames/%05d.png`, `frames/*.png` or `picture.png`."""

    lasting: ClassVar[bool] = False

    text: str
    """As the user wrote it."""
    pictures: tuple[Path, ...]
    """In their order."""

    @classmethod
    def parse(cls, text: str, *, secured: bool) -> "ImageSequence | None":
        path = Path(text)
        if text and path.is_dir():
            pictures = [file for file in path.iterdir() if _is_picture(file)]
        elif path.is_file():
            pictures = [path] if _is_picture(path) else []
        elif _NUMBER.search(path.name) or "*" in path.name:
            pictures = _matching(path)
        else:
            return None
        if not pictures and path.is_file():
            return None
        if not pictures:
            raise UserError(f"source {text!r}: there is no such picture; expected files such as {', '.join(SUFFIXES[:4])} there")
        _require_one_kind(text, pictures)
        return cls(text, tuple(sorted(pictures, key=_natural)))

    def open(self, view: View, *, paced: bool, mode: DeviceMode) -> Source:
        return ImageSequenceSource(self.pictures, mode.sequence_fps or DEFAULT_FPS, paced=paced)

    def check(self, mode: DeviceMode = DEFAULT_MODE) -> tuple[Finding, ...]:
        read_picture(self.pictures[0])
        findings = []
        stored = cv2.imread(str(self.pictures[0]), cv2.IMREAD_UNCHANGED)
        if stored is not None and stored.dtype == np.uint16 and stored.max() <= _DARK_16_BIT:
            dark = (
                f"{self.pictures[0]} has 16 bits a channel and no value above {stored.max():,} of 65,535, so it is nearly black; "
                "multiply such pictures before"
            )
            findings.append(Finding("dark_pictures", dark))
        if len(self.pictures) == 1:
            one = f"{self.pictures[0]} is one picture, so there is one frame; for more give a folder of pictures or a video"
            return (*findings, Finding("one_picture", one))
        if mode.sequence_fps is None:
            rate = (
                f"the {len(self.pictures)} pictures of {self.text} are taken at {DEFAULT_FPS:g} a second, as pictures do not say "
                "their rate; give theirs with --fps"
            )
            findings.append(Finding("sequence_rate", rate))
        ticks = due_ticks(self.pictures)
        missing = ticks[-1] + 1 - len(ticks)
        if missing:
            first = int(np.argmax(np.diff(ticks) > 1))
            gaps = (
                f"{missing} of {ticks[-1] + 1} numbers are missing in the pictures of {self.text}, first after "
                f"{self.pictures[first].name}; the others keep their times"
            )
            findings.append(Finding("sequence_gaps", gaps))
        return tuple(findings)

    @property
    def first_number(self) -> int | None:
        """The number at the end of the first picture's name, where those of all count frames."""
        if len(self.pictures) < 2 or ticks_of(self.pictures) is None:
            return None
        numbers = re.findall(r"\d+", self.pictures[0].stem)
        return int(numbers[-1]) if numbers else None

    @property
    def files(self) -> tuple[Path, ...]:
        return self.pictures

    @property
    def folder(self) -> tuple[Path, re.Pattern[str]] | None:
        path = Path(self.text)
        if path.is_dir():
            return path, _PICTURE
        return None if path.is_file() else (path.parent, _names(path.name))

    @property
    def name(self) -> str:
        return str(Path(self.text).absolute())


class ImageSequenceSource:
    """Yields pictures, timed by their numbers from a start that both views share.

    Paced, a picture comes when it is due, and one that is overdue by a period is left out; unpaced, all come as fast as they
    are read.
    """

    fov_deg = None
    note = None

    def __init__(self, pictures: Sequence[Path], fps: float, *, paced: bool) -> None:
        self._pictures, self._ticks = pictures, due_ticks(pictures)
        self._fps = fps
        self._paced = paced

    def frames(self, start_ns: int) -> Iterator[CapturedImage]:
        """Raises UserError for a file that is no picture, or one of another size than the first."""
        skipped, first_shape = 0, None
        for path, tick in zip(self._pictures, self._ticks, strict=True):
            due_ns = start_ns + round(tick * 1e9 / self._fps)
            overdue = time.monotonic_ns() > due_ns + 1e9 / self._fps
            if self._paced and overdue and skipped < _SKIP_LIMIT:
                skipped += 1
                continue
            skipped = 0
            image = read_picture(path)
            first_shape = first_shape or image.shape
            if image.shape != first_shape:
                (height, width, _), (first_height, first_width, _) = image.shape, first_shape
                raise UserError(
                    f"picture {path} has {width}x{height} px: expected {first_width}x{first_height}, as {self._pictures[0].name} "
                    "has; give pictures of one camera"
                )
            if self._paced:
                time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
            yield CapturedImage(tick, due_ns, image)

    def close(self) -> None:
        pass


def read_picture(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB, turned as its EXIF says; 16 bits a channel become 8, transparency is left out. Raises UserError."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise UserError(f"picture {path} cannot be read, of {path.stat().st_size} bytes; write it again, or leave it out")
    return image


def due_ticks(pictures: Sequence[Path]) -> list[int]:
    """When each picture is due, in periods after the first: `ticks_of` their names, or one after the other."""
    return ticks_of(pictures) or list(range(len(pictures)))


def ticks_of(pictures: Sequence[Path]) -> list[int] | None:
    """By the numbers at the end of their names, with gaps where some are missing; None where those do not count frames."""
    found = [re.fullmatch(r"(.*?)(\d+)\D*", path.stem) for path in pictures]
    if len(pictures) < 2 or None in found or len({match[1] for match in found if match}) > 1:
        return None
    numbers = [int(match[2]) for match in found if match]
    # Every second or third frame of a video may have been saved.
    steps = np.diff(np.array(numbers, object))
    [(step, _)] = Counter(steps.tolist()).most_common(1)
    if step <= 0 or (steps % step).any():
        return None
    ticks = [(number - numbers[0]) // step for number in numbers]
    # Times stand in some names, and differ by all kinds of steps.
    return ticks if ticks[-1] < 2 * len(ticks) else None


def _is_picture(path: Path) -> bool:
    return bool(_PICTURE.fullmatch(path.name)) and path.is_file()


def _matching(path: Path) -> list[Path]:
    """Files of a pattern with `%d`, `%05d` or `*` in their name."""
    if not path.parent.is_dir():
        return []
    pattern = _names(path.name)
    return [file for file in path.parent.iterdir() if pattern.fullmatch(file.name) and file.is_file()]


def _names(pattern: str) -> re.Pattern[str]:
    """The names that a pattern with `%d`, `%05d` or `*` stands for."""
    if "*" in pattern:
        return re.compile(rf"(?!\.){fnmatch.translate(pattern)}")
    before, digits, after = _NUMBER.split(pattern, maxsplit=1)
    # %05d is five digits, more where the number has them.
    width = int(digits or 0)
    number = rf"\d{{{width},}}" if width > 1 else r"\d+"
    return re.compile(re.escape(before) + number + re.escape(after))


def _require_one_kind(text: str, pictures: Sequence[Path]) -> None:
    """Raises UserError where one frame may be there twice, such as 1.png and 1.jpg."""
    stems: dict[str, Path] = {}
    for path in pictures:
        twin = stems.setdefault(path.stem, path)
        if twin is not path:
            names = " and ".join(sorted((twin.name, path.name)))
            most, _ = Counter(each.suffix for each in pictures).most_common(1)[0]
            raise UserError(f"source {text!r} has {names}: expected one picture a frame; give {path.parent}/*{most}")


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sorts 2 before 10."""
    parts = re.split(r"(\d+)", path.name)
    return [(1, int(part), part) if part.isdigit() else (0, 0, part) for part in parts]
