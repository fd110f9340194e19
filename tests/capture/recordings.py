"""Small recordings of numbered frames."""

from pathlib import Path

from capture import wire
from capture.recording.recorder import Recorder
from capture.recording.replay import PAIR_TOPIC, RecordedPair
from capture.views import VIEWS
from tests.capture.clips import numbered_image

MS = 1_000_000
PERIOD_NS = 33 * MS
BEGAN_NS = 5_000 * MS
TOPICS = {PAIR_TOPIC: RecordedPair}


def captured_ns(number: int, view: str) -> int:
    """Capture time of frame `number`; the right camera is 2 ms behind the left one."""
    return BEGAN_NS + number * PERIOD_NS + 2 * MS * (view == "right")


def pair_of(number: int) -> RecordedPair:
    """The pair of the two frames `number`."""
    left, right = captured_ns(number, "left"), captured_ns(number, "right")
    return RecordedPair(
        left_seq=number,
        right_seq=number,
        left_captured_ns=left,
        right_captured_ns=right,
        skew_ns=right - left,
        started_ns=right + 5 * MS,
        hands=0,
        solver="solved" if number % 4 == 3 else "",
    )


def write_recording(path: Path, frames: int = 12, format: wire.Format = "rgb8", pairs_of: int = 2) -> Path:
    """A recording of frames 0, 1, … of both views, in which every `pairs_of`-th pair was processed."""
    recorder = Recorder(path, TOPICS, lossless=True)
    for number in range(frames):
        for view in VIEWS:
            message = wire.encode(view, number, captured_ns(number, view), numbered_image(number), format, 60.0)
            recorder.message(view, message, captured_ns(number, view) + MS)
        if number % pairs_of == 0:
            recorder.note(PAIR_TOPIC, pair_of(number), captured_ns(number, "right") + 9 * MS)
    recorder.close()
    assert recorder.failure is None
    return path
