"""How a recording's hands and images are exported for other programs: .jsonl, .npz, .mp4."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from capture.recording.reader import Note, Recording
from capture.recording.replay import ReplayPairs
from capture.views import PerView, View
from hand.errors import UserError
from hand.files import advice, saving
from runtime.outputs.hand_line import HandLine, ViewLine
from runtime.outputs.run_recorder import HAND_TOPIC
from runtime.types import ViewHand
from runtime.view.panels import image_panel
from runtime.view.video import VideoFile

_decoder = msgspec.json.Decoder(HandLine)
JOINTS = 21


def export_lines(recording: Recording, to: Path, on_item: Callable[[], object]) -> int:
    """One JSON line a hand, unrounded; returns the number of hands."""
    count = 0
    with saving(to) as part, part.open("wb") as file:
        for item in recording.items():
            if isinstance(item, Note) and item.topic == HAND_TOPIC:
                file.write(item.data + b"\n")
                count += 1
            on_item()
    return count


def export_arrays(recording: Recording, to: Path, on_item: Callable[[], object]) -> int:
    """Arrays of N hands; returns N. NaN where a value is unknown.

    captured_ns (N,), index (N,), skew_ns (N,), side (N,) str, joints (N, 21, 3), weight_left (N, 21), wrist_mm (N, 3),
    R_right_from_left (N, 3, 3), and, of each view, joints_* (N, 21, 3), pixels_* (N, 21, 2) and confidence_* (N, 21).
    """
    lines: list[HandLine] = []
    for item in recording.items():
        if isinstance(item, Note) and item.topic == HAND_TOPIC:
            lines.append(_decoder.decode(item.data))
        on_item()
    arrays = {
        "captured_ns": np.array([line.captured_ns for line in lines], np.int64),
        "index": np.array([line.index for line in lines], np.int64),
        "skew_ns": np.array([line.skew_ns for line in lines], np.int64),
        "side": np.array([line.side for line in lines], "U5"),
        "joints": _stack([line.fused.joints for line in lines], (JOINTS, 3)),
        "weight_left": _stack([line.fused.weight_left for line in lines], (JOINTS,)),
        "wrist_mm": _stack([line.wrist_mm for line in lines], (3,)),
        "R_right_from_left": _stack([line.R_right_from_left for line in lines], (3, 3)),
    }
    for view in ("left", "right"):
        views: list[ViewLine] = [getattr(line.views, view) for line in lines]
        arrays[f"joints_{view}"] = _stack([each.joints for each in views], (JOINTS, 3))
        arrays[f"pixels_{view}"] = _stack([each.pixels for each in views], (JOINTS, 2))
        arrays[f"confidence_{view}"] = _stack([each.confidence for each in views], (JOINTS,))
    with saving(to) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return len(lines)


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


def _stack(values: list, shape: tuple[int, ...]) -> np.ndarray:
    """(N, *shape), NaN in place of None."""
    nothing = np.full(shape, np.nan)
    return np.array([nothing if value is None else value for value in values], float).reshape(-1, *shape)
