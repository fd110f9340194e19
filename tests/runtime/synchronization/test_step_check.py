"""The check of a running stream: it says what is out of step, once it is sure, and takes it back."""

from dataclasses import replace

import pytest

from capture.views import PerView
from hand.findings import Finding, Findings
from runtime.synchronization.motion import HandMotion
from runtime.synchronization.step_check import KIND, StepCheck
from tests.runtime.dual_hands import dual_hand, frame_pair
from tests.runtime.synchronization.motions import clips, still


def feed(check: StepCheck, motions: PerView[HandMotion], start_s: float = 100.0) -> None:
    """Give the check pairs of both views' frames at the same own times, as a stream that believes them does."""
    for number, (left, right) in enumerate(zip(*(motion.pixels for motion in motions), strict=False)):
        own_ns = round((start_s + motions.left.times_s[number]) * 1e9)
        pair = frame_pair(number)
        pair = replace(pair, left=replace(pair.left, captured_ns=own_ns), right=replace(pair.right, captured_ns=own_ns))
        hand = dual_hand(pair)
        pixels = PerView(left, right)
        left_hand, right_hand = hand.views
        assert left_hand is not None and right_hand is not None
        views = PerView(replace(left_hand, pixels=pixels.left), replace(right_hand, pixels=pixels.right))
        check.take(pair, [replace(hand, views=views)])


def texts(findings: Findings) -> list[str]:
    assert {finding.kind for finding in findings.all} <= {KIND}
    return [finding.text for finding in findings.all]


@pytest.mark.parametrize("lag_s", [0.1, 0.5, -0.5])
def test_clips_out_of_step_are_told_with_the_offset_to_give(lag_s):
    findings = Findings()
    check = StepCheck(findings, clips=True)
    feed(check, clips(lag_s))
    (text,) = texts(findings)
    when = "after" if lag_s > 0 else "before"
    assert "the right clip seems to have begun " in text and f"{when} the left one" in text
    assert float(text.split("--offset ")[-1]) == pytest.approx(lag_s, abs=0.03)
    assert check.lag is not None and check.lag.lag_s == pytest.approx(lag_s, abs=0.03)


def test_an_offset_that_is_given_already_is_added_to_what_is_missing():
    findings = Findings()
    feed(StepCheck(findings, clips=True, offset_s=1.0), clips(0.5))
    (text,) = texts(findings)
    assert float(text.split("--offset ")[-1]) == pytest.approx(1.5, abs=0.03)


def test_cameras_out_of_step_are_told_whose_stamps_are_early():
    findings = Findings()
    feed(StepCheck(findings, clips=False), clips(0.3))
    (text,) = texts(findings)
    assert "the right view's frames are stamped " in text and "too early" in text and "--offset" not in text


@pytest.mark.parametrize("seed", range(4))
def test_views_in_step_are_no_finding_and_the_skew_says_so(seed):
    findings = Findings()
    check = StepCheck(findings, clips=True)
    assumed = check.sentence()
    assert assumed is not None and "is assumed (--offset auto finds out)" in assumed
    feed(check, clips(0.0, seed=seed))
    check.finish()
    sentence = check.sentence()
    assert texts(findings) == [] and sentence is not None and "by the hand's motion the right view is" in sentence


@pytest.mark.parametrize("seed", range(3))
def test_a_hand_that_stands_still_is_no_finding(seed):
    findings = Findings()
    check = StepCheck(findings, clips=True)
    feed(check, still(seed=seed))
    check.finish()
    assert texts(findings) == [] and check.lag is None


def test_a_finding_is_withdrawn_once_the_views_are_in_step():
    findings = Findings()
    check = StepCheck(findings, clips=False)
    feed(check, clips(0.5))
    assert texts(findings)
    feed(check, clips(0.0, seconds=20), start_s=110)
    assert texts(findings) == []


def test_a_clock_that_is_set_back_starts_anew():
    findings = Findings()
    check = StepCheck(findings, clips=False)
    feed(check, clips(0.5))
    feed(check, clips(0.0, seconds=2), start_s=50)
    assert check.lag is None


def test_other_rates_are_told_at_the_end_and_of_clips_alone():
    for is_clips, expected in ((True, 1), (False, 0)):
        findings = Findings()
        check = StepCheck(findings, clips=is_clips)
        feed(check, clips(0.0, 1.2, seconds=12))
        check.finish()
        found = [text for text in texts(findings) if "seems to play 1.2 times slower" in text]
        assert len(found) == expected


def test_slow_motion_is_told_by_how_fast_the_hands_move():
    findings = Findings()
    check = StepCheck(findings, clips=True)
    feed(check, clips(0.0, 8.0, seconds=8))
    check.finish()
    (text,) = texts(findings)
    assert "there is no certain shift" in text
    assert "times slower in the right clip than in the left one" in text and "--offset auto --rate auto" in text


def test_where_a_cause_is_known_no_other_is_guessed():
    findings = Findings()
    findings.add(Finding("view_frozen", "the right picture stands still", "error", "right"))
    check = StepCheck(findings, clips=True)
    feed(check, clips(0.0, 8.0, seconds=8))
    check.finish()
    assert [finding.kind for finding in findings.all] == ["view_frozen"]


def test_views_without_hands_are_no_finding():
    findings = Findings()
    check = StepCheck(findings, clips=True)
    for number in range(300):
        check.take(frame_pair(number), [])
    check.finish()
    assert texts(findings) == []
