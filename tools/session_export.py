"""How a recording's hands as they are, and its images, are exported: .jsonl, .mp4 (`tools.hand_files` has what others read)."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from capture.recording.reader import Recording
from capture.recording.replay import ReplayPairs
from capture.views import PerView, View
from hand.errors import UserError
from hand.files import advice, saving
from runtime.outputs.hand_line import HandLine, ViewLine
from runtime.outputs.run_recorder import HAND_TOPIC
from runtime.types import ViewHand
from runtime.view.panels import image_panel
from runtime.view.video import VideoFile
from tools.hand_files.reading import recorded_hands

_decoder = msgspec.json.Decoder(HandLine)


def export_lines(recording: Recording, to: Path, on_item: Callable[[], object]) -> int:
    """One JSON line a hand, unrounded; returns the number of hands."""
    count = 0
    with saving(to) as part, part.open("wb") as file:
        for line in recorded_hands(recording, on_item):
            file.write(line + b"\n")
            count += 1
    return count


def export_video(replay: ReplayPairs, to: Path, on_pair: Callable[[], object]) -> int:
    """Both views side by side with the joints predicted in each; returns the number of pairs. Raises UserError where the file
    cannot be written.
    """
    video = VideoFile(to, overwrite=True)
    count = 0
    try:
        try:
            while (pair := replay.next_pair(0.0)) is not None:
                lines = [_decoder.decode(note.data) for note in replay.notes_of_current if note.topic == HAND_TOPIC]
                hands = _hands(lines[-1]) if lines else PerView(None, None)
                panels = [
                    image_panel(view, pair[view].image, hands[view], pair[view].image.shape[1::-1]) for view in ("left", "right")
                ]
                height = min(panel.shape[0] for panel in panels)
                video.write(np.hstack([panel[:height] for panel in panels]), pair.left.captured_ns)
                count += 1
                on_pair()
        finally:
            video.close()
    except OSError as error:
        raise UserError(f"{to} breaks off after {video.frames} frames: {error.strerror}; {advice(error)}") from error
    return count


def _hands(line: HandLine) -> PerView[ViewHand | None]:
    def of(view: View) -> ViewHand | None:
        told: ViewLine = getattr(line.views, view)
        if not told.own or told.pixels is None or told.joints is None or told.confidence is None:
            return None
        return ViewHand(view, line.side, np.array(told.joints), np.array(told.pixels), np.array(told.confidence))

    return PerView.of(of)
