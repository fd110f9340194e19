"""Held-out pairs tell a right geometry from a wrong one, and from the rotation alone."""

import numpy as np
import pytest

from capture.views import PerView
from hand.joints import DEFAULT_HAND_SIZE_MM
from runtime.fusion.merge_validation import HOLD_OUT_INTERVAL, MAX_HELD_OUT, MIN_HELD_OUT, MergeErrors, MergeValidation
from runtime.geometry.two_view import TwoViewGeometry
from tests.runtime.solutions import bones_of, elsewhere, turned
from tools.evaluate.motion import sample_motion
from tools.evaluate.two_views import Observed, observe, sample_rig


@pytest.fixture(scope="module")
def observed() -> Observed:
    rng = np.random.default_rng(1)
    rig = sample_rig(rng, 60, PerView(60.0, 60.0))
    return observe(rng, rig, sample_motion(rng, 4, fps=15), fps=15)


@pytest.fixture(scope="module")
def held_out(observed: Observed) -> MergeValidation:
    held = MergeValidation()
    for pair in observed.pairs:
        if pair is not None:
            held.holds_out(pair)
    return held


def errors(held_out: MergeValidation, observed: Observed, geometry: TwoViewGeometry, R: np.ndarray) -> MergeErrors:
    found = held_out.errors(geometry, bones_of(observed), DEFAULT_HAND_SIZE_MM, R)
    assert found is not None
    return found


def test_one_pair_in_some_is_held_out_and_few_say_nothing(observed: Observed):
    held, pairs = MergeValidation(), [pair for pair in observed.pairs if pair is not None]
    geometry = observed.rig.geometry

    def told() -> MergeErrors | None:
        return held.errors(geometry, bones_of(observed), DEFAULT_HAND_SIZE_MM, geometry.R_right_from_left)

    taken = [held.holds_out(pair) for pair in pairs[: MIN_HELD_OUT * HOLD_OUT_INTERVAL - 1]]
    assert sum(taken) == MIN_HELD_OUT - 1 and told() is None
    assert held.holds_out(pairs[MIN_HELD_OUT * HOLD_OUT_INTERVAL - 1]) and told() is not None
    held.clear()
    assert told() is None


def test_only_the_newest_count(observed: Observed):
    pairs, geometry = [pair for pair in observed.pairs if pair is not None], observed.rig.geometry
    newest = [pairs[number % len(pairs)] for number in range(HOLD_OUT_INTERVAL * MAX_HELD_OUT)]
    with_past, without = MergeValidation(), MergeValidation()
    for pair in [pairs[-1]] * HOLD_OUT_INTERVAL * 3 + newest:
        with_past.holds_out(pair)
    for pair in newest:
        without.holds_out(pair)
    told = [errors(held, observed, geometry, geometry.R_right_from_left) for held in (with_past, without)]
    assert told[0] == told[1]


def test_the_right_geometry_predicts_better_than_rotations_do(observed: Observed, held_out: MergeValidation):
    geometry = observed.rig.geometry
    right = errors(held_out, observed, geometry, geometry.R_right_from_left)
    wrong = errors(held_out, observed, geometry, turned(geometry, 15).R_right_from_left)
    assert right.by_geometry < right.by_rotation < wrong.by_rotation and right.by_geometry < 0.15


@pytest.mark.parametrize("degrees", [15, -15])
def test_a_geometry_whose_baseline_is_wrong_predicts_worse_than_the_rotation(
    observed: Observed, held_out: MergeValidation, degrees: float
):
    geometry = observed.rig.geometry
    found = errors(held_out, observed, elsewhere(geometry, degrees), geometry.R_right_from_left)
    assert found.by_geometry > found.by_rotation


def test_a_wrong_geometry_changes_nothing_for_the_rotation(observed: Observed, held_out: MergeValidation):
    geometry = observed.rig.geometry
    right = errors(held_out, observed, geometry, geometry.R_right_from_left)
    wrong = errors(held_out, observed, turned(geometry, 15), geometry.R_right_from_left)
    assert wrong.by_geometry > right.by_geometry and wrong.by_rotation == right.by_rotation
