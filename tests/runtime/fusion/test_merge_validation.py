"""Held-out pairs distinguish a right geometry from a wrong one, and from the rotation."""

import numpy as np
import pytest

from capture.views import PerView
from hand.joints import DEFAULT_HAND_SIZE_MM
from runtime.fusion.merge_validation import (
    HOLD_OUT_INTERVAL,
    MAX_HELD_OUT,
    MIN_HELD_OUT,
    MIN_TO_LEAVE,
    MergeErrors,
    MergeValidation,
    prefers_rotation,
)
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


def test_pairs_are_held_out_at_intervals_and_few_give_no_errors(observed: Observed):
    held, pairs = MergeValidation(), [pair for pair in observed.pairs if pair is not None]
    geometry = observed.rig.geometry

    def results() -> MergeErrors | None:
        return held.errors(geometry, bones_of(observed), DEFAULT_HAND_SIZE_MM, geometry.R_right_from_left)

    taken = [held.holds_out(pair) for pair in pairs[: MIN_HELD_OUT * HOLD_OUT_INTERVAL - 1]]
    assert sum(taken) == MIN_HELD_OUT - 1 and results() is None
    assert held.holds_out(pairs[MIN_HELD_OUT * HOLD_OUT_INTERVAL - 1]) and results() is not None
    held.clear()
    assert results() is None


def test_only_the_newest_held_out_pairs_count(observed: Observed):
    pairs, geometry = [pair for pair in observed.pairs if pair is not None], observed.rig.geometry
    newest = [pairs[number % len(pairs)] for number in range(HOLD_OUT_INTERVAL * MAX_HELD_OUT)]
    with_past, without = MergeValidation(), MergeValidation()
    for pair in [pairs[-1]] * HOLD_OUT_INTERVAL * 3 + newest:
        with_past.holds_out(pair)
    for pair in newest:
        without.holds_out(pair)
    results = [errors(held, observed, geometry, geometry.R_right_from_left) for held in (with_past, without)]
    assert results[0] == results[1]


def test_the_right_geometry_predicts_better_than_rotations_do(observed: Observed, held_out: MergeValidation):
    geometry = observed.rig.geometry
    right = errors(held_out, observed, geometry, geometry.R_right_from_left)
    wrong = errors(held_out, observed, geometry, turned(geometry, 15).R_right_from_left)
    assert right.by_geometry < right.by_rotation < wrong.by_rotation and right.by_geometry < 0.15


@pytest.mark.parametrize("degrees", [15, -15])
def test_a_wrong_baseline_predicts_worse_than_the_rotation(observed: Observed, held_out: MergeValidation, degrees: float):
    geometry = observed.rig.geometry
    found = errors(held_out, observed, elsewhere(geometry, degrees), geometry.R_right_from_left)
    assert found.by_geometry > found.by_rotation


def test_error_by_rotation_is_independent_of_the_geometry(observed: Observed, held_out: MergeValidation):
    geometry = observed.rig.geometry
    right = errors(held_out, observed, geometry, geometry.R_right_from_left)
    wrong = errors(held_out, observed, turned(geometry, 15), geometry.R_right_from_left)
    assert wrong.by_geometry > right.by_geometry and wrong.by_rotation == right.by_rotation


@pytest.mark.parametrize(
    ("by_geometry", "by_rotation", "pairs", "before", "rotation"),
    [
        (0.120, 0.112, MAX_HELD_OUT, False, False),
        (0.120, 0.112, MAX_HELD_OUT, True, True),
        (0.120, 0.090, MIN_TO_LEAVE, False, True),
        (0.120, 0.090, MIN_TO_LEAVE - 1, False, False),
        (0.120, 0.119, MAX_HELD_OUT, True, False),
        (float("inf"), 0.2, MAX_HELD_OUT, False, True),
        (float("inf"), 0.2, MAX_HELD_OUT, True, True),
    ],
)
def test_a_tie_or_a_few_pairs_do_not_change_how_hands_are_merged(
    by_geometry: float, by_rotation: float, pairs: int, before: bool, rotation: bool
):
    assert prefers_rotation(MergeErrors(by_geometry, by_rotation, pairs), before) is rotation
    assert prefers_rotation(None, before) is before


def test_errors_of_new_pairs_join_those_known(observed: Observed):
    """The fits of earlier pairs are kept while the cameras are the same."""
    pairs, geometry, bones = [pair for pair in observed.pairs if pair is not None], observed.rig.geometry, bones_of(observed)
    held, stream = MergeValidation(), pairs * 3
    for number, pair in enumerate(stream):
        if held.holds_out(pair) and number > 30:
            again = MergeValidation()
            for earlier in stream[: number + 1]:
                again.holds_out(earlier)
            found = (v.errors(geometry, bones, DEFAULT_HAND_SIZE_MM, geometry.R_right_from_left) for v in (held, again))
            assert next(found) == next(found)
