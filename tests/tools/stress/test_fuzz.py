"""A smaller run of `python -m tools.stress.fuzz`: nearly valid messages are refused or taken, and the stream goes on."""

from hypothesis import given
from hypothesis import strategies as st

from tools.stress import near_valid
from tools.stress.fuzz import Settings, fuzz


def test_nothing_escapes_and_good_pairs_come_out_in_between():
    outcome = fuzz(Settings(messages=6000, seed=3))
    assert outcome.escaped == []
    assert outcome.missing == 0 and outcome.pairs >= 10 and outcome.messages >= 6000
    assert outcome.growth_mb < 20
    # Most are refused and some pass, else they would not be nearly valid.
    assert 0.5 < outcome.refused / outcome.messages < 0.999


@given(st.sampled_from(near_valid.GOOD), near_valid.steps)
def test_altering_leaves_the_good_message_as_it_is(good, steps):
    view, parts = good[0], list(good[1])
    assert near_valid.altered(good, steps)[0] == view
    assert good[1] == parts
    assert near_valid.altered(good, []) == (view, parts)


@given(st.binary(max_size=64), near_valid.edits)
def test_bytes_grow_by_no_more_than_the_edits(good, edits):
    assert len(near_valid.edited(good, edits)) <= len(good) + sum(len(piece) for _, _, piece in edits)
