"""By what two views become one hand: geometry where it is known and proves better, and never with a jump."""

from dataclasses import replace

import numpy as np
import pytest

from capture.views import PerView
from hand.rotations import angle_deg
from runtime.calibrate import SelfCalibrator
from runtime.evidence import EVERY
from runtime.fusion import GLIDE_NS, FusedHand, Fusion, MergeChoice
from runtime.geometry import TwoViewGeometry
from runtime.solver_loop import SolverOnTheSpot
from runtime.types import ViewHand
from tests.runtime.solutions import Prepared, bones_of, elsewhere
from tools.losses import HAND_MM
from tools.two_views import Observed, in_place, observe, sample_motion, sample_rig, still

FPS = 30


@pytest.fixture(scope="module")
def moving() -> Observed:
    rng = np.random.default_rng(1)
    rig = sample_rig(rng, 60, PerView(60.0, 60.0))
    return observe(rng, rig, sample_motion(rng, 4, FPS), noise_px=2, outliers=0.02, fps=FPS)


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
    calibrator = SelfCalibrator(observed.sizes_px, PerView(None, None), HAND_MM)
    return Fusion(choice, "softmax", 8.0, HAND_MM, calibrator, solver), solver


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
    assert solver.problems == [] and fused.state.geometry is None and fused.note == ""
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
    assert fused.note.endswith("merged by geometry") and fused.sure_rotation is fused.state.geometry.R_right_from_left  # pyright: ignore
    by_rotation = shown(fusion("rotation", moving)[0], moving)
    errors = {"geometry": [], "rotation": []}
    for number, (hand, other) in enumerate(zip(hands, by_rotation, strict=True)):
        if number >= 3 * FPS and hand and other and hand.geometry and hand.wrist_mm is not None:
            truth = moving.joints_mm[number]
            errors["geometry"].append(np.linalg.norm(hand.joints * HAND_MM - (truth - truth[0]), axis=1).mean())
            errors["rotation"].append(np.linalg.norm(other.joints * HAND_MM - (truth - truth[0]), axis=1).mean())
            assert np.linalg.norm(hand.wrist_mm - truth[0]) < 25
    assert len(errors["geometry"]) > 10 and np.mean(errors["geometry"]) < 0.7 * np.mean(errors["rotation"])


def test_a_wrong_geometry_is_left_alone_unless_it_is_asked_for(moving: Observed):
    wrong = elsewhere(moving.rig.geometry, 25)
    fused, _ = fusion("auto", moving, wrong)
    hands = [hand for hand in shown(fused, moving) if hand]
    assert fused.state.geometry is not None and all(hand.geometry is None for hand in hands)
    assert fused.note.endswith("merged by rotation, which foretells better")
    insisting, _ = fusion("geometry", moving, wrong)
    assert any(hand and hand.geometry for hand in shown(insisting, moving)) and insisting.note.endswith("by geometry")


def steps(hands: list[FusedHand | None]) -> np.ndarray:
    """(N − 1,) the farthest that a joint jumps from one hand to the next, hands."""
    joints = np.array([hand.joints for hand in hands if hand])
    assert len(joints) == len(hands)
    return np.linalg.norm(np.diff(joints, axis=0), axis=-1).max(-1)


def test_the_hand_glides_to_its_geometry(resting: Observed):
    fused, _ = fusion("geometry", resting)
    hands = shown(fused, resting)
    came = next(number for number, hand in enumerate(hands) if hand and hand.geometry)
    passed = came + GLIDE_NS * FPS // 10**9 + 1
    before, after = hands[came - 1], hands[passed]
    assert before and after and passed < len(hands)
    way = np.linalg.norm(after.joints - before.joints, axis=1).max()
    jumps = steps(hands[came - 1 : passed + 1])
    assert way > 0.15, "there is something to glide over"
    assert jumps.max() < 0.06 and jumps.max() < 0.4 * way


def test_the_hand_glides_back_where_geometry_turns_out_worse(resting: Observed):
    fused, _ = fusion("auto", resting)
    # As if evidence had come: the geometry better at first, then the rotation.
    first = shown(fused, resting, 0, FPS + 5)
    fused._better = (0.5, 1.0)
    there = shown(fused, resting, FPS + 5, 2 * FPS)
    fused._better = (1.0, 0.5)
    back = shown(fused, resting, 2 * FPS, 2 * FPS + 15)
    assert first[-1] and there[-1] and back[-1] and there[-1].geometry and back[-1].geometry is None
    assert np.linalg.norm(there[-1].joints - back[-1].joints, axis=1).max() > 0.15
    assert steps([there[-1], *back]).max() < 0.06


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


def test_a_users_calibration_is_merged_by_from_the_first_pair():
    """Solved for real: the hand's bones are learnt, the cameras stay."""
    rng = np.random.default_rng(3)
    rig = sample_rig(rng, 60, PerView(60.0, 60.0))
    observed = observe(rng, rig, in_place(rng, 1.2, FPS), noise_px=1, outliers=0, fps=FPS)
    calibrator = SelfCalibrator(observed.sizes_px, PerView(None, None), HAND_MM, given=rig.geometry)
    fused = Fusion("geometry", "softmax", 8.0, HAND_MM, calibrator, SolverOnTheSpot())
    hands = shown(fused, observed)
    assert hands[0] and hands[0].geometry is rig.geometry
    usual, true = calibrator.state.bones, bones_of(observed)
    assert fused.state.version == 2 and fused.state.geometry is rig.geometry and usual is not None
    start = SelfCalibrator(observed.sizes_px, PerView(None, None), HAND_MM, given=rig.geometry).state.bones
    assert np.abs(np.log(usual / true)).mean() < np.abs(np.log(start / true)).mean()  # pyright: ignore
    assert angle_deg(fused.sure_rotation, rig.geometry.R_right_from_left) == pytest.approx(0, abs=1e-6)  # pyright: ignore
