"""An output that fails is said once, with what to do, and ends alone; other errors pass."""

import errno
import os

import pytest

from hand.findings import Findings
from runtime.output_guard import OutputGuard
from runtime.outputs.hand_publisher import HandPublisher
from tests.runtime.dual_hands import dual_hand, frame_pair


def test_the_first_failure_is_the_finding():
    findings = Findings()
    guard = OutputGuard(findings, "save", "h.jsonl", lambda: "12 hands")
    with guard:
        pass
    assert not guard.failed and not findings.failed
    for number in (errno.ENOSPC, errno.EIO):
        with guard:
            raise OSError(number, os.strerror(number))
    assert guard.failed and findings.failed
    (finding,) = findings.all
    assert finding.kind == "save_failed"
    for part in ("--save h.jsonl", "12 hands", "No space left on device", "goes on without it", "another disk"):
        assert part in finding.text
    with OutputGuard(findings, "stats", "s.json"):
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    assert [(one.kind, "ulimit" in one.text) for one in findings.all] == [("save_failed", False), ("stats_failed", True)]


def test_an_error_of_the_program_is_not_an_outputs():
    findings = Findings()
    with pytest.raises(ZeroDivisionError), OutputGuard(findings, "save", "h.jsonl"):
        raise ZeroDivisionError
    assert not findings.all


def test_a_publisher_whose_address_is_gone_fails_as_a_file_does(tmp_path):
    publisher = HandPublisher(f"ipc://{tmp_path}/hands")
    publisher.close()
    guard = OutputGuard(Findings(), "publish", "ipc", lambda: publisher.written)
    with guard:
        publisher.take(frame_pair(0), [dual_hand(frame_pair(0))])
    assert guard.failed
