"""Samples of a stream are thinned evenly, within a bound of memory."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from adapt.core.training_samples import EvenSubsample


@given(st.integers(1, 20), st.integers(0, 400))
def test_a_stream_is_thinned_evenly_and_few_are_held(most, count):
    thinned, held = EvenSubsample[int](most), []
    for number in range(count):
        thinned.add(number)
        held.append(len(thinned._items))
    assert len(thinned.items) == min(most, count)
    assert all(now < 2 * most for now in held)
    if len(thinned.items) > 1:
        gaps = np.diff(thinned.items)
        assert thinned.items[0] == 0 and gaps.min() >= 1 and gaps.max() <= 2 * gaps.min()
        assert count - 1 - thinned.items[-1] <= gaps.max()
