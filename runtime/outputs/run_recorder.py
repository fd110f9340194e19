"""Run metadata and results in a recording: settings, weights, pairs, hands, drops."""

import hashlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from capture.frames import FramePair
from capture.masking import masked
from capture.recording.recorder import Recorder
from capture.recording.replay import PAIR_TOPIC, RecordedPair
from capture.views import VIEWS
from hand.errors import UserError
from runtime.calibration.camera_profile import Profile
from runtime.calibration.recordings.known_cameras import KnownCameras
from runtime.calibration.solver_log import RecordingSolver
from runtime.outputs.hand_line import HandLine, hand_line
from runtime.settings import Settings, with_estimator
from runtime.types import DualHand

HAND_TOPIC, DROPS_TOPIC = "/hand", "/drops"
RUN, PROFILE, FOUND = "duohand.run", "duohand.profile", "duohand.found"
"""Names of metadata records."""
_DROPS_EVERY_NS = 1_000_000_000


class RecordedDrops(msgspec.Struct, frozen=True):
    """Number of frames dropped so far."""

    frames: dict[str, int]
    """By reason."""


TOPICS = {HAND_TOPIC: HandLine, PAIR_TOPIC: RecordedPair, DROPS_TOPIC: RecordedDrops}


class RunMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, engine and weights of a run; in a recording's metadata, every value as JSON."""

    settings: Settings
    engine: str
    """Its description."""
    weights_sha256: str | None
    """Of the network's file; None for MediaPipe's models."""
    threads: int | None
    """Threads of the engine; None: the library's default."""
    torch_threads: int
    started_at: str
    """ISO 8601."""

    @classmethod
    def of(cls, settings: Settings, engine: str, weights: Path | None, threads: int | None, torch_threads: int) -> "RunMetadata":
        fields = {name: getattr(settings, name) for name in Settings.__struct_fields__}
        # Passwords of network cameras and tokens are nobody's who gets a recording.
        fields |= {view: source and masked(source) for view, source in (("left", settings.left), ("right", settings.right))}
        fields |= {"output": tuple(url.partition("?")[0] for url in settings.output)}
        # A replay may run in another working directory.
        fields |= {"weights": settings.weights and settings.weights.resolve()}
        fields |= {"calibration": tuple(path.resolve() for path in settings.calibration)}
        return cls(
            settings=Settings(**fields),
            engine=engine,
            weights_sha256=None if weights is None else hashlib.sha256(weights.read_bytes()).hexdigest(),
            threads=threads,
            torch_threads=torch_threads,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def to_metadata(self) -> dict[str, str]:
        fields = msgspec.structs.asdict(self)
        return {name: msgspec.json.encode(value, enc_hook=str).decode() for name, value in fields.items()}

    @classmethod
    def from_metadata(cls, path: Path, metadata: Mapping[str, str]) -> "RunMetadata":
        """Raises UserError, which names the recording, for metadata that this version did not write."""
        text = "{" + ",".join(f"{msgspec.json.encode(name).decode()}:{value}" for name, value in metadata.items()) + "}"
        try:
            values = msgspec.json.decode(text, type=dict[str, Any])
            if isinstance(settings := values.get("settings"), dict):
                # Before `auto` was the default, a run that named no estimator took detnet.
                values["settings"] = {"estimator": "detnet", **with_estimator(settings)}
            return msgspec.convert(values, cls, dec_hook=lambda kind, value: kind(value))
        except msgspec.MsgspecError as error:
            what = str(error) if metadata else "nothing is said of its run"
            raise UserError(
                f"{path} cannot be replayed by this version: {what}; use --left {path}#left --right {path}#right"
            ) from error


class RunRecorder:
    """Records a run's results pair by pair; `recorder.message` takes the cameras' messages."""

    def __init__(self, path: Path, settings: Settings, about: RunMetadata) -> None:
        """Raises UserError where the file cannot be made, or is there already and is not to be overwritten."""
        self.recorder = Recorder(
            path, TOPICS, format=settings.record_format, lossless=settings.every_pair, overwrite=settings.overwrite
        )
        self.recorder.about(RUN, about.to_metadata())
        self.solver: RecordingSolver | None = None
        """Calibration solver, where there is one."""
        self.drops: Callable[[], Mapping[str, int]] = dict
        """Returns the frames dropped so far, by reason."""
        self._dropped_ns = 0

    def write_profile(self, profile: Profile | None) -> None:
        """Record the camera profile that the run starts with."""
        if profile is not None:
            self.recorder.about(PROFILE, {"profile": msgspec.json.encode(profile).decode()})

    def write_found(self, found: KnownCameras | None) -> None:
        """Record the cameras that a first pass has found."""
        if found is not None:
            self.recorder.about(FOUND, {"cameras": msgspec.json.encode(found).decode()})

    def mark_processed(self, pair: FramePair) -> None:
        """Mark the frames of a pair whose processing starts: a replay needs them."""
        for view in VIEWS:
            self.recorder.keep(view, pair[view].seq)

    def take(self, pair: FramePair, hands: list[DualHand]) -> None:
        """Record a pair and its hands. Raises OSError where the recording has broken off."""
        self._require_recording()
        now_ns = time.monotonic_ns()
        for hand in hands:
            self.recorder.note(HAND_TOPIC, hand_line(pair, hand, hand.R_right_from_left, exact=True), hand.timings.captured_ns)
        recorded = RecordedPair(
            left_seq=pair.left.seq,
            right_seq=pair.right.seq,
            left_captured_ns=pair.left.captured_ns,
            right_captured_ns=pair.right.captured_ns,
            skew_ns=pair.skew_ns,
            paired_ns=pair.paired_ns,
            started_ns=hands[0].timings.started_ns if hands else now_ns,
            hands=len(hands),
            absent="left" if pair.left.absent else "right" if pair.right.absent else "",
            solver=self.solver.take_event() if self.solver else "",
        )
        self.recorder.note(PAIR_TOPIC, recorded, now_ns)
        if now_ns - self._dropped_ns >= _DROPS_EVERY_NS:
            self._dropped_ns = now_ns
            self._note_drops()

    def close(self) -> None:
        """Finish the file. Raises OSError where it is incomplete. May be called again."""
        self._note_drops()
        self.recorder.close()
        self._require_recording()

    @property
    def written(self) -> str:
        return f"{self.recorder.frames} frames"

    def _require_recording(self) -> None:
        if self.recorder.failure:
            raise self.recorder.failure

    def _note_drops(self) -> None:
        unrecorded = {"unrecorded": self.recorder.unrecorded} if self.recorder.unrecorded else {}
        self.recorder.note(DROPS_TOPIC, RecordedDrops({**self.drops(), **unrecorded}))
