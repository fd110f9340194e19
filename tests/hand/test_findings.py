"""Findings: said once, kept as they are now, and an error among them fails the run."""

import logging

import pytest

from hand.findings import Finding, Findings


def test_each_kind_is_logged_once_for_each_view_and_the_newest_text_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    findings = Findings()
    with caplog.at_level(logging.INFO):
        for text, view in [("a", "left"), ("b", "left"), ("c", "right"), ("d", None)]:
            findings.add(Finding("dark", text, view=view))
    assert [record.message for record in caplog.records] == ["a", "c", "d"]
    assert [finding.text for finding in findings.all] == ["b", "c", "d"]


def test_a_withdrawn_finding_is_gone_and_is_not_said_again(caplog: pytest.LogCaptureFixture) -> None:
    findings = Findings()
    findings.add(Finding("dark", "it is dark"))
    findings.withdraw("dark")
    assert not findings.all
    findings.withdraw("dark")
    findings.add(Finding("dark", "it is dark again"))
    assert [finding.text for finding in findings.all] == ["it is dark again"]
    assert [record.message for record in caplog.records] == ["it is dark"]


@pytest.mark.parametrize(("level", "failed"), [("info", False), ("warning", False), ("error", True)])
def test_only_an_error_fails_the_run(level: str, failed: bool) -> None:
    findings = Findings()
    assert not findings.failed
    findings.add(Finding("k", "t", level=level))  # pyright: ignore[reportArgumentType]
    assert findings.failed is failed
