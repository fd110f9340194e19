"""A smaller round of `python -m tools.stress.fuzz`: what is nearly a message is refused or taken, and the stream goes on."""

from tools.stress.fuzz import Mutator, Settings, fuzz


def test_nothing_escapes_and_good_pairs_come_out_in_between():
    outcome = fuzz(Settings(messages=6000, seed=3))
    assert outcome.escaped == []
    assert outcome.missing == 0 and outcome.pairs == 12
    assert outcome.growth_mb < 20
    # Most are refused, and some pass: else they would not be nearly right.
    assert 3000 < outcome.refused < 5990


def test_the_same_seed_makes_the_same_messages():
    first, second = Mutator(5), Mutator(5)
    assert [first.message() for _ in range(50)] == [second.message() for _ in range(50)]
