"""Counts of hands that turned out to be another: they add up, and many changes of side are worth a sentence."""

import msgspec
import pytest

from runtime.reporting.tracking import TrackingCounts, tracking_finding


def test_counts_add_up_and_are_stored_by_name() -> None:
    counts = TrackingCounts().with_side_change().with_lost("left").with_lost("right").with_lost("left")
    assert msgspec.to_builtins(counts) == {"side_changes": 1, "left_lost": 2, "right_lost": 1}


@pytest.mark.parametrize(("changes", "said"), [(0, False), (2, False), (3, True), (9, True)])
def test_many_changes_of_side_ask_for_the_side(changes: int, said: bool) -> None:
    finding = tracking_finding(TrackingCounts(side_changes=changes))
    assert (finding is not None) is said
    if finding:
        assert f"{changes} times" in finding.text and "--hand-side" in finding.text
