"""What a recording contains: length, frames of each camera, pairs, hands, drops, run metadata."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from capture.recording.reader import Recording, RecordingMetadata, WireMessage
from capture.recording.replay import PAIR_TOPIC, RecordedPair
from capture.recording.writer import RecordedFrame
from capture.views import VIEWS, PerView
from hand.errors import UserError
from runtime.outputs.hand_line import HandLine
from runtime.outputs.run_recorder import DROPS_TOPIC, HAND_TOPIC, RUN, RecordedDrops, RunMetadata
from runtime.reporting.skew import Skew
from runtime.settings import Settings


@dataclass(slots=True)
class Camera:
    """Frames of one camera."""

    frames: int = 0
    first_ns: int = 0
    last_ns: int = 0
    sizes: Counter[str] = field(default_factory=Counter)
    """Frames by size and format."""
    recoded: int = 0
    """Frames that were compressed to JPEG for the recording."""
    lost: int = 0
    """Sequence numbers that are missing between two frames."""
    next_seq: int | None = None

    def add(self, frame: RecordedFrame) -> None:
        captured_ns = frame.captured_ns + frame.offset_ns
        self.first_ns = captured_ns if not self.frames else self.first_ns
        self.last_ns = captured_ns
        self.frames += 1
        self.recoded += frame.recoded
        self.sizes[f"{frame.width}x{frame.height} {frame.format}"] += 1
        if self.next_seq is not None and frame.seq > self.next_seq:
            self.lost += frame.seq - self.next_seq
        self.next_seq = frame.seq + 1

    @property
    def per_s(self) -> float:
        passed_ns = self.last_ns - self.first_ns
        return (self.frames - 1) * 1e9 / passed_ns if passed_ns > 0 else 0.0


class SessionInfo:
    """Statistics of a recording, gathered in one pass."""

    def __init__(self, recording: Recording, on_item: Callable[[], object] = lambda: None) -> None:
        self.cameras = PerView.of(lambda view: Camera())
        self.pairs = self.hands = self.solved = 0
        self.sides: Counter[str] = Counter()
        self.skew = Skew()
        self.drops: dict[str, int] = {}
        self.about: dict[str, str] = {}
        self.broken: str | None = None
        """What is missing or damaged, in a sentence; None where nothing is."""
        for item in recording.items():
            if isinstance(item, WireMessage):
                if isinstance(item.header, RecordedFrame):
                    self.cameras[item.view].add(item.header)
            elif isinstance(item, RecordingMetadata):
                self.about |= item.content if item.name == RUN else {}
            else:
                self._note(item.topic, item.data)
            on_item()
        self.path, self.size = recording.path, recording.size
        self.broken = recording.broken or self.broken

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        seen = [camera for camera in self.cameras if camera.frames]
        return (max(each.last_ns for each in seen) - min(each.first_ns for each in seen)) / 1e9 if seen else 0.0

    @property
    def run(self) -> RunMetadata | None:
        """None where the recording has no metadata, or of another version."""
        try:
            return RunMetadata.from_metadata(self.path, self.about) if self.about else None
        except UserError:
            return None

    def lines(self) -> list[str]:
        """The statistics as text, one page."""
        megabytes = self.size / 1e6
        lines = [f"{'recording':<11}{self.path}: {self.seconds:.1f} s, {megabytes:.1f} MB"]
        if self.broken:
            lines.append(f"{'broken':<11}{self.broken}; python -m tools.session repair saves what is intact")
        for view in VIEWS:
            camera = self.cameras[view]
            sizes = ", ".join(camera.sizes) or "nothing"
            lost = f", {camera.lost} lost" * (camera.lost > 0) + ", compressed to JPEG for the recording" * (camera.recoded > 0)
            lines.append(f"{view:<11}{camera.frames} frames at {camera.per_s:.1f}/s, {sizes}{lost}")
        lines.append(f"{'pairs':<11}{self.pairs} taken, {self.hands} hands ({self._counts(self.sides)}), {self.solved} solutions")
        lines += [f"{'skew' if not number else '':<11}{line}" for number, line in enumerate(self.skew.lines())]
        lines.append(f"{'dropped':<11}{self._counts(self.drops)}")
        run = self.run
        if run is None:
            return [*lines, f"{'run':<11}no metadata that this version understands"]
        settings = {key: getattr(run.settings, key) for key in Settings.__struct_fields__}
        changed = {key: value for key, value in settings.items() if value != getattr(Settings(), key)}
        lines.append(f"{'began':<11}{run.started_at}")
        lines.append(f"{'engine':<11}{run.engine}")
        lines.append(f"{'weights':<11}sha256 {run.weights_sha256 or 'not known'}")
        lines.append(f"{'settings':<11}{', '.join(f'{key} {value}' for key, value in changed.items())}")
        return lines

    def _note(self, topic: str, data: bytes) -> None:
        try:
            if topic == PAIR_TOPIC:
                pair = msgspec.json.decode(data, type=RecordedPair)
                self.pairs += 1
                self.solved += pair.solver == "solved"
                if not pair.absent:
                    self.skew.add(pair.skew_ns)
            elif topic == HAND_TOPIC:
                self.hands += 1
                self.sides[msgspec.json.decode(data, type=HandLine).side] += 1
            elif topic == DROPS_TOPIC:
                self.drops = msgspec.json.decode(data, type=RecordedDrops).frames
        except msgspec.MsgspecError as error:
            self.broken = f"a message of {topic} is not of this version ({error})"

    @staticmethod
    def _counts(counts: dict[str, int] | Counter[str]) -> str:
        return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if count) or "none"
