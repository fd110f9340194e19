"""Which cameras give frames: pairs of both, one camera's frames while the other is absent, the end where neither goes on."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from capture.frames import Frame, FramePair
from capture.pairing import Pairer
from capture.views import VIEWS, PerView, View, other

ABSENT_NS = 500_000_000
"""A camera that had frames and then none for this long is absent until its next frame."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Camera:
    heard_ns: int
    """Time of its latest frame; before the first, start of the stream."""
    last: Frame | None = None
    absent: bool = False
    left_ns: int = 0
    """Start of its last absence."""
    ended: bool = False


class CameraAvailability:
    """Pairs the frames of two cameras. `lasting` cameras may stop and come back; any other that stops ends the stream.

    The stream also ends after `silence_ns` without a frame: of a view that never had one, or of both at once. `names` are the
    sources as the user wrote them.
    """

    def __init__(self, names: PerView[str], pairer: Pairer, *, lasting: PerView[bool], silence_ns: int, started_ns: int) -> None:
        self.faults: Counter[str] = Counter()
        """Count of absences: `left_absent`, `right_absent`."""
        self.failure: str | None = None
        """Why the stream ended unexpectedly, one sentence."""
        self._names = names
        self._pairer = pairer
        self._lasting = lasting
        self._silence_ns = silence_ns
        self._cameras = PerView.of(lambda view: _Camera(started_ns))

    @property
    def ended(self) -> bool:
        """Whether no further pair can come."""
        return self.failure is not None or self._pairer.exhausted

    def has_ended(self, view: View) -> bool:
        return self._cameras[view].ended

    def heard(self, view: View, now_ns: int) -> None:
        """Note that a view had a frame, used or not; or that none could arrive, because the view was not read."""
        self._cameras[view].heard_ns = max(self._cameras[view].heard_ns, now_ns)

    def silent_ns(self, view: View, now_ns: int) -> int:
        """Time since the last frame of a view."""
        return now_ns - self._cameras[view].heard_ns

    def push(self, frame: Frame) -> list[FramePair]:
        """Process a frame; the pairs that are settled by it."""
        camera, partner = self._cameras[frame.view], self._cameras[other(frame.view)]
        if camera.absent:
            camera.absent = False
            seconds = (frame.received_ns - camera.left_ns) / 1e9
            log.info(f"{frame.view} camera: back after {seconds:.1f} s")
        camera.last = frame
        if not partner.absent or partner.last is None:
            return self._pairer.push(frame)
        if not self._pairer.pass_unpaired(frame):
            return []
        stand_in = partner.last.stand_in(frame)
        return [FramePair(frame, stand_in) if frame.view == "left" else FramePair(stand_in, frame)]

    def end(self, view: View) -> list[FramePair]:
        """Note that a view has ended as expected; the pairs that are settled by that."""
        self._cameras[view].ended = True
        return self._pairer.finish(view)

    def lost(self, view: View, why: str, now_ns: int) -> list[FramePair]:
        """Note that a view has stopped unexpectedly."""
        camera = self._cameras[view]
        if camera.ended:
            return []
        if self._lasting[view]:
            self._mark_absent(view, why, now_ns)
            return []
        self._fail(view, why)
        return self.end(view)

    def check_silence(self, now_ns: int, wants: Callable[[View], bool], complaint: str | None) -> list[FramePair]:
        """Find views that were silent for too long, of those that are read."""
        pairs: list[FramePair] = []
        for view in VIEWS:
            camera, silent_ns = self._cameras[view], self.silent_ns(view, now_ns)
            if not wants(view):
                camera.heard_ns = now_ns
                continue
            if self._lasting[view] and camera.last is not None:
                if silent_ns > ABSENT_NS:
                    self._mark_absent(view, f"no frame for {ABSENT_NS / 1e9:g} s", now_ns)
                if self.silent_ns(other(view), now_ns) <= self._silence_ns:
                    continue
            if silent_ns > self._silence_ns:
                self._fail(view, self._silence(view, complaint))
                pairs += self.end(view)
        return pairs

    def _mark_absent(self, view: View, why: str, now_ns: int) -> None:
        camera, partner = self._cameras[view], self._cameras[other(view)]
        if camera.absent or camera.last is None:
            return
        camera.absent, camera.left_ns = True, now_ns
        self.faults[f"{view}_absent"] += 1
        for each in VIEWS:
            self._pairer.give_up(each)
        then = "waiting for either camera" if partner.absent else f"going on with the {other(view)} one"
        log.warning(f"{view} camera: {why}; {then}")

    def _silence(self, view: View, complaint: str | None) -> str:
        what = "no frame" if self._cameras[view].last is None else "no frame any more"
        advice = (
            f"its latest malformed message was {complaint}" if complaint else f"check that it runs and publishes view {view!r}"
        )
        return f"{what} from {self._names[view]!r} for {self._silence_ns / 1e9:g} s; {advice}"

    def _fail(self, view: View, why: str) -> None:
        # What fails second is often a consequence of what failed first.
        self.failure = self.failure or f"{view} camera: {why}"
