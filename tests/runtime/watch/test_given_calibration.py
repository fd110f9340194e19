"""A calibration that hands contradict is an error while that is so."""

from dataclasses import replace

from hand.findings import Findings
from runtime.calibration.status import CalibrationCheck, CalibrationPhase, CalibrationStatus, CheckOutcome, Correction
from runtime.watch.run_watch import RunWatch
from tests.runtime.dual_hands import frame_pair

CONTRADICTED = CalibrationCheck(
    CheckOutcome.CONTRADICTED, agreement=0.28, corrections=(Correction.INVERSE,), corrected_agreement=0.95, expected_hand_mm=90.0
)


def test_findings_follow_what_is_known():
    status, seq = CalibrationStatus(CalibrationPhase.GIVEN), 0
    findings = Findings()
    watch = RunWatch(findings, lambda: status)

    def told(check: CalibrationCheck) -> list[str]:
        nonlocal status, seq
        status = replace(status, check=check)
        for _ in range(8):
            watch.take(frame_pair(seq), [])
            seq += 1
        return [finding.kind for finding in findings.all if finding.kind.startswith("calibration")]

    assert told(CalibrationCheck()) == []
    assert told(CONTRADICTED) == ["calibration_contradicted"] and findings.failed
    assert told(replace(CONTRADICTED, applied=True)) == ["calibration_fixed"] and not findings.failed
    assert told(CalibrationCheck(CheckOutcome.CONFIRMED)) == []
