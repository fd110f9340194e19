"""What hands say of the calibration that the user gave."""

from hand.findings import Finding
from runtime.calibration.status import CalibrationCheck
from runtime.reporting.calibration_check_text import check_finding
from runtime.watch.watched import WatchedPair


class GivenCalibrationWatch:
    """A `Watcher`."""

    def __init__(self) -> None:
        self._check: CalibrationCheck | None = None

    def take(self, watched: WatchedPair) -> None:
        """See `Watcher`."""
        self._check = watched.calibration.check if watched.calibration else None

    @property
    def findings(self) -> list[Finding]:
        """See `Watcher`."""
        finding = check_finding(self._check) if self._check else None
        return [finding] if finding else []
