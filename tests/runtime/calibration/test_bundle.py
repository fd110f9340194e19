"""Bundle adjustment: gradients match the cost, minimization converges to the truth, covariances match the errors."""

from dataclasses import replace

import numpy as np
import pytest

from capture.views import VIEWS, PerView, View
from hand.joints import BONES
from hand.rotations import align, angle_deg, from_vector, to_vector
from runtime.calibration.bundle import Bundle, Keypoints
from runtime.calibration.initialization import CameraEstimate, scene_at
from runtime.calibration.minimizer import minimize, refine_joints
from runtime.calibration.noise import covariance, error_correlation, noise
from runtime.calibration.robust_losses import FINAL_LOSSES, INITIAL_LOSSES, RobustLosses
from runtime.calibration.variables import FOCAL, GLOBALS, PALM, SHIFT, TURN, Prior, Scene
from tests.runtime.keypoints import SyntheticPairs, noiseless, prior_at
from tools.evaluate.two_views import sample_rig

PAIRS = 16


@pytest.fixture(scope="module")
def exact() -> SyntheticPairs:
    """Cameras 70° apart, of different fields of view."""
    return noiseless(sample_rig(np.random.default_rng(0), 70, PerView(60.0, 75.0)), PAIRS)


def noisy(views: PerView[Keypoints], rng: np.random.Generator, noise_px: PerView[float]) -> PerView[Keypoints]:
    """Keypoints with noise, their standard deviations unchanged."""

    def disturbed(view: View) -> Keypoints:
        keypoints = views[view]
        return replace(keypoints, pixels=keypoints.pixels + rng.normal(0, noise_px[view], keypoints.pixels.shape))

    return PerView.of(disturbed)


def claiming(views: PerView[Keypoints], sigma_px: PerView[float]) -> PerView[Keypoints]:
    """The same keypoints with other standard deviations and uninformative shapes."""

    def told(view: View) -> Keypoints:
        shape = views[view].sigma_px.shape
        return replace(views[view], sigma_px=np.full(shape, sigma_px[view]), shape_sigma=np.full(shape, np.inf))

    return PerView.of(told)


def elastic(synthetic_pairs: SyntheticPairs, rng: np.random.Generator, change: float) -> SyntheticPairs:
    """The same hands with bones that change their lengths from pair to pair."""
    joints = synthetic_pairs.scene.joints.copy()
    for bone, (parent, child) in enumerate(BONES):
        along = synthetic_pairs.scene.joints[:, child] - synthetic_pairs.scene.joints[:, parent]
        own = np.exp(synthetic_pairs.scene.log_bones[bone])
        length = np.linalg.norm(along, axis=-1, keepdims=True) + change * own * rng.normal(size=(len(joints), 1))
        joints[:, child] = joints[:, parent] + along / np.linalg.norm(along, axis=-1, keepdims=True) * length
    scene = replace(synthetic_pairs.scene, joints=joints)

    def seen(view: View) -> Keypoints:
        keypoints, points = synthetic_pairs.views[view], scene.in_view_axes(view)
        return replace(keypoints, pixels=scene.focal(view) * points[..., :2] / points[..., 2:] + keypoints.centre_px)

    return replace(synthetic_pairs, views=PerView.of(seen), scene=scene)


def disturbed(scene: Scene, rng: np.random.Generator) -> Scene:
    """A scene with all parameters perturbed."""
    return scene.moved(rng.normal(0, 0.03, GLOBALS), rng.normal(0, 0.03, scene.joints.shape))


def problems(exact: SyntheticPairs) -> dict[str, Bundle]:
    """One bundle of each kind, with pixel and bone noise and different standard deviations."""
    rng = np.random.default_rng(1)

    def varied(keypoints: Keypoints) -> Keypoints:
        shape = keypoints.sigma_px.shape
        return replace(
            keypoints,
            sigma_px=rng.uniform(2, 6, shape),
            shape=keypoints.shape + rng.normal(0, 0.1, keypoints.shape.shape),
            shape_sigma=np.where(rng.random(shape) < 0.2, np.inf, rng.uniform(0.1, 1, shape)),
        )

    views = noisy(exact.views, rng, PerView(3.0, 5.0)).map(varied)
    prior = prior_at(exact.scene)
    prior = replace(prior, bones=prior.bones * np.exp(rng.normal(0, 0.1, len(BONES))), log_focal=PerView(6.1, 6.4))
    mute = PerView(views.left, replace(views.right, shape_sigma=np.full((PAIRS, 21), np.inf)))
    return {
        "strict": Bundle(views, prior, FINAL_LOSSES),
        "gentle, with a prior that counts three times": Bundle(views, prior, INITIAL_LOSSES, 3.0),
        "cameras of any kind": Bundle(views, replace(prior, equal_sigma=np.inf), FINAL_LOSSES),
        "one focal length given": Bundle(views, replace(prior, focal_sigma=PerView(0.0, 0.3)), FINAL_LOSSES),
        "place given": Bundle(views, replace(prior, place=False), INITIAL_LOSSES),
        "one view without shapes": Bundle(mute, prior, FINAL_LOSSES),
    }


KINDS = (
    "strict",
    "gentle, with a prior that counts three times",
    "cameras of any kind",
    "one focal length given",
    "place given",
    "one view without shapes",
)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_the_derivatives_of_half_the_cost(exact: SyntheticPairs, kind: str):
    bundle, scene = problems(exact)[kind], disturbed(exact.scene, np.random.default_rng(2))
    system, step = bundle.linearise(scene), 1e-5
    shared = np.array([_slope(bundle, scene, unknown, np.zeros_like(scene.joints)) for unknown in step * np.eye(GLOBALS)])
    np.testing.assert_allclose(system.h.sum(0), shared / step, atol=1e-5 * np.abs(shared / step).max())
    # All pairs at once: each pair's joints are of no concern to the others.
    joints = np.empty((PAIRS, 63))
    for number, unknown in enumerate(step * np.eye(63)):
        by = np.broadcast_to(unknown.reshape(21, 3), scene.joints.shape)
        costs = [bundle.pair_costs(scene.moved(np.zeros(GLOBALS), sign * by)) for sign in (1, -1)]
        joints[:, number] = (costs[0] - costs[1]) / 4 / step
    np.testing.assert_allclose(system.a, joints, atol=1e-5 * np.abs(joints).max())


def _slope(bundle: Bundle, scene: Scene, shared: np.ndarray, joints: np.ndarray) -> float:
    """Half of the cost's central difference along a step."""
    return (bundle.cost(scene.moved(shared, joints)) - bundle.cost(scene.moved(-shared, -joints))) / 4


def test_gradient_of_each_pair_is_the_derivative_of_its_cost(exact: SyntheticPairs):
    bundle, scene = problems(exact)["strict"], disturbed(exact.scene, np.random.default_rng(2))
    system, step = bundle.linearise(scene), 1e-5
    for unknown in (FOCAL.start, TURN.stop - 1, SHIFT.start):
        by = step * np.eye(GLOBALS)[unknown]
        still = np.zeros_like(scene.joints)
        costs = [bundle.pair_costs(scene.moved(sign * by, still)) for sign in (1, -1)]
        slope = (costs[0] - costs[1]) / 4 / step
        np.testing.assert_allclose(system.h[:-1, unknown], slope, atol=1e-5 * np.abs(slope).max())


@pytest.mark.parametrize("prior_weight", [1.0, 4.0])
def test_normal_matrix_is_the_hessian_where_residuals_vanish(exact: SyntheticPairs, prior_weight: float):
    bundle = Bundle(exact.views, prior_at(exact.scene), FINAL_LOSSES, prior_weight)
    system, rng, step = bundle.linearise(exact.scene), np.random.default_rng(3), 1e-5
    for scale in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        shared, joints = scale[0] * rng.normal(size=GLOBALS), scale[1] * rng.normal(size=exact.scene.joints.shape)
        ahead, behind = (bundle.linearise(exact.scene.moved(s * step * shared, s * step * joints)) for s in (1, -1))
        flat = joints.reshape(PAIRS, 63)
        by_joints = np.einsum("fij,fj->fi", system.A, flat) + system.W @ shared
        by_shared = np.einsum("fia,fi->a", system.W, flat) + system.H @ shared
        np.testing.assert_allclose((ahead.a - behind.a) / 2 / step, by_joints, atol=1e-4 * np.abs(by_joints).max())
        change = (ahead.h.sum(0) - behind.h.sum(0)) / 2 / step
        np.testing.assert_allclose(change, by_shared, atol=1e-4 * np.abs(by_shared).max())


@pytest.mark.parametrize("kind", KINDS)
def test_linearise_joints_equals_the_joint_blocks_of_linearise(exact: SyntheticPairs, kind: str):
    bundle, scene = problems(exact)[kind], disturbed(exact.scene, np.random.default_rng(2))
    both, (A, a) = bundle.linearise(scene), bundle.linearise_joints(scene)
    np.testing.assert_array_equal(A, both.A)
    np.testing.assert_array_equal(a, both.a)
    np.testing.assert_allclose(A, A.swapaxes(1, 2), rtol=1e-9, atol=1e-9 * np.abs(A).max())


@pytest.mark.parametrize("kind", KINDS)
def test_minimizing_never_raises_the_cost_and_keeps_given_parameters(exact: SyntheticPairs, kind: str):
    bundle, start = problems(exact)[kind], disturbed(exact.scene, np.random.default_rng(4))
    scene, costs = start, [bundle.cost(start)]
    for _ in range(3):
        scene, cost = minimize(bundle, scene, 1)
        assert cost == pytest.approx(bundle.cost(scene), rel=1e-12)
        costs.append(cost)
    assert (np.diff(costs) <= 0).all() and costs[-1] < 0.5 * costs[0]
    np.testing.assert_allclose(scene.R_right_from_left.T @ scene.R_right_from_left, np.eye(3), atol=1e-12)
    if not bundle.prior.place:
        np.testing.assert_array_equal(scene.R_right_from_left, start.R_right_from_left)
        np.testing.assert_array_equal(scene.t_right_from_left, start.t_right_from_left)
        assert scene.log_bones[PALM] != start.log_bones[PALM]
    else:
        assert scene.log_bones[PALM] == start.log_bones[PALM]
    given = np.array([*bundle.prior.focal_sigma]) == 0
    assert ((scene.log_focal == start.log_focal) == given).all()


def test_joints_behind_a_camera_converge_in_front_of_it(exact: SyntheticPairs):
    bundle = Bundle(exact.views, prior_at(exact.scene), FINAL_LOSSES)
    behind = exact.scene.joints.copy()
    behind[0, 8, 2], behind[3, :, 2] = -1, behind[3, :, 2] - 2 * behind[3, :, 2].mean()
    scene, _, _ = refine_joints(bundle, replace(exact.scene, joints=behind), np.full(PAIRS, 1e-2), 60)
    np.testing.assert_allclose(scene.joints[[0, 3]], exact.scene.joints[[0, 3]], atol=1e-3)


@pytest.mark.parametrize("equal_sigma", [0.3, np.inf])
def test_without_noise_an_initialization_some_degrees_off_converges_to_the_truth(exact: SyntheticPairs, equal_sigma: float):
    truth, prior = exact.scene, prior_at(exact.scene, equal_sigma=equal_sigma)
    scene = _start_near(exact, np.array([0.12, -0.1]), turn_deg=5, shift=0.1)
    assert angle_deg(scene.R_right_from_left, truth.R_right_from_left) > 4
    for losses in (INITIAL_LOSSES, FINAL_LOSSES):
        scene, _ = minimize(Bundle(exact.views, prior, losses), scene, 30)
    assert angle_deg(scene.R_right_from_left, truth.R_right_from_left) < 0.1
    np.testing.assert_allclose(scene.log_focal, truth.log_focal, atol=0.01)
    t = truth.t_right_from_left
    np.testing.assert_allclose(scene.t_right_from_left, t, atol=0.02 * float(np.linalg.norm(t)))
    np.testing.assert_allclose(scene.log_bones, truth.log_bones, atol=0.005)
    np.testing.assert_allclose(scene.joints, truth.joints, atol=0.1)


def test_a_given_focal_length_stays_exactly_and_the_other_is_found(exact: SyntheticPairs):
    truth = exact.scene
    prior = replace(prior_at(truth), focal_sigma=PerView(0.0, 0.35))
    start = _start_near(exact, np.array([0.0, -0.1]), turn_deg=5, shift=0.1)
    scene, _ = minimize(Bundle(exact.views, prior, INITIAL_LOSSES), start, 20)
    assert scene.log_focal[0] == start.log_focal[0]
    assert scene.log_focal[1] == pytest.approx(truth.log_focal[1], abs=1e-3)
    assert angle_deg(scene.R_right_from_left, truth.R_right_from_left) < 0.01


@pytest.mark.parametrize("size", [0.8, 1.25])
def test_given_extrinsics_determine_the_hand_size(exact: SyntheticPairs, size: float):
    truth = exact.scene
    views = claiming(exact.views, PerView(3.0, 3.0))
    prior = replace(prior_at(truth), place=False)
    given = CameraEstimate(
        PerView(*np.exp(truth.log_focal)), truth.R_right_from_left, truth.t_right_from_left * size, scaled=True
    )
    scene, _ = minimize(Bundle(views, prior, INITIAL_LOSSES), scene_at(given, views, prior.bones), 20)
    np.testing.assert_allclose(np.exp(scene.log_bones), size * prior.bones, rtol=1e-4)
    np.testing.assert_allclose(scene.joints, size * truth.joints, atol=1e-3)


def _start_near(exact: SyntheticPairs, log_focal: np.ndarray, turn_deg: float, shift: float) -> Scene:
    """The true cameras perturbed by the given amounts, with triangulated joints."""
    truth, rng = exact.scene, np.random.default_rng(5)
    turn, aside = (direction / np.linalg.norm(direction) for direction in rng.normal(size=(2, 3)))
    t = truth.t_right_from_left + shift * np.linalg.norm(truth.t_right_from_left) * aside
    R = from_vector(np.radians(turn_deg) * turn) @ truth.R_right_from_left
    return scene_at(
        CameraEstimate(PerView(*np.exp(truth.log_focal + log_focal)), R, t, scaled=True), exact.views, np.exp(truth.log_bones)
    )


@pytest.mark.parametrize("rounds, wrong", [(1, 1.0), (3, 2.0), (3, 0.7)])
def test_noise_estimate_is_unbiased_by_the_fitted_joints(rounds: int, wrong: float):
    """Of pixels and bones, from initial standard deviations that are right, too large or too small."""
    rng, true_px, true_bone = np.random.default_rng(6), PerView(2.0, 4.0), 0.05
    still = elastic(noiseless(sample_rig(np.random.default_rng(0), 70, PerView(60.0, 75.0)), 24), rng, true_bone)
    views, scene = noisy(still.views, rng, true_px), still.scene
    sigma, bone_noise = true_px.map(lambda px: wrong * px), wrong * true_bone
    for _ in range(rounds):
        bundle = Bundle(claiming(views, sigma), prior_at(still.scene, bone_noise=bone_noise), FINAL_LOSSES)
        scene, _ = minimize(bundle, scene, 8)
        more, bone_noise = noise(bundle, scene)
        sigma = PerView(more.left * sigma.left, more.right * sigma.right)
    assert sigma.left == pytest.approx(true_px.left, rel=0.15)
    assert sigma.right == pytest.approx(true_px.right, rel=0.15)
    assert bone_noise == pytest.approx(true_bone, rel=0.25)


def test_covariance_is_the_spread_of_the_estimates():
    pairs = 10
    exact = noiseless(sample_rig(np.random.default_rng(0), 70, PerView(60.0, 75.0)), pairs)
    rng, noise_px, bone_noise = np.random.default_rng(7), PerView(2.0, 2.0), 0.03
    truth, errors, said = exact.scene, [], []
    for _ in range(20):
        views = claiming(noisy(elastic(exact, rng, bone_noise).views, rng, noise_px), noise_px)
        prior = _sampled_prior(truth, rng, bone_noise)
        bundle = Bundle(views, prior, FINAL_LOSSES)
        scene, _ = minimize(bundle, truth, 6)
        claimed = covariance(bundle, scene, np.arange(pairs))
        turn = to_vector(scene.R_right_from_left @ truth.R_right_from_left.T)
        errors.append([*(scene.log_focal - truth.log_focal), *turn, *(scene.t_right_from_left - truth.t_right_from_left)])
        said.append(np.diag(claimed)[: SHIFT.stop])
        assert claimed[8 + PALM, 8 + PALM] == 0
    ratio = np.sqrt(np.mean(np.square(errors), 0) / np.mean(said, 0))
    assert (ratio > 0.6).all() and (ratio < 1.5).all(), ratio


def _sampled_prior(truth: Scene, rng: np.random.Generator, bone_noise: float) -> Prior:
    """A prior whose error follows its own standard deviations."""
    prior = prior_at(truth, equal_sigma=np.inf, focal_sigma=0.02, bone_noise=bone_noise)
    off = rng.normal(0, prior.bone_sigma, len(BONES))
    off[PALM] = 0
    log_focal = PerView(*(truth.log_focal + rng.normal(0, 0.02, 2)))
    return replace(prior, bones=prior.bones * np.exp(off), log_focal=log_focal)


def test_given_parameters_have_zero_variance(exact: SyntheticPairs):
    for name, given in (("one focal length given", [0]), ("place given", [*range(TURN.start, SHIFT.stop)])):
        bundle = problems(exact)[name]
        scene, _ = minimize(bundle, exact.scene, 2)
        variance = np.diag(covariance(bundle, scene, np.arange(PAIRS)))
        assert (np.flatnonzero(variance == 0) == (given if name == "place given" else [*given, 8 + PALM])).all()


@pytest.mark.parametrize("shared", [False, True])
def test_correlated_errors_are_distinguished_from_independent_ones(shared: bool):
    synthetic_pairs = noiseless(sample_rig(np.random.default_rng(0), 70, PerView(60.0, 75.0)), 32, seconds=1.5)
    rng, cluster = np.random.default_rng(8), np.arange(32) // 4
    off = rng.normal(0, 3, (2, 8 if shared else 32, 21, 2))
    off = off[:, cluster] if shared else off

    def seen(view: View) -> Keypoints:
        return replace(synthetic_pairs.views[view], pixels=synthetic_pairs.views[view].pixels + off[VIEWS.index(view)])

    bundle = Bundle(claiming(PerView.of(seen), PerView(3.0, 3.0)), prior_at(synthetic_pairs.scene), FINAL_LOSSES)
    scene, _ = minimize(bundle, synthetic_pairs.scene, 5)
    together = error_correlation(bundle, scene, cluster)
    assert together > 2 if shared else 0.6 < together < 1.6, together
    # And claims widen accordingly.
    wider = [np.diag(covariance(bundle, scene, names))[TURN].sum() for names in (np.arange(32), cluster)]
    assert wider[1] > 1.5 * wider[0] if shared else wider[1] < 2 * wider[0]
    assert error_correlation(bundle, scene, np.arange(32)) == pytest.approx(1)


def test_robust_losses_reject_outliers_that_bias_least_squares(exact: SyntheticPairs):
    """With 10 % outlier joints in one view, the robust loss ends near the truth and least squares does not."""
    rng = np.random.default_rng(9)
    wild = rng.random((PAIRS, 21)) < 0.1
    right = replace(exact.views.right, pixels=exact.views.right.pixels + wild[..., None] * rng.normal(0, 60, (PAIRS, 21, 2)))
    views, truth = PerView(exact.views.left, right), exact.scene

    def off_deg(losses: RobustLosses) -> float:
        scene, _ = minimize(Bundle(views, prior_at(truth), losses), truth, 10)
        return float(angle_deg(scene.R_right_from_left, truth.R_right_from_left))

    def plain(squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return squared, np.ones_like(squared)

    assert off_deg(FINAL_LOSSES) < 0.1 < 1 < off_deg(RobustLosses(plain, plain))


def test_rotation_follows_the_shapes_where_pixels_are_uninformative(exact: SyntheticPairs):
    """With uninformative pixels the rotation is that between the shapes."""
    views = exact.views.map(lambda keypoints: replace(keypoints, sigma_px=np.full_like(keypoints.sigma_px, 1e4)))
    start = exact.scene.moved(np.r_[0, 0, 0.2, -0.1, 0.15, np.zeros(GLOBALS - 5)], np.zeros_like(exact.scene.joints))
    scene, _ = minimize(Bundle(views, prior_at(exact.scene), INITIAL_LOSSES), start, 10)
    own = align(*(k.shape.reshape(-1, 3) for k in exact.views))
    assert angle_deg(start.R_right_from_left, own) > 10
    assert angle_deg(scene.R_right_from_left, own) < 0.5
