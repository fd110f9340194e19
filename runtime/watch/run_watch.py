"""Shows each pair of a run to all watchers, and keeps what they find among the run's findings."""

from collections.abc import Callable

from capture.frames import FramePair
from hand.findings import Findings
from runtime.calibration.status import CalibrationStatus
from runtime.types import DualHand
from runtime.watch.calibration import CAMERAS_UNKNOWN, CalibrationWatch
from runtime.watch.channels import ExchangedChannels, Locate
from runtime.watch.exposure import Exposure
from runtime.watch.frozen_view import FrozenView
from runtime.watch.given_calibration import GivenCalibrationWatch
from runtime.watch.grey_view import GreyView
from runtime.watch.hand_size import HandSize
from runtime.watch.mirrored_view import MirroredView
from runtime.watch.one_view import OneView
from runtime.watch.same_camera import SameCamera
from runtime.watch.sharpness import Sharpness
from runtime.watch.watched import PICTURE_PERIOD_NS, PictureWatcher, WatchedPair, Watcher, pictures_of


class RunWatch:
    """An `Output` of the loop, which changes nothing of what comes of a pair. Used by one thread."""

    def __init__(
        self,
        findings: Findings,
        calibration: Callable[[], CalibrationStatus | None] = lambda: None,
        *,
        taught_in_colour: bool = True,
        load_locator: Callable[[], Locate] | None = None,
    ):
        """`calibration` gives the status after the pair that is shown; grey pictures harm networks `taught_in_colour`. Without
        `load_locator` no picture is searched for hands.
        """
        self.calibration = CalibrationWatch()
        self._findings = findings
        self._status = calibration
        self._of_pictures: list[PictureWatcher] = [SameCamera(), FrozenView(), Exposure(), Sharpness()]
        if taught_in_colour:
            self._of_pictures.append(GreyView())
        self._watchers: list[Watcher] = [
            self.calibration,
            GivenCalibrationWatch(),
            MirroredView(),
            HandSize(),
            OneView(),
            *self._of_pictures,
        ]
        if load_locator is not None:
            self._watchers.append(ExchangedChannels(load_locator))
        self._said: set[tuple[str, str | None]] = set()
        """Kind and view of the findings that are the case now."""
        self._first_ns: int | None = None
        self._looked_ns: int | None = None

    def take(self, pair: FramePair, hands: list[DualHand]) -> None:
        """Show a pair with its hands to all watchers."""
        captured_ns = max(pair.left.captured_ns, pair.right.captured_ns)
        self._first_ns = captured_ns if self._first_ns is None else self._first_ns
        watched = WatchedPair(captured_ns, pair, hands[0] if hands else None, self._status(), captured_ns - self._first_ns)
        for watcher in self._watchers:
            watcher.take(watched)
        if self._looked_ns is None or not 0 <= captured_ns - self._looked_ns < PICTURE_PERIOD_NS:
            self._looked_ns = captured_ns
            pictures = pictures_of(pair)
            for watcher in self._of_pictures:
                watcher.look(watched, pictures)
            self._keep()

    def _keep(self) -> None:
        """Add what is found now, and withdraw what is no longer so."""
        found = [finding for watcher in self._watchers for finding in watcher.findings]
        self.calibration.contradicted = any(finding.level == "error" for finding in found)
        if self.calibration.contradicted:
            # What keeps the cameras unknown is found.
            found = [finding for finding in found if finding.kind != CAMERAS_UNKNOWN]
        now = {(finding.kind, finding.view) for finding in found}
        for kind, view in self._said - now:
            self._findings.withdraw(kind, view)
        for finding in found:
            self._findings.add(finding)
        self._said = now
