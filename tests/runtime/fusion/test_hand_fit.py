"""The hand fit is exact without noise, smooth over time, symmetric in the views and robust to outliers."""

from dataclasses import replace

import numpy as np
import pytest

from capture.views import VIEWS, PerView, View
from hand.camera import PinholeCamera
from hand.joints import BONES, DEFAULT_HAND_SIZE_MM, unit_hand
from hand.rotations import from_vector
from runtime.fusion.hand_fit import FitSettings, FittedHand, HandFit
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import ViewHand
from tests.runtime.hands import flexed_hand

PAIR_NS = 33_000_000
INDEX_TIP = 8
CAMERA = PinholeCamera(520.0, (319.5, 239.5), (640, 480))
WRIST_MM = np.array([20.0, 40.0, 520.0])
TURN = from_vector(np.array([0.2, -1.2, 0.1]))
GEOMETRY = TwoViewGeometry(PerView(CAMERA, replace(CAMERA, focal_px=450.0)), TURN, WRIST_MM + [5, -10, 30] - TURN @ WRIST_MM)
"""Two cameras 70° apart that look at the same place."""
HAND = flexed_hand() @ from_vector(np.array([0.3, 0.5, -0.2])).T
TRUTH_MM = WRIST_MM + DEFAULT_HAND_SIZE_MM * HAND
BONE_LENGTHS = np.array([np.linalg.norm(HAND[child] - HAND[parent]) for parent, child in BONES])
ALONE = FitSettings(motion=None)


def views_of(joints_mm: np.ndarray, geometry: TwoViewGeometry = GEOMETRY, confidence: float = 0.7) -> PerView[ViewHand]:
    """Both views of joints (21, 3) in the left camera's axes, without error."""
    seen, pixels = geometry.in_view_axes(joints_mm), geometry.project(joints_mm)
    return PerView.of(lambda view: ViewHand(view, "right", unit_hand(seen[view]), pixels[view], np.full(21, confidence)))


def changed(hands: PerView[ViewHand], view: View, **values: np.ndarray) -> PerView[ViewHand]:
    return PerView.of(lambda name: replace(hands[name], **values) if name == view else hands[name])


def noisy(rng: np.random.Generator, hands: PerView[ViewHand], px: float = 4, shape: float = 0.1) -> PerView[ViewHand]:
    def disturbed(hand: ViewHand) -> ViewHand:
        joints = unit_hand(hand.joints + rng.normal(0, shape, (21, 3)))
        return replace(hand, joints=joints, pixels=hand.pixels + rng.normal(0, px, (21, 2)), confidence=rng.uniform(0.4, 0.8, 21))

    return hands.map(disturbed)


def moved(joint: int, by: np.ndarray, points: np.ndarray) -> np.ndarray:
    result = points.copy()
    result[joint] += by
    return result


def fitted(
    hands: PerView[ViewHand] | PerView[ViewHand | None], settings: FitSettings = ALONE, geometry: TwoViewGeometry = GEOMETRY
) -> FittedHand:
    found = HandFit(geometry, BONE_LENGTHS, DEFAULT_HAND_SIZE_MM, settings)(0, PerView(*hands))
    assert found is not None
    return found


def off_mm(found: FittedHand, truth_mm: np.ndarray = TRUTH_MM) -> np.ndarray:
    return np.linalg.norm(found.joints_mm - truth_mm, axis=1)


def test_exact_views_give_the_exact_hand():
    found = fitted(views_of(TRUTH_MM))
    np.testing.assert_allclose(found.joints_mm, TRUTH_MM, atol=1e-6)
    np.testing.assert_allclose(found.joints, HAND, atol=1e-8)
    assert found.reprojection_px == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(found.weight_left, 0.5, atol=0.1)


def test_triangulation_corrects_the_predicted_shapes():
    rng = np.random.default_rng(0)
    hands = noisy(rng, views_of(TRUTH_MM), px=1, shape=0.15)
    found = fitted(hands)
    guessed = [np.linalg.norm(hands[view].joints - views_of(TRUTH_MM)[view].joints, axis=1).mean() for view in VIEWS]
    assert np.linalg.norm(found.joints - HAND, axis=1).mean() < min(guessed) / 2
    np.testing.assert_allclose(found.joints, unit_hand(found.joints_mm), atol=1e-12)


@pytest.mark.parametrize("view", VIEWS)
def test_one_view_locates_the_hand_by_its_size(view):
    hands = views_of(TRUTH_MM)
    found = fitted(PerView.of(lambda name: hands[name] if name == view else None))
    assert off_mm(found).max() < 1e-3
    np.testing.assert_array_equal(found.weight_left, float(view == "left"))
    np.testing.assert_allclose(found.pixels.right, hands.right.pixels, atol=1e-3)


@pytest.mark.parametrize("view", VIEWS)
def test_weight_shifts_smoothly_to_the_view_that_sees_the_joint(view):
    true = views_of(TRUTH_MM)
    wrong = changed(
        true,
        view,
        joints=moved(INDEX_TIP, np.array([0.1, 0.2, 0.2]), true[view].joints),
        pixels=moved(INDEX_TIP, np.array([12.0, -12.0]), true[view].pixels),
    )
    confidence = np.linspace(1, 1e-6, 41)
    found = [fitted(changed(wrong, view, confidence=np.where(np.arange(21) == INDEX_TIP, c, 0.8))) for c in confidence]
    off = np.array([off_mm(hand)[INDEX_TIP] for hand in found])
    share = np.array([hand.weight_left[INDEX_TIP] if view == "left" else 1 - hand.weight_left[INDEX_TIP] for hand in found])
    path = np.linalg.norm(np.diff([hand.joints_mm[INDEX_TIP] for hand in found], axis=0), axis=1)
    assert off[0] > 5 > off[-1] and off[-1] < off[0] / 3
    assert (np.diff(share) < 1e-9).all() and share[0] > 0.5 > 0.1 > share[-1]
    assert path.max() < 0.3 * np.linalg.norm(found[0].joints_mm[INDEX_TIP] - found[-1].joints_mm[INDEX_TIP])


def test_swapping_the_cameras_gives_the_same_hand():
    hands = noisy(np.random.default_rng(1), views_of(TRUTH_MM))
    R, t = GEOMETRY.R_right_from_left.T, GEOMETRY.right_in_left_mm
    swapped = TwoViewGeometry(PerView(GEOMETRY.cameras.right, GEOMETRY.cameras.left), R, t)
    other = fitted(PerView(replace(hands.right, view="left"), replace(hands.left, view="right")), geometry=swapped)
    found = fitted(hands)
    np.testing.assert_allclose(other.joints_mm, GEOMETRY.in_view_axes(found.joints_mm).right, atol=1e-6)
    np.testing.assert_allclose(other.weight_left, 1 - found.weight_left, atol=1e-9)
    np.testing.assert_allclose(other.sigma_mm, found.sigma_mm, atol=1e-6)


def test_mirroring_exchanges_left_and_right_hands():
    bent_back = flexed_hand(-0.4) @ from_vector(np.array([0.3, 0.5, -0.2])).T * DEFAULT_HAND_SIZE_MM + WRIST_MM
    hands = noisy(np.random.default_rng(2), views_of(bent_back))
    M = np.diag([-1.0, 1, 1])
    mirrored_cameras = TwoViewGeometry(GEOMETRY.cameras, M @ GEOMETRY.R_right_from_left @ M, M @ GEOMETRY.t_right_from_left_mm)

    def in_mirror(hand: ViewHand) -> ViewHand:
        return replace(hand, side="left", joints=hand.joints @ M, pixels=hand.pixels * [-1, 1] + [2 * 319.5, 0])

    found = fitted(hands)
    np.testing.assert_allclose(fitted(hands.map(in_mirror), geometry=mirrored_cameras).joints_mm @ M, found.joints_mm, atol=1e-6)
    not_mirrored = fitted(hands.map(lambda hand: replace(hand, side="left")))
    assert np.abs(not_mirrored.joints_mm - found.joints_mm).max() > 5, "the limits of a left hand are others"


def test_hand_size_scales_the_distance_only():
    hands = noisy(np.random.default_rng(3), views_of(TRUTH_MM))
    found = fitted(hands)
    larger = replace(GEOMETRY, t_right_from_left_mm=GEOMETRY.t_right_from_left_mm * 1.2)
    other = HandFit(larger, BONE_LENGTHS, DEFAULT_HAND_SIZE_MM * 1.2, ALONE)(0, PerView(*hands))
    assert other is not None
    np.testing.assert_allclose(other.wrist_mm, found.wrist_mm * 1.2, atol=1e-6)
    np.testing.assert_allclose(other.joints, found.joints, atol=1e-9)
    np.testing.assert_allclose(other.pixels.right, found.pixels.right, atol=1e-6)
    assert other.reprojection_px == pytest.approx(found.reprojection_px)


@pytest.mark.parametrize("view", VIEWS)
def test_an_outlier_pixel_in_one_view_is_rejected(view):
    hands = views_of(TRUTH_MM)
    outlier = changed(hands, view, pixels=moved(INDEX_TIP, np.array([-60.0, 45.0]), hands[view].pixels))
    robust, trusting = fitted(outlier), fitted(outlier, replace(ALONE, knees=(1e6,) * 3))
    assert off_mm(robust).max() < 3
    assert off_mm(trusting)[INDEX_TIP] > 4 * off_mm(robust)[INDEX_TIP]


def test_joint_limits_correct_hyperextension_and_leave_legal_poses():
    bent_back = flexed_hand(-0.5) @ from_vector(np.array([0.3, 0.5, -0.2])).T
    true = views_of(TRUTH_MM)
    seen_back = GEOMETRY.in_view_axes(WRIST_MM + DEFAULT_HAND_SIZE_MM * bent_back)
    hands = PerView.of(lambda view: replace(true[view], joints=unit_hand(seen_back[view]), confidence=np.full(21, 0.3)))
    alone: PerView[ViewHand | None] = PerView(
        replace(hands.left, pixels=views_of(WRIST_MM + DEFAULT_HAND_SIZE_MM * bent_back).left.pixels), None
    )

    def bend(joints: np.ndarray) -> float:
        """Of the index finger's PIP towards the palm, sine."""
        first, second = joints[6] - joints[5], joints[7] - joints[6]
        axis = joints[5] - joints[17]
        return float(np.cross(first, second) @ axis / np.linalg.norm(first) / np.linalg.norm(second) / np.linalg.norm(axis))

    assert bend(bent_back) < -0.4
    limited, free = fitted(alone), fitted(alone, replace(ALONE, limit=1e6))
    assert bend(free.joints) < -0.4 and bend(limited.joints) > -0.25
    np.testing.assert_allclose(fitted(true).joints_mm, fitted(true, replace(ALONE, limit=1e6)).joints_mm, atol=1e-12)


def test_motion_prior_reduces_jitter_of_a_still_hand():
    rng = np.random.default_rng(4)
    pairs = [noisy(rng, views_of(TRUTH_MM)) for _ in range(30)]

    def spread(settings: FitSettings) -> float:
        fit = HandFit(GEOMETRY, BONE_LENGTHS, DEFAULT_HAND_SIZE_MM, settings)
        found = [fit(k * PAIR_NS, PerView(*pair)) for k, pair in enumerate(pairs)]
        return float(np.std([hand.joints_mm for hand in found if hand is not None][10:], axis=0).mean())

    assert spread(FitSettings()) < 0.7 * spread(ALONE)


def test_a_hand_that_jumps_is_followed_within_three_pairs():
    fit = HandFit(GEOMETRY, BONE_LENGTHS, DEFAULT_HAND_SIZE_MM)
    turn, middle = from_vector(np.array([0.1, 0.6, 0.2])), TRUTH_MM.mean(0)
    leapt = (TRUTH_MM - middle) @ turn.T + middle + [50, 10, -20]
    for k in range(10):
        fit(k * PAIR_NS, PerView(*views_of(TRUTH_MM)))
    found = [fit(k * PAIR_NS, PerView(*views_of(leapt))) for k in range(10, 13)]
    assert found[-1] is not None and off_mm(found[-1], leapt).mean() < 0.1 * np.linalg.norm(leapt - TRUTH_MM, axis=1).mean()


@pytest.mark.parametrize("what", ["other side", "long ago", "far away", "time goes back"])
def test_motion_prior_is_reset_for_another_hand(what):
    fit = HandFit(GEOMETRY, BONE_LENGTHS, DEFAULT_HAND_SIZE_MM)
    before = noisy(np.random.default_rng(5), views_of(TRUTH_MM - [160, 0, 0] if what == "far away" else TRUTH_MM))
    hands = noisy(np.random.default_rng(6), views_of(TRUTH_MM))
    if what == "other side":
        before = before.map(lambda hand: replace(hand, side="left"))
    now_ns = PAIR_NS if what != "long ago" else 600_000_000
    fit(0 if what != "time goes back" else 2 * now_ns, PerView(*before))
    found = fit(now_ns, PerView(*hands))
    assert found is not None
    np.testing.assert_array_equal(found.joints_mm, fitted(hands).joints_mm)


def test_lower_confidence_gives_a_larger_variance_and_less_weight():
    hands = views_of(TRUTH_MM)
    low_at_tip = np.where(np.arange(21) == INDEX_TIP, 0.05, 0.7)
    found = fitted(PerView(replace(hands.left, confidence=low_at_tip), replace(hands.right, confidence=np.full(21, 0.7))))
    assert found.weight_left[INDEX_TIP] < 0.1 < 0.3 < found.weight_left[12]
    blind = fitted(hands.map(lambda hand: replace(hand, confidence=low_at_tip)))
    assert blind.sigma_mm[INDEX_TIP] > 1.5 * found.sigma_mm[INDEX_TIP] > 0


def test_claimed_sigma_matches_the_error_under_independent_noise():
    rng = np.random.default_rng(7)
    true, error = views_of(TRUTH_MM, confidence=float(np.exp(-0.2 / 0.35))), []
    for _ in range(30):
        # Confidences that stand for 0.2 hands: what pixels and shapes are then expected to be off by.
        hands = true.map(
            lambda hand: replace(
                hand,
                pixels=hand.pixels + rng.normal(0, 0.1 * 450 * DEFAULT_HAND_SIZE_MM / 500, (21, 2)),
                joints=hand.joints + rng.normal(0, 0.16, (21, 3)),
            )
        )
        found = fitted(hands)
        error.append((off_mm(found) / found.sigma_mm) ** 2)
    assert 0.6 < np.sqrt(np.mean(error)) < 1.3


@pytest.mark.parametrize("what", ["nothing", "not finite", "behind the camera", "a point"])
def test_invalid_input_gives_no_hand(what):
    fit = HandFit(GEOMETRY, BONE_LENGTHS, DEFAULT_HAND_SIZE_MM)
    hands = views_of(TRUTH_MM)
    nonsense: dict[str, PerView[ViewHand | None]] = {
        "nothing": PerView(None, None),
        "not finite": PerView(replace(hands.left, pixels=moved(3, np.array([np.nan, 0]), hands.left.pixels)), hands.right),
        "behind the camera": PerView(replace(hands.left, pixels=2 * hands.left.pixels.mean(0) - hands.left.pixels), None),
        "a point": PerView(replace(hands.left, pixels=np.full((21, 2), 100.0)), None),
    }
    assert fit(0, nonsense[what]) is None
    assert fit(PAIR_NS, PerView(*hands)) is not None


def test_fit_is_deterministic_bit_for_bit():
    rng = np.random.default_rng(8)
    pairs = [noisy(rng, views_of(TRUTH_MM)) for _ in range(5)]
    runs = []
    for _ in range(2):
        fit = HandFit(GEOMETRY, BONE_LENGTHS, DEFAULT_HAND_SIZE_MM)
        runs.append([fit(k * PAIR_NS, PerView(*pair)) for k, pair in enumerate(pairs)])
    for first, second in zip(*runs, strict=True):
        np.testing.assert_array_equal(first.joints_mm, second.joints_mm)
        np.testing.assert_array_equal(first.sigma_mm, second.sigma_mm)


def test_a_hand_does_not_jump_when_its_cameras_are_refined():
    rng = np.random.default_rng(6)
    fit = HandFit(GEOMETRY, BONE_LENGTHS, DEFAULT_HAND_SIZE_MM)
    for number in range(20):
        fit(number * PAIR_NS, PerView(*noisy(rng, views_of(TRUTH_MM))))
    better = replace(GEOMETRY, R_right_from_left=from_vector(np.array([0.0, 0.01, 0.0])) @ TURN)
    hands: PerView[ViewHand | None] = PerView(*noisy(rng, views_of(TRUTH_MM)))
    kept, anew = fit.with_geometry(better, BONE_LENGTHS), HandFit(better, BONE_LENGTHS, DEFAULT_HAND_SIZE_MM)
    before = fit(20 * PAIR_NS, hands)
    steps = []
    for other in (kept, anew):
        after = other(20 * PAIR_NS, hands)
        assert before is not None and after is not None
        steps.append(np.linalg.norm(after.joints - before.joints, axis=1).mean())
    assert steps[0] < 0.03 and steps[0] < 0.6 * steps[1], steps
