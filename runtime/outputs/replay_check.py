"""Replay check: whether a replay gives the recorded hands, and which settings differ from the recorded run."""

from pathlib import Path

import msgspec
import torch

from capture.frames import FramePair
from capture.recording.reader import read_metadata
from capture.recording.replay import ReplayPairs
from hand.errors import UserError
from hand.findings import Finding
from runtime.calibration.camera_profile import Profile
from runtime.calibration.recordings.known_cameras import KnownCameras
from runtime.calibration.solver_log import ReplayingSolver, SolverEvent
from runtime.calibration.solver_process import InlineSolver, Solver
from runtime.outputs.hand_line import hand_line
from runtime.outputs.run_recorder import FOUND, HAND_TOPIC, PROFILE, RUN, RunMetadata
from runtime.settings import DECIDES_HANDS, Settings
from runtime.types import DualHand

_TIMES = ("received_ns", "paired_ns", "started_ns", "cropped_ns", "inferred_ns", "merged_ns")
_encoder = msgspec.json.Encoder()
_raw_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class ReplayCheck:
    """Restores a recorded run's conditions and compares its hands with the replay's."""

    def __init__(self, path: Path, about: RunMetadata, pairs: ReplayPairs) -> None:
        self.pairs = pairs
        self._path = path
        self._about = about
        self._same = True
        self._expected_to_differ = False
        self._pairs = self._equal = 0

    @property
    def threads(self) -> int | None:
        """Of the engine: the number of threads changes the order of sums, and so their last digits."""
        return self._about.threads

    def begin(self, now: RunMetadata) -> list[str]:
        """Restore the recorded thread count; returns one sentence for each condition that differs."""
        torch.set_num_threads(self._about.torch_threads)
        then = self._about
        changed = [key for key in DECIDES_HANDS if getattr(now.settings, key) != getattr(then.settings, key)]
        changed = [key for key in changed if key != "weights"]
        if now.weights_sha256 != then.weights_sha256:
            changed.append("weights")
        self._same = not changed
        notes = [f"not as recorded: {', '.join(changed)}; hands will differ"] if changed else []
        if now.engine != then.engine:
            notes.append(f"recorded with the engine {then.engine}; hands may differ in their last digits")
        if then.settings.record_format != "sent":
            notes.append("images were made JPEGs for the recording: hands will differ from those recorded")
        if then.settings.adapt != "off":
            notes.append("the network adapted while it was recorded, and what it learnt is not here: hands will differ")
        self._expected_to_differ = bool(notes)
        return notes

    def profile(self) -> Profile | None:
        """Camera profile of the recorded run's start, once the first pair was read. Raises UserError if it is damaged."""
        text = self.pairs.about.get(PROFILE, {}).get("profile")
        try:
            return None if text is None else msgspec.json.decode(text, type=Profile)
        except msgspec.MsgspecError as error:
            raise UserError(f"the recording {self._path} has a damaged profile of its cameras: {error}") from error

    def found(self) -> KnownCameras | None:
        """Cameras of the recorded run's first pass, once the first pair was read. Raises UserError if they are damaged."""
        text = self.pairs.about.get(FOUND, {}).get("cameras")
        try:
            return None if text is None else msgspec.json.decode(text, type=KnownCameras)
        except msgspec.MsgspecError as error:
            raise UserError(f"the recording {self._path} has damaged cameras: {error}") from error

    def solver(self) -> Solver:
        """Replays the recorded timing of solutions; with other settings the problems differ, and solving is inline."""
        return ReplayingSolver(self._recorded_solution) if self._same else InlineSolver()

    def take(self, pair: FramePair, hands: list[DualHand]) -> None:
        """Compare a pair's hands with the recorded ones."""
        then = [note.data for note in self.pairs.notes_of_current if note.topic == HAND_TOPIC]
        now = [_encoder.encode(hand_line(pair, hand, hand.R_right_from_left, exact=True)) for hand in hands]
        self._pairs += 1
        self._equal += len(then) == len(now) and all(map(_alike, then, now))

    @property
    def finding(self) -> Finding:
        """How many pairs gave the recorded hands."""
        text = f"{self._equal} of {self._pairs} pairs gave the recorded hands, bit for bit"
        if self._equal == self._pairs or self._expected_to_differ:
            return Finding("replay", text, level="info")
        return Finding("replay", f"{text}: another machine or release computes other last digits, or the recording is damaged")

    def _recorded_solution(self) -> SolverEvent:
        return self.pairs.current.solver if self.pairs.current else ""


def _alike(then: bytes, now: bytes) -> bool:
    """Whether a recorded hand is that of the replay: in all that was recorded but times, which differ from run to run."""
    try:
        recorded: dict[str, msgspec.Raw] = _raw_decoder.decode(then)
    except msgspec.MsgspecError:
        return False
    # Earlier releases recorded fewer fields.
    again = _raw_decoder.decode(now)
    return all(bytes(value) == bytes(again.get(name, b"")) for name, value in recorded.items() if name not in _TIMES)


def recorded_settings(path: Path) -> Settings:
    """Settings of the recorded run. Raises UserError where the file is no recording of a run."""
    return read_run(path).settings


def read_run(path: Path) -> RunMetadata:
    """Metadata of the recorded run. Raises UserError where the file is no recording of a run."""
    return RunMetadata.from_metadata(path, read_metadata(path, RUN))
