"""By what two views become one hand: geometry where it is known and proves better, and never with a jump."""

import multiprocessing
from dataclasses import replace

import numpy as np
import pytest

from capture.views import PerView
from hand.joints import DEFAULT_HAND_SIZE_MM
from runtime.calibration.self_calibrator import SelfCalibrator
from runtime.calibration.solver_process import BackgroundSolver, InlineSolver
from runtime.calibration.status import MergeDecision
from runtime.fusion.fusion import GLIDE_NS, FusedHand, Fusion, FusionSettings, MergeChoice
from runtime.fusion.merge_validation import EVERY
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import ViewHand
from tests.runtime.solutions import Prepared, bones_of, elsewhere
from tools.evaluate.two_views import Observed, observe, sample_motion, sample_person, sample_rig, still

FPS = 30


@pytest.fixture(scope="module")
def moving() -> Observed:
    rng = np.random.default_rng(1)
    rig = sample_rig(rng, 60, PerView(60.0, 60.0))
    person = 3 * sample_person(np.random.default_rng(0))
    return observe(rng, rig, sample_motion(rng, 4, FPS, person), noise_px=2, outliers=0.02, fps=FPS)


@pytest.fixture(scope="module")
def resting() -> Observed:
    """One and the same pair all the time: what the hand shown does is the fusion's doing."""
    rng = np.random.default_rng(2)
    rig = sample_rig(rng, 60, PerView(60.0, 60.0))
    observed = observe(rng, rig, still(rng, 4, FPS), noise_px=1, outliers=0, fps=FPS)
    return replace(observed, pairs=observed.pairs[:1] * len(observed.pairs))


def fusion(choice: MergeChoice, observed: Observed, geometry: TwoViewGeometry | None = None) -> tuple[Fusion, Prepared]:
    """One that will be told of `geometry`, the true one if not given."""
    solver = Prepared(geometry or observed.rig.geometry, bones_of(observed))
    calibrator = SelfCalibrator(observed.sizes_px, PerView(None, None), DEFAULT_HAND_SIZE_MM)
    return Fusion(FusionSettings(choice, "softmax", 8.0, DEFAULT_HAND_SIZE_MM, None), calibrator, solver), solver


def shown(fused: Fusion, observed: Observed, first: int = 0, last: int | None = None) -> list[FusedHand | None]:
    """The hands of a stream, one a pair."""
    found = []
    for captured_ns, pair in list(zip(observed.captured_ns.tolist(), observed.pairs, strict=True))[first:last]:
        hands: PerView[ViewHand | None] = PerView(None, None) if pair is None else PerView(pair.left, pair.right)
        fused.learn(captured_ns, hands)
        found.append(fused(captured_ns, hands))
    return found


def test_by_rotation_nothing_is_calibrated(moving: Observed):
    fused, solver = fusion("rotation", moving)
    hands = [hand for hand in shown(fused, moving) if hand]
    assert solver.problems == [] and fused.state.geometry is None and fused.status is None
    assert all(hand.geometry is None and hand.wrist_mm is None for hand in hands)
    assert fused.sure_rotation is fused.rotation.rotation is not None


def test_held_out_pairs_are_not_calibrated_on(moving: Observed):
    fused, solver = fusion("auto", moving)
    shown(fused, moving)
    pairs = [pair for pair in moving.pairs if pair]
    held = np.array([pair.left.pixels for pair in pairs[EVERY - 1 :: EVERY]])
    used = np.concatenate([problem.views.left.pixels for problem in solver.problems])
    assert not any((used == pixels).all((1, 2)).any() for pixels in held)


def test_geometry_that_foretells_better_is_taken_and_the_hand_is_better(moving: Observed):
    fused, _ = fusion("auto", moving)
    hands = shown(fused, moving)
    assert fused.status and fused.status.merge is MergeDecision.GEOMETRY and fused.state.geometry
    assert fused.sure_rotation is fused.state.geometry.R_right_from_left
    by_rotation = shown(fusion("rotation", moving)[0], moving)
    errors = {"geometry": [], "rotation": []}
    for number, (hand, other) in enumerate(zip(hands, by_rotation, strict=True)):
        if number >= 3 * FPS and hand and other and hand.geometry and hand.wrist_mm is not None:
            truth = moving.joints_mm[number]
            errors["geometry"].append(np.linalg.norm(hand.joints * DEFAULT_HAND_SIZE_MM - (truth - truth[0]), axis=1).mean())
            errors["rotation"].append(np.linalg.norm(other.joints * DEFAULT_HAND_SIZE_MM - (truth - truth[0]), axis=1).mean())
            assert np.linalg.norm(hand.wrist_mm - truth[0]) < 25
    assert len(errors["geometry"]) > 10 and np.mean(errors["geometry"]) < 0.7 * np.mean(errors["rotation"])


def test_a_wrong_geometry_is_left_alone_unless_it_is_asked_for(moving: Observed):
    wrong = elsewhere(moving.rig.geometry, 25)
    fused, _ = fusion("auto", moving, wrong)
    hands = [hand for hand in shown(fused, moving) if hand]
    assert fused.state.geometry is not None and all(hand.geometry is None for hand in hands)
    assert fused.status and fused.status.merge is MergeDecision.ROTATION
    insisting, _ = fusion("geometry", moving, wrong)
    assert any(hand and hand.geometry for hand in shown(insisting, moving))
    assert insisting.status and insisting.status.merge is MergeDecision.GEOMETRY


def steps(hands: list[FusedHand | None]) -> np.ndarray:
    """(N − 1,) the farthest that a joint jumps from one hand to the next, hands."""
    joints = np.array([hand.joints for hand in hands if hand])
    assert len(joints) == len(hands)
    return np.linalg.norm(np.diff(joints, axis=0), axis=-1).max(-1)


def test_the_hand_glides_to_its_geometry_and_back(resting: Observed):
    geometry = resting.rig.geometry
    calibrator = SelfCalibrator(
        resting.sizes_px, PerView(None, None), DEFAULT_HAND_SIZE_MM, bones=bones_of(resting), given=geometry
    )
    settings = FusionSettings("auto", "softmax", 8.0, DEFAULT_HAND_SIZE_MM, None)
    fused = Fusion(settings, calibrator, Prepared(geometry, bones_of(resting)))
    glide = GLIDE_NS * FPS // 10**9 + 2
    before = shown(fused, resting, 0, 10)
    # As if evidence came, first for the geometry, then against it.
    fused._better = (0.5, 1.0)
    there = shown(fused, resting, 10, 10 + glide)
    fused._better = (1.0, 0.5)
    back = shown(fused, resting, 10 + glide, 10 + 2 * glide)
    assert before[-1] and there[-1] and back[-1]
    assert before[-1].geometry is None and there[-1].geometry is geometry and back[-1].geometry is None
    way = np.linalg.norm(there[-1].joints - before[-1].joints, axis=1).max()
    assert way > 0.15, "there is something to glide over"
    jumps = steps([before[-1], *there, *back])
    assert jumps.max() < 0.05 and jumps.max() < 0.25 * way
    np.testing.assert_allclose(back[-1].joints, before[-1].joints, atol=1e-9)


@pytest.mark.parametrize("seen", ["left", "right"])
def test_one_view_alone_is_carried_at_its_place(moving: Observed, seen: str):
    fused, _ = fusion("geometry", moving)
    hands = shown(fused, moving)
    last = max(number for number, hand in enumerate(hands) if hand)
    pair = moving.pairs[last]
    assert pair is not None and fused.state.geometry is not None
    captured_ns = int(moving.captured_ns[last]) + 33_000_000
    alone = PerView(pair.left if seen == "left" else None, pair.right if seen == "right" else None)
    fused.learn(captured_ns, alone)
    hand = fused(captured_ns, alone)
    assert hand and hand.wrist_mm is not None and hand.geometry is not None
    assert (hand.weight_left == (seen == "left")).all()
    truth = moving.joints_mm[last]
    # One view tells the distance from the hand's size alone.
    assert np.linalg.norm(hand.wrist_mm - truth[0]) < 0.1 * np.linalg.norm(moving.rig.t_left_from_space_mm)


def test_what_is_forgotten_begins_anew(moving: Observed):
    fused, solver = fusion("auto", moving)
    shown(fused, moving, 0, 3 * FPS)
    assert fused.state.geometry is not None
    fused.forget()
    assert fused.state.geometry is None and fused.sure_rotation is None and fused.rotation.count == 0
    asked = len(solver.problems)
    shown(fused, moving, 3 * FPS, 3 * FPS + 3)
    assert len(solver.problems) == asked and fused.state.geometry is None


def test_a_users_calibration_is_merged_by_from_the_first_pair(moving: Observed):
    """Solved for real: the hand's bones are learnt, the cameras stay."""
    given = moving.rig.geometry
    calibrator = SelfCalibrator(moving.sizes_px, PerView(None, None), DEFAULT_HAND_SIZE_MM, given=given)
    usual, true = calibrator.state.bones, bones_of(moving)
    fused = Fusion(FusionSettings("geometry", "softmax", 8.0, DEFAULT_HAND_SIZE_MM, None), calibrator, InlineSolver())
    assert [hand.geometry for hand in shown(fused, moving, 0, 1) if hand] == [given]
    shown(fused, moving, 1, 40)
    learnt = fused.state.bones
    assert fused.state.version == 2 and fused.state.geometry is given and fused.sure_rotation is given.R_right_from_left
    assert usual is not None and learnt is not None
    assert np.abs(np.log(learnt / true)).mean() < np.abs(np.log(usual / true)).mean()


def test_without_its_solver_the_hand_goes_on_and_the_status_says_so(moving: Observed):
    solver = BackgroundSolver()
    (process,) = multiprocessing.active_children()
    calibrator = SelfCalibrator(moving.sizes_px, PerView(None, None), DEFAULT_HAND_SIZE_MM)
    fused = Fusion(FusionSettings("auto", "softmax", 8.0, DEFAULT_HAND_SIZE_MM, None), calibrator, solver)
    process.kill()
    process.join()
    hands = shown(fused, moving, 0, FPS)
    solver.close()
    assert all(hand is not None for hand, pair in zip(hands, moving.pairs, strict=False) if pair)
    assert fused.status is not None and fused.status.stopped
