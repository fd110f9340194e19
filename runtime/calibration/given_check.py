"""Tests a calibration that the user gave while a stream goes on, and corrects it where that is asked for.

Without threads or clocks: it is given pairs.
"""

from dataclasses import replace

from capture.views import PerView
from runtime.calibration.bundle import Keypoints
from runtime.calibration.calibration_check import CheckResult, check_calibration
from runtime.calibration.hypotheses import GivenCalibration
from runtime.calibration.keyframes import Keyframe
from runtime.calibration.motion_monitor import MOVED_NS, MotionMonitor
from runtime.calibration.status import CalibrationCheck, CheckOutcome

MIN_PAIRS, MIN_NS = 12, 800_000_000
"""Keyframes, and time since the first of them, before the first test."""
FIRST_INTERVAL_NS, INTERVAL_NS, SOON = 500_000_000, 5_000_000_000, 4
"""Between two of the first tests, so many, and between two of the later ones: a test takes as long as some pairs."""
AGREEING_TESTS = 2
"""Tests in a row that must come to the same before a calibration is doubted, or no longer."""


class GivenCheck:
    """What hands say of a given calibration so far."""

    def __init__(self, given: GivenCalibration, hand_size_mm: float, *, fix: bool):
        """`fix`: whether a calibration that is wrong by a usual mistake is corrected."""
        self.calibration = given
        """In use."""
        self.check = CalibrationCheck(expected_hand_mm=hand_size_mm)
        self._hand_size_mm = hand_size_mm
        self._fix = fix
        self._monitor: MotionMonitor | None = None
        self._outcome, self._in_a_row = CheckOutcome.UNTESTED, 0
        """Of the last tests."""
        self._tested_ns: int | None = None
        self._tests = 0
        """Since the last start."""
        self._started_ns: int | None = None
        self._moved_ns: int | None = None
        self._was_confirmed = False

    @property
    def contradicted(self) -> bool:
        """Whether the cameras in use are not where they are said to be; their distance alone may be wrong without that."""
        check = self.check
        only_unit = check.hand_mm is not None and not check.corrections
        return check.outcome is CheckOutcome.CONTRADICTED and not check.applied and not only_unit

    def begin(self, captured_ns: int) -> None:
        """A pair comes, with hands or without."""
        self._started_ns = captured_ns if self._started_ns is None else self._started_ns

    def moved(self, pair: Keyframe) -> bool:
        """Whether this pair and those of the last second show that a camera was moved: earlier keyframes are to be dropped."""
        if self._monitor is None or not self._monitor.moved(pair):
            return False
        self._moved_ns = pair.captured_ns - MOVED_NS // 2
        self.restart()
        return True

    def restart(self) -> None:
        """Test anew, on new keyframes; until they decide, what is known holds."""
        self._monitor = self._tested_ns = None
        self._tests = 0
        self._outcome, self._in_a_row = CheckOutcome.UNTESTED, 0

    def is_due(self, captured_ns: int, first_ns: int | None, pairs: int) -> bool:
        """Whether to test now, `pairs` keyframes being there since `first_ns`."""
        if first_ns is None or pairs < MIN_PAIRS or captured_ns - first_ns < MIN_NS:
            return False
        if self._tested_ns is None:
            return True
        # What two tests must agree on is tested again soon.
        settled = self._outcome is self.check.outcome is not CheckOutcome.UNTESTED
        interval_ns = INTERVAL_NS if settled else min(FIRST_INTERVAL_NS * max(1, self._tests // SOON), INTERVAL_NS)
        return captured_ns - self._tested_ns >= interval_ns

    def test(self, captured_ns: int, views: PerView[Keypoints], pairs: tuple[Keyframe, ...], *, varied: bool) -> bool:
        """Test on keyframes `pairs`, which are `views` too; whether what is known has changed. See `check_calibration`."""
        self._tested_ns = captured_ns
        self._tests += 1
        result = check_calibration(self.calibration, views, self._hand_size_mm, varied=varied)
        outcome = result.check.outcome
        self._in_a_row = self._in_a_row + 1 if outcome is self._outcome else 1
        self._outcome = outcome
        if outcome is CheckOutcome.UNTESTED or self._in_a_row < self._needed(outcome):
            return False
        before, self.check = self.check, self._told(result, captured_ns)
        if outcome is CheckOutcome.CONFIRMED:
            self._was_confirmed = True
            if self._monitor is None:
                self._monitor = MotionMonitor.of(self.calibration.geometry, pairs)
        return self.check != before

    def _needed(self, outcome: CheckOutcome) -> int:
        """Tests in a row that must come to `outcome`."""
        first = self.check.outcome is CheckOutcome.UNTESTED and outcome is CheckOutcome.CONFIRMED
        return 1 if first or outcome is self.check.outcome else AGREEING_TESTS

    def _told(self, result: CheckResult, captured_ns: int) -> CalibrationCheck:
        """What is known after a test; takes the correction into use where that is asked for."""
        check = result.check
        if self.check.applied and check.outcome is CheckOutcome.CONFIRMED:
            return replace(self.check, uncertainty=check.uncertainty)
        if check.outcome is CheckOutcome.CONTRADICTED and self._was_confirmed:
            # It was right: a camera was moved, and how that could be written down otherwise says nothing.
            since_ns = captured_ns if self._moved_ns is None else self._moved_ns
            return replace(check, corrections=(), hand_mm=None, uncertainty=None, since_ns=since_ns - (self._started_ns or 0))
        if result.corrected is not None and self._fix and not self.check.applied:
            self.calibration = result.corrected
            self.restart()
            return replace(check, applied=True)
        return check
