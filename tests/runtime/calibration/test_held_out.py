"""Held-out pairs speak for the cameras that are nearer to the truth, and say nothing while they are few."""

import numpy as np
import pytest

from capture.views import PerView
from runtime.calibration.held_out import MIN_PAIRS, HeldOutPairs
from runtime.calibration.keyframes import Keyframe
from tests.runtime.calibration.claims import seen
from tests.runtime.solutions import turned
from tools.evaluate.two_views import SIZE_PX, Observed


@pytest.fixture(scope="module")
def observed() -> Observed:
    return seen(3, 60)


def held_out(observed: Observed, count: int) -> HeldOutPairs:
    pairs = HeldOutPairs(PerView(SIZE_PX[0], SIZE_PX[0]))
    there = [(ns, pair) for ns, pair in zip(observed.captured_ns.tolist(), observed.pairs, strict=True) if pair]
    for ns, pair in there[:count]:
        keyframe = Keyframe.of(ns, pair)
        assert keyframe is not None
        pairs.add(keyframe)
    return pairs


def test_the_true_cameras_lead_over_others_and_others_trail(observed: Observed):
    pairs, true = held_out(observed, 30), observed.rig.geometry
    leads = [pairs.lead(true, turned(true, degrees)) for degrees in (6, 12)]
    assert min(leads) > 2
    assert pairs.lead(turned(true, 12), true) == pytest.approx(-leads[1])
    assert pairs.lead(true, true) == 0


def test_few_pairs_say_nothing(observed: Observed):
    true = observed.rig.geometry
    assert held_out(observed, MIN_PAIRS - 1).lead(true, turned(true, 12)) == 0
    forgotten = held_out(observed, 30)
    forgotten.forget_before(int(np.iinfo(np.int64).max))
    assert forgotten.lead(true, turned(true, 12)) == 0
