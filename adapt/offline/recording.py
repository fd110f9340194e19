"""Recordings for adaptation and labelling: which clips, their pairs one by one, their calibration."""

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from tqdm import tqdm

from adapt.core.geometry_teacher import UNKNOWN_FOV, RecordingCalibration, calibrate_recording
from adapt.offline.calibration_advice import advice
from capture.frames import FramePair
from capture.sources.clip_header import frame_count
from capture.sources.image_sequence import ImageSequence, read_picture
from capture.sources.recorded import RecordedCamera, recorded_size
from capture.sources.registry import parse_source
from capture.sources.video_file import FileSource
from capture.stream import PairStream
from capture.views import PerView
from hand.errors import UserError
from hand.outputs import ProgramFiles
from runtime.estimators.estimator import HANDEDNESS_TIMEOUT_NS, Estimator
from runtime.types import Side

SETTLED_NS = 10_000_000_000
"""A handedness that was kept for this long is no longer corrected."""
_WAIT_S = 10.0


@dataclass(kw_only=True)
class RecordingSettings:
    """Which recording, and what is known of it."""

    left: Path | None = None
    """Clip of the left camera."""
    right: Path | None = None
    """Clip of the right camera."""
    session: Path | None = None
    """What stream.py --record has written, in place of both clips."""
    pairs: tuple[int, int] | None = None
    """Numbers of the first frame pair to look at and of the one after the last, such as '0 95'; all if not given."""
    fov: tuple[float, float] | None = None
    """Horizontal fields of view of both cameras, degrees, where they are known."""
    hand_side: Literal["auto", "left", "right"] = "auto"
    """Which hand of the person is shown."""

    calibrate: Literal["first", "stream"] = "first"
    """How cameras are found in the first pass: keyframes of the whole recording at once, or as a stream finds them."""

    @property
    def clips(self) -> PerView[Path]:
        """Both sources. Raises UserError where it is not said which."""
        if self.session is not None and self.left is None and self.right is None:
            return PerView(Path(f"{self.session}#left"), Path(f"{self.session}#right"))
        if self.session is not None or self.left is None or self.right is None:
            raise UserError("expected two clips, --left left.mp4 --right right.mp4, or a recording, --session session.mcap")
        return PerView(self.left, self.right)

    def state_files(self, files: ProgramFiles) -> ProgramFiles:
        """Add the clips to what a program reads. Raises UserError where it is not said which they are."""
        names = ("--session", "--session") if self.session else ("--left", "--right")
        for name, clip in zip(names, self.clips, strict=True):
            # A clip that is not there is refused by what opens it, which says more of it.
            with suppress(UserError):
                files.reads(name, *parse_source(str(clip)).files, whole=True)
        return files

    def read(self, doing: str) -> Iterator[FramePair]:
        """See `read_recording`."""
        return read_recording(self.clips, doing, self.pairs)

    def calibrated(self, estimator: Estimator) -> RecordingCalibration:
        """One pass over the recording that calibrates its cameras. Raises UserError, with the reason, where that fails."""
        fov_deg: PerView[float | None] = PerView(*self.fov) if self.fov else UNKNOWN_FOV
        whole = self.calibrate == "first"
        calibration = calibrate_recording(self.read("calibrating"), estimator, fov_deg, whole=whole)
        require_hands(calibration)
        require_two_views(calibration)
        require_calibration(calibration)
        return calibration


class HandOfSide(Protocol):
    """A hand with its handedness."""

    @property
    def side(self) -> Side: ...

    @property
    def captured_ns(self) -> int: ...


HandT = TypeVar("HandT", bound=HandOfSide)


def read_recording(clips: PerView[Path], doing: str, part: tuple[int, int] | None = None) -> Iterator[FramePair]:
    """The pairs of two clips, with a progress bar named `doing`.

    `part`: the numbers of the first pair and of the one after the last. Raises UserError for clips that cannot be read.
    """
    first, end = part or (0, sys.maxsize)
    total = max(min(frame_count(str(clips.left)) or 0, end) - first, 0) or None
    with PairStream(clips.map(str), every_pair=True) as stream, tqdm(desc=doing, unit="pair", total=total) as bar:
        while not stream.ended:
            pair = stream.next_pair(_WAIT_S)
            if pair is None or pair.left.seq < first:
                continue
            if pair.left.seq >= end:
                return
            yield pair
            bar.update()
        if stream.failure:
            raise UserError(stream.failure)


def frame_size(clip: Path) -> tuple[int, int]:
    """Width and height of a clip's frames, px. Raises UserError for a clip that cannot be read."""
    if "#" in clip.name and isinstance(spec := parse_source(str(clip)), RecordedCamera):
        return recorded_size(spec.path, spec.view)
    sequence = ImageSequence.parse(str(clip), secured=False)
    if sequence is not None:
        height, width, _ = read_picture(sequence.pictures[0]).shape
        return width, height
    try:
        source = FileSource(clip, paced=False)
    except (OSError, UserError) as error:
        raise UserError(f"{clip} is no video that can be read: give a file such as left.mp4") from error
    source.close()
    return source.size_px


def require_hands(calibration: RecordingCalibration) -> None:
    """Raises UserError, with the reason, where a view shows no hand."""
    if not calibration.pairs:
        raise UserError(
            "there is no pair of frames among those asked for: give two clips of one time, and --pairs that they hold"
        )
    for view, frames in calibration.seen.items():
        if not frames:
            raise UserError(
                f"no hand was found in the {view} view's {calibration.pairs:,} frames: show one hand to both cameras, in "
                "good light"
            )


def require_two_views(calibration: RecordingCalibration) -> None:
    """Raises UserError where the views do not show one hand from two places: all that is learnt from them would be wrong."""
    for finding in calibration.findings:
        if finding.level == "error":
            # Its sentence was logged when it was found.
            raise UserError(
                f"nothing can be learnt from this recording until its error is mended: {finding.kind.replace('_', ' ')}"
            )


def require_calibration(calibration: RecordingCalibration) -> None:
    """Raises UserError, with the reason, where the cameras' places were not found."""
    if calibration.state.geometry is None:
        raise UserError(advice(calibration))


def resolve_handedness(hands: Iterable[HandT]) -> Iterator[HandT]:
    """The hands without those whose handedness was corrected soon after: they were labelled mirrored."""
    held: deque[HandT] = deque()
    for hand in hands:
        if held and hand.side != held[-1].side and hand.captured_ns - held[-1].captured_ns <= HANDEDNESS_TIMEOUT_NS:
            held.clear()
        held.append(hand)
        while hand.captured_ns - held[0].captured_ns > SETTLED_NS:
            yield held.popleft()
    yield from held
