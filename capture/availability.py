"""Which cameras give frames: pairs of both, one camera's frames while the other is absent, the end where neither goes on."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from capture.frames import Frame, FramePair
from capture.pairing import Pairer
from capture.views import VIEWS, PerView, View, other

ABSENT_NS = 500_000_000
"""A camera that had usable frames and then none for this long is absent until its next one."""
UNSEEN_NS = 2_000_000_000
"""A camera that has not had a usable frame yet is absent this long after the start."""

NO_COMPLAINTS: PerView[str | None] = PerView(None, None)
"""Nothing is known to be wrong with either view's messages."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Camera:
    heard_ns: int
    """Time of its latest usable frame; before the first, start of the stream."""
    size_px: tuple[int, int] | None = None
    """Width and height that it has announced."""
    fov_deg: float | None = None
    last: Frame | None = None
    absent: bool = False
    left_ns: int = 0
    """Start of its last absence."""
    ended: bool = False


class CameraAvailability:
    """Pairs the usable frames of two cameras. `lasting` cameras may come late, stop and come back; any other ends the stream.

    The stream also ends after `silence_ns` without a frame of either lasting camera, or of any other view. `names` are the
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
        """Note that a view had a usable frame; or that none could arrive, because the view was not read."""
        self._cameras[view].heard_ns = max(self._cameras[view].heard_ns, now_ns)

    def announced(self, view: View, size_px: tuple[int, int], fov_deg: float | None) -> None:
        """Note what a view says of its frames, whether or not they are usable."""
        self._cameras[view].size_px, self._cameras[view].fov_deg = size_px, fov_deg

    def silent_ns(self, view: View, now_ns: int) -> int:
        """Time since the last usable frame of a view."""
        return now_ns - self._cameras[view].heard_ns

    def push(self, frame: Frame) -> list[FramePair]:
        """Process a frame; the pairs that are settled by it."""
        camera, partner = self._cameras[frame.view], self._cameras[other(frame.view)]
        if self._pairer.is_late(frame):
            return self._pairer.push(frame)
        self.heard(frame.view, frame.received_ns)
        if camera.absent:
            camera.absent = False
            seconds = (frame.received_ns - camera.left_ns) / 1e9
            log.info(f"{frame.view} camera: back after {seconds:.1f} s")
        camera.last = frame
        if not partner.absent:
            return self._pairer.push(frame)
        self._pairer.pass_unpaired(frame)
        view = other(frame.view)
        if partner.last is None:
            stand_in = Frame.before_first(view, frame, partner.size_px, partner.fov_deg)
        else:
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

    def set_aside(self, view: View, now_ns: int) -> None:
        """Go on without a view whose frames cannot be used; why is said by whoever found that out."""
        if self._lasting[view]:
            self._mark_absent(view, None, now_ns)

    def check_silence(
        self, now_ns: int, wants: Callable[[View], bool], complaints: PerView[str | None] = NO_COMPLAINTS
    ) -> list[FramePair]:
        """Find views that were silent for too long, of those that are read; `complaints`: what is wrong with their messages."""
        pairs: list[FramePair] = []
        # Where neither view goes on, the one with a reason is named.
        for view in sorted(VIEWS, key=lambda view: complaints[view] is None):
            camera, silent_ns = self._cameras[view], self.silent_ns(view, now_ns)
            if not wants(view):
                camera.heard_ns = now_ns
                continue
            if self._lasting[view]:
                if camera.last is None and silent_ns > UNSEEN_NS:
                    self.set_aside(view, now_ns)
                elif camera.last is not None and silent_ns > ABSENT_NS:
                    usable = "usable " if complaints[view] else ""
                    self._mark_absent(view, f"no {usable}frame for {ABSENT_NS / 1e9:g} s", now_ns)
                if self.silent_ns(other(view), now_ns) <= self._silence_ns:
                    continue
            if silent_ns > self._silence_ns:
                self._fail(view, self._silence(view, complaints[view]))
                pairs += self.end(view)
        return pairs

    def _mark_absent(self, view: View, why: str | None, now_ns: int) -> None:
        camera, partner = self._cameras[view], self._cameras[other(view)]
        if camera.absent:
            return
        camera.absent, camera.left_ns = True, now_ns
        self.faults[f"{view}_absent"] += 1
        for each in VIEWS:
            self._pairer.give_up(each)
        then = "waiting for either camera" if partner.absent else f"going on with the {other(view)} one"
        log.log(logging.DEBUG if why is None else logging.WARNING, f"{view} camera: {why or 'not used'}; {then}")

    def _silence(self, view: View, complaint: str | None) -> str:
        what = "no usable frame" if complaint else "no frame"
        what += "" if self._cameras[view].last is None else " any more"
        advice = complaint or f"check that it runs and publishes view {view!r}"
        return f"{what} from {self._names[view]!r} for {self._silence_ns / 1e9:g} s; {advice}"

    def _fail(self, view: View, why: str) -> None:
        # What fails second is often a consequence of what failed first.
        self.failure = self.failure or f"{view} camera: {why}"
