"""What `auto` finds of two clips, and what it says where nothing is to be found."""

import pytest

from capture.views import PerView
from hand.errors import UserError
from hand.findings import Findings
from runtime.settings import Settings
from runtime.synchronization.clip_pass import find_timing, timing_of
from runtime.synchronization.motion import HandMotion
from tests.paths import SHARED
from tests.runtime.synchronization.motions import clips, still


@pytest.mark.parametrize("lag_s", [0.5, -1.2])
def test_an_offset_is_found_and_said_with_its_uncertainty(lag_s):
    offset_s, rate, finding = timing_of(clips(lag_s), "auto", 1.0)
    assert offset_s == pytest.approx(lag_s, abs=0.01) and rate == 1
    assert f"the right clip began {abs(offset_s):.3f} s (+- 0.0" in finding.text and finding.level == "info"
    assert ("after" if lag_s > 0 else "before") in finding.text


def test_offset_and_rate_are_found_together_or_one_beside_the_other_that_is_given():
    motions = clips(0.5, 2.0)
    for offset, rate in (("auto", "auto"), ("auto", 2.0), (0.5, "auto")):
        offset_s, factor, finding = timing_of(motions, offset, rate)
        assert (offset_s, factor) == pytest.approx((0.5, 2.0), abs=0.01)
        assert ("plays 2 times slower" in finding.text) == (rate == "auto")
        assert ("began" in finding.text) == (offset == "auto")


@pytest.mark.parametrize(
    ("motions", "why"),
    [
        (still(), "correlation of only|so that none is certain"),
        (PerView(clips(0, seed=0).left, clips(0, seed=50).right), "correlation of only|so that none is certain"),
        (PerView(clips(0).left, HandMotion.of([])), r"a hand is seen in the right clip for 0\.0 s"),
    ],
)
def test_what_cannot_be_found_is_said_rather_than_guessed(motions, why):
    with pytest.raises(UserError, match=f"^--offset auto: .*({why}).*give the numbers yourself"):
        timing_of(motions, "auto", 1.0)


def test_only_clips_can_be_read_before_the_run():
    with pytest.raises(UserError, match=r"--offset auto: the left source 'synthetic' is no clip on disk"):
        find_timing(Settings(left="synthetic", right="synthetic", offset="auto"), Findings())


CASE = SHARED / "cases" / "clips_out_of_step"


@pytest.mark.skipif(not CASE.is_dir(), reason="the clips are not here")
def test_a_real_clip_that_began_half_a_second_late():
    settings = Settings(left=str(CASE / "left.mp4"), right=str(CASE / "right_late05.mp4"), offset="auto", estimator="detnet")
    findings = Findings()
    found = find_timing(settings, findings)
    assert found.offset == pytest.approx(0.5, abs=0.01) and found.rate == 1
    assert [finding.kind for finding in findings.all] == ["clips_aligned"]
