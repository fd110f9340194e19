"""The hand track merges by geometry where that is known and predicts better, and blends without jumps."""

from dataclasses import replace

import numpy as np
import pytest

from capture.views import PerView
from hand.joints import DEFAULT_HAND_SIZE_MM
from runtime.calibration.self_calibrator import SelfCalibrator
from runtime.calibration.status import MergeDecision
from runtime.estimators.estimator import HANDEDNESS_TIMEOUT_NS
from runtime.fusion.hand_track import BLEND_NS, FusedHand, HandTrack
from runtime.fusion.merge_validation import MergeErrors
from runtime.types import ViewHand
from tests.runtime.solutions import FixedSolver, bones_of
from tests.runtime.tracked import FPS, SETTINGS, Tracked, moving_hand, tracked
from tools.evaluate.motion import still
from tools.evaluate.two_views import Observed, observe, sample_rig


@pytest.fixture(scope="module")
def moving() -> Observed:
    return moving_hand()


@pytest.fixture(scope="module")
def resting() -> Observed:
    """The same pair repeated: any motion of the hand comes from the track."""
    rng = np.random.default_rng(2)
    rig = sample_rig(rng, 60, PerView(60.0, 60.0))
    observed = observe(rng, rig, still(rng, 4, FPS), noise_px=1, outliers=0, fps=FPS)
    return replace(observed, pairs=observed.pairs[:1] * len(observed.pairs))


def test_auto_merges_by_geometry_and_reduces_the_error(moving: Observed):
    one, _ = tracked("auto", moving)
    hands = one.stream(moving)
    assert one.rig.status and one.rig.status.merge is MergeDecision.GEOMETRY and one.rig.state.geometry
    assert one.rig.reliable_rotation is one.rig.state.geometry.R_right_from_left
    by_rotation = tracked("rotation", moving)[0].stream(moving)
    errors = {"geometry": [], "rotation": []}
    for number, (hand, other) in enumerate(zip(hands, by_rotation, strict=True)):
        if number >= 3 * FPS and hand and other and hand.geometry and hand.wrist_mm is not None:
            truth = moving.joints_mm[number]
            unit = DEFAULT_HAND_SIZE_MM
            errors["geometry"].append(np.linalg.norm(hand.joints * unit - (truth - truth[0]), axis=1).mean())
            errors["rotation"].append(np.linalg.norm(other.joints * unit - (truth - truth[0]), axis=1).mean())
            assert np.linalg.norm(hand.wrist_mm - truth[0]) < 25
    assert len(errors["geometry"]) > 10 and np.mean(errors["geometry"]) < 0.7 * np.mean(errors["rotation"])


def steps(hands: list[FusedHand | None]) -> np.ndarray:
    """(N − 1,) largest joint displacement between consecutive hands, hands."""
    joints = np.array([hand.joints for hand in hands if hand])
    assert len(joints) == len(hands)
    return np.linalg.norm(np.diff(joints, axis=0), axis=-1).max(-1)


def test_switching_between_geometry_and_rotation_blends_without_jumps(resting: Observed):
    geometry, bones = resting.rig.geometry, bones_of(resting)
    calibrator = SelfCalibrator(resting.sizes_px, PerView(None, None), DEFAULT_HAND_SIZE_MM, bones=bones, given=geometry)
    one = Tracked.of("auto", calibrator, FixedSolver(geometry, bones))
    blend = BLEND_NS * FPS // 10**9 + 2
    before = one.stream(resting, 0, 10)
    # As if held-out pairs spoke first for the rotation, then against it.
    one.rig.judge_merge(MergeErrors(by_geometry=1.0, by_rotation=0.5))
    there = one.stream(resting, 10, 10 + blend)
    one.rig.judge_merge(MergeErrors(by_geometry=0.5, by_rotation=1.0))
    back = one.stream(resting, 10 + blend, 10 + 2 * blend)
    assert before[-1] and there[-1] and back[-1]
    assert before[-1].wrist_mm is not None and there[-1].wrist_mm is not None
    assert np.allclose(there[-1].wrist_mm, before[-1].wrist_mm), "however it is merged, the hand has its place"
    way = np.linalg.norm(there[-1].joints - before[-1].joints, axis=1).max()
    assert way > 0.15, "there is something to blend over"
    jumps = steps([before[-1], *there, *back])
    assert jumps.max() < 0.05 and jumps.max() < 0.25 * way
    np.testing.assert_allclose(back[-1].joints, before[-1].joints, atol=1e-9)


@pytest.mark.parametrize("seen", ["left", "right"])
def test_a_single_view_keeps_its_position(moving: Observed, seen: str):
    one, _ = tracked("geometry", moving)
    hands = one.stream(moving)
    last = max(number for number, hand in enumerate(hands) if hand)
    pair = moving.pairs[last]
    assert pair is not None and one.rig.state.geometry is not None
    captured_ns = int(moving.captured_ns[last]) + 33_000_000
    hand = one.step(captured_ns, PerView(pair.left if seen == "left" else None, pair.right if seen == "right" else None))
    assert hand and hand.wrist_mm is not None and hand.geometry is not None
    assert (hand.weight_left == (seen == "left")).all()
    truth = moving.joints_mm[last]
    # One view tells the distance from the hand's size alone.
    assert np.linalg.norm(hand.wrist_mm - truth[0]) < 0.1 * np.linalg.norm(moving.rig.t_left_from_space_mm)


def test_two_tracks_of_one_rig_are_independent(moving: Observed):
    """All state of a hand is in its track."""
    one, _ = tracked("geometry", moving)
    alone, other = tracked("geometry", moving)[0].stream(moving), HandTrack(one.rig, SETTINGS)
    for number, (captured_ns, pair) in enumerate(zip(moving.captured_ns.tolist(), moving.pairs, strict=True)):
        hands: PerView[ViewHand | None] = PerView(None, None) if pair is None else PerView(pair.left, pair.right)
        first, second, expected = one.step(captured_ns, hands), other.fuse(captured_ns, hands), alone[number]
        assert (first is None) == (second is None) == (expected is None)
        if first and second and expected:
            assert np.array_equal(first.joints, second.joints) and np.array_equal(first.joints, expected.joints)


@pytest.mark.parametrize(("away_ns", "corrects"), [(HANDEDNESS_TIMEOUT_NS, True), (HANDEDNESS_TIMEOUT_NS + 1, False)])
def test_handedness_change_within_the_timeout_is_a_correction(moving: Observed, away_ns: int, corrects: bool):
    track = tracked("rotation", moving)[0].track
    right = next(pair.left for pair in moving.pairs if pair)
    assert right.side == "right"
    assert not track.corrects_side(0, PerView(right, None))
    assert not track.corrects_side(10, PerView(None, None)) and not track.corrects_side(20, PerView(right, None))
    assert track.corrects_side(20 + away_ns, PerView(None, replace(right, side="left"))) == corrects
