"""Which cameras are there: pairs of both, the other's frames alone while one is gone, an end where neither can go on."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from capture.frames import Frame, FramePair
from capture.pairing import Pairer
from capture.views import VIEWS, PerView, View, other

ABSENT_NS = 500_000_000
"""A camera that has given frames, and then none for this long, is gone until it gives one again."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Camera:
    heard_ns: int
    """When it gave its latest frame; before the first, when the stream began."""
    last: Frame | None = None
    absent: bool = False
    left_ns: int = 0
    """When it was last found gone."""
    ended: bool = False


class CameraAvailability:
    """Two cameras' frames to pairs. `lasting` cameras may go and come back; any other that goes ends the stream.

    A view without a frame for `silence_ns` ends the stream too: one that never gave any, or both at once. `names` are the
    sources as the user wrote them.
    """

    def __init__(self, names: PerView[str], pairer: Pairer, *, lasting: PerView[bool], silence_ns: int, started_ns: int) -> None:
        self.faults: Counter[str] = Counter()
        """How often a view was gone: `left_absent`, `right_absent`."""
        self.failure: str | None = None
        """Why the stream ended that should not have, one sentence."""
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
        """Note that a view gave a frame, used or not; or that it could not, since nobody read it."""
        self._cameras[view].heard_ns = max(self._cameras[view].heard_ns, now_ns)

    def silent_ns(self, view: View, now_ns: int) -> int:
        """For how long a view has given nothing."""
        return now_ns - self._cameras[view].heard_ns

    def push(self, frame: Frame) -> list[FramePair]:
        """Take a frame in; give the pairs that it settles."""
        camera, beside = self._cameras[frame.view], self._cameras[other(frame.view)]
        if camera.absent:
            camera.absent = False
            seconds = (frame.received_ns - camera.left_ns) / 1e9
            log.info(f"{frame.view} camera: back after {seconds:.1f} s")
        camera.last = frame
        if not beside.absent or beside.last is None:
            return self._pairer.push(frame)
        if not self._pairer.let_pass(frame):
            return []
        stand_in = beside.last.stand_in(frame)
        return [FramePair(frame, stand_in) if frame.view == "left" else FramePair(stand_in, frame)]

    def end(self, view: View) -> list[FramePair]:
        """Note that a view gives nothing more, as it should be; give the pairs that this settles."""
        self._cameras[view].ended = True
        return self._pairer.finish(view)

    def lost(self, view: View, why: str, now_ns: int) -> list[FramePair]:
        """Note that a view is gone that should not be."""
        camera = self._cameras[view]
        if camera.ended:
            return []
        if self._lasting[view]:
            self._leaves(view, why, now_ns)
            return []
        self._fail(view, why)
        return self.end(view)

    def check_silence(self, now_ns: int, wants: Callable[[View], bool], complaint: str | None) -> list[FramePair]:
        """See which views have been silent for too long, of those that are read."""
        pairs: list[FramePair] = []
        for view in VIEWS:
            camera, silent_ns = self._cameras[view], self.silent_ns(view, now_ns)
            if not wants(view):
                camera.heard_ns = now_ns
                continue
            if self._lasting[view] and camera.last is not None:
                if silent_ns > ABSENT_NS:
                    self._leaves(view, f"no frame for {ABSENT_NS / 1e9:g} s", now_ns)
                if self.silent_ns(other(view), now_ns) <= self._silence_ns:
                    continue
            if silent_ns > self._silence_ns:
                self._fail(view, self._silence(view, complaint))
                pairs += self.end(view)
        return pairs

    def _leaves(self, view: View, why: str, now_ns: int) -> None:
        camera, beside = self._cameras[view], self._cameras[other(view)]
        if camera.absent or camera.last is None:
            return
        camera.absent, camera.left_ns = True, now_ns
        self.faults[f"{view}_absent"] += 1
        for each in VIEWS:
            self._pairer.give_up(each)
        then = "waiting for either camera" if beside.absent else f"going on with the {other(view)} one"
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
