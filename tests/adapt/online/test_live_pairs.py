"""Pairs of a live stream are kept for learning or for validation, by stretches of time, and never for both."""

from copy import deepcopy

from adapt.online.live_pairs import STRETCH_NS, LivePairs
from tests.adapt.live_hands import drawn, seen


def test_what_is_held_out_is_never_learnt_from(shipped):
    network, manifest = shipped
    hands = seen(drawn(2, 8.0, 7.0), deepcopy(network), manifest)
    kept = LivePairs(hands.widths_px)
    for pair in hands.pairs:
        kept.add(pair)
    learnt, held_out = ({pair.captured_ns for pair in part.pairs} for part in (kept._training, kept._held_out))
    assert learnt and held_out and not learnt & held_out
    assert not {time // STRETCH_NS for time in learnt} & {time // STRETCH_NS for time in held_out}
