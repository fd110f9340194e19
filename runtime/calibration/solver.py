"""Solves for the two cameras from the hands that they saw, with the uncertainty of the solution.

Essential matrices at a grid of focal lengths, ranked by whether bones keep their length, give initializations; bundle
adjustment starts from the best of them, first with convex losses, then with redescending ones and the residuals' own noise.
"""

from dataclasses import dataclass, replace

import numpy as np

from capture.views import VIEWS, PerView, View
from hand.rotations import angle_deg
from runtime.calibration.bundle import Bundle, Keypoints, centred, normalized_weights
from runtime.calibration.claims import claimed_covariance, uncertainty
from runtime.calibration.initialization import CameraEstimate, from_essential, from_shapes, scene_at
from runtime.calibration.minimizer import minimize, refine_joints
from runtime.calibration.motion_advice import advised
from runtime.calibration.noise import error_correlation, noise
from runtime.calibration.robust_losses import FINAL_LOSSES, INITIAL_LOSSES
from runtime.calibration.status import HandMotion, Uncertainty
from runtime.calibration.variables import CHILD, PARENT, Prior, Scene

GRID_FOVS_DEG = (38.0, 48.0, 60.0, 75.0, 93.0, 115.0)
"""Horizontal fields of view of the initializations, where a camera's is not known."""
BEST_INITIALIZATIONS = 3
SEARCH_PAIRS = 32
"""Pairs that initializations are ranked on."""
_INITIAL_BONE_NOISE = 0.08
_INITIAL_STEPS, _FINAL_STEPS, _LAST_STEPS, _FREE_STEPS, _UNFOLDING_STEPS, _NOISE_ROUNDS = 8, 6, 10, 10, 12, 3
_NOISE_FACTOR, _BONE_NOISE = (0.2, 6.0), (0.01, 0.25)
"""Smallest and largest that are accepted."""
_MAX_CORRELATION = 20.0
_EPIPOLAR_KNEE, _BONE_KNEE = 2.0, 0.15
UNEQUAL_GAIN, UNEQUAL_STANDARD_ERRORS = 0.04, 3.0
"""Relative cost, times the error correlation, and standard errors, by which cameras of unequal focal lengths must explain the
pairs better than equal ones."""
RIVAL_DEG = 4.0
"""Two solutions whose rotations differ by more than that, and than the uncertainty explains, are rivals."""


@dataclass(frozen=True, slots=True)
class Problem:
    """The input of `solve`; may be sent to another process."""

    views: PerView[Keypoints]
    time_ns: np.ndarray
    """(F,) when each pair was captured."""
    prior: Prior
    known: CameraEstimate | None = None
    """The last solution's cameras, an initialization; with `search` off, the only one."""
    search: bool = True
    correlated_ns: int = 500_000_000
    """Pairs within this time may have correlated errors."""
    epoch: int = 0
    """Returned with the solution, so that solutions of pairs from before a camera was moved are ignored."""

    def subsampled(self, count: int) -> "Problem":
        """The problem with about `count` of its pairs, evenly spaced."""
        if len(self.time_ns) <= count:
            return self
        chosen = np.linspace(0, len(self.time_ns) - 1, count).round().astype(int)
        return replace(self, views=self.views.map(lambda keypoints: keypoints.subset(chosen)), time_ns=self.time_ns[chosen])


@dataclass(frozen=True, slots=True)
class Solution:
    """The cameras that explain the hands best."""

    cameras: CameraEstimate
    """The translation in hands."""
    bones: np.ndarray
    """(20,) lengths in hands."""
    uncertainty: Uncertainty
    noise: PerView[float]
    """Standard deviation of the pixels, as a multiple of what their views predicted."""
    bone_noise: float
    inliers: float
    """Share of joints within three predicted standard deviations of their projection, in both views."""
    shape_error: PerView[float]
    """Mean distance of the fitted joints from each view's own, best offset taken out, hands; 0 where a view has none."""
    rival: float
    """Standard errors by which the best rival explains the pairs worse; infinite where there is none."""
    error_correlation: float
    """Factor by which correlated errors lower the pairs' information, at least 1."""
    pairs: int
    epoch: int
    advice: HandMotion | None = None
    """The motion of the hand that would help most now; None where none would help much, or none is needed."""


def solve(problem: Problem) -> Solution | None:
    """The best cameras; None where no initialization is found.

    Focal lengths are assumed to be equal unless the pairs clearly show otherwise: where pixel errors are correlated, unequal
    focal lengths explain some of them at the expense of the pose.
    """
    cluster = (problem.time_ns - problem.time_ns.min()) // problem.correlated_ns
    few = problem.subsampled(SEARCH_PAIRS)
    initial = _initializations(few)
    if not initial:
        return None
    candidates = _candidates(few, initial)
    bundle, best = _refined(problem, candidates[0], cluster)
    alternative: Scene | None = None
    if all(sigma > 0 for sigma in problem.prior.focal_sigma):
        unequal = replace(problem, prior=replace(problem.prior, equal_sigma=float("inf")))
        free = Bundle(bundle.views, unequal.prior, FINAL_LOSSES, bundle.prior_weight)
        elsewhere = _candidates(replace(few, prior=unequal.prior), initial)[0]
        others = [minimize(free, scene, _FREE_STEPS, 1e-4) for scene in (best, _scene(problem, elsewhere))]
        other, cost = min(others, key=lambda result: result[1])
        gain = free.cost(best) / cost - 1
        # Focal lengths wrongly assumed to be equal correlate the residuals too, so the correlation is that of the unequal ones.
        correlation = min(bundle.prior_weight, max(error_correlation(free, other, cluster), 1.0))
        if gain > UNEQUAL_GAIN * correlation and _lead(free, other, best, cluster) > UNEQUAL_STANDARD_ERRORS:
            candidates = [estimate_of(other), estimate_of(best), *candidates]
            bundle, best = _refined(unequal, estimate_of(other), cluster)
        else:
            alternative = other
    claimed = uncertainty(bundle, best, claimed_covariance(bundle, best, cluster, alternative))
    return Solution(
        cameras=estimate_of(best),
        bones=np.exp(best.log_bones),
        uncertainty=claimed,
        noise=_noise(bundle, problem),
        bone_noise=bundle.prior.bone_noise,
        inliers=_inliers(problem, best),
        shape_error=PerView.of(lambda view: _shape_error(problem.views[view], best, view)),
        rival=_rival(problem, bundle, best, candidates[1:], cluster, max(RIVAL_DEG, 2.5 * claimed.rotation_deg)),
        error_correlation=bundle.prior_weight,
        pairs=len(problem.time_ns),
        epoch=problem.epoch,
        advice=advised(bundle, best),
    )


def estimate_of(scene: Scene) -> CameraEstimate:
    """The cameras of a scene."""
    return CameraEstimate(PerView.of(scene.focal), scene.R_right_from_left, scene.t_right_from_left, scaled=True)


def _scene(problem: Problem, start: CameraEstimate) -> Scene:
    return scene_at(start, problem.views, problem.prior.bones)


def _candidates(problem: Problem, initial: list[CameraEstimate]) -> list[CameraEstimate]:
    """The most plausible initializations after a few steps with convex losses, lowest cost first."""
    scenes = [_scene(problem, cameras) for cameras in initial]
    if len(scenes) > BEST_INITIALIZATIONS:
        scenes = sorted(scenes, key=lambda scene: _implausibility(problem, scene))[:BEST_INITIALIZATIONS]
    bundle = Bundle(problem.views, replace(problem.prior, bone_noise=_INITIAL_BONE_NOISE), INITIAL_LOSSES)
    results = [minimize(bundle, scene, _INITIAL_STEPS, 1e-3) for scene in scenes]
    return [estimate_of(scene) for scene, _ in sorted(results, key=lambda result: result[1])]


def _refined(problem: Problem, start: CameraEstimate, cluster: np.ndarray) -> tuple[Bundle, Scene]:
    """The problem with the noise of its residuals, and its minimum near `start`."""
    bundle, scene = Bundle(problem.views, problem.prior, FINAL_LOSSES), _scene(problem, start)
    for _ in range(_NOISE_ROUNDS):
        scene, _ = minimize(bundle, scene, _FINAL_STEPS, 1e-4)
        bundle = _with_noise(bundle, scene, problem)
    scene = _unfolded(bundle, scene)
    weight = float(np.clip(error_correlation(bundle, scene, cluster), 1, _MAX_CORRELATION))
    bundle = Bundle(bundle.views, bundle.prior, FINAL_LOSSES, weight)
    scene, _ = minimize(bundle, scene, _FINAL_STEPS, 1e-5)
    return bundle, minimize(bundle, _unfolded(bundle, scene), _LAST_STEPS, 1e-6)[0]


def _unfolded(bundle: Bundle, scene: Scene) -> Scene:
    """The scene with the joints triangulated anew by its cameras in the pairs where that is better.

    A finger may point to or from a camera with bones of the same length: joints that once folded the wrong way stay there and
    hold the cameras, elsewhere for each order of the steps.
    """
    cameras = estimate_of(scene)
    anew = replace(scene, joints=scene_at(cameras, bundle.views, np.exp(scene.log_bones)).joints)
    anew, *_ = refine_joints(bundle, anew, np.full(bundle.count, 1e-2), _UNFOLDING_STEPS)
    better = bundle.pair_costs(anew) < bundle.pair_costs(scene)
    return replace(scene, joints=np.where(better[:, None, None], anew.joints, scene.joints))


def _initializations(problem: Problem) -> list[CameraEstimate]:
    """Cameras at every pair of the possible focal lengths."""
    views = problem.views
    found = [] if problem.known is None else [problem.known]
    if not problem.search or not problem.prior.place:
        return found
    focals = PerView.of(lambda view: _focals(problem, view))
    tried = [from_essential(views, PerView(left, right), seed=0) for left in focals.left for right in focals.right]
    found += [cameras for cameras in tried if cameras is not None]
    if all(np.isfinite(keypoints.shape_sigma).any() for keypoints in views):
        found.append(from_shapes(views, problem.prior.log_focal.map(lambda log: float(np.exp(log)))))
    return found


def _focals(problem: Problem, view: View) -> list[float]:
    """Possible focal lengths, px: the known one, or the grid's."""
    prior = problem.prior
    if prior.focal_sigma[view] == 0:
        return [float(np.exp(prior.log_focal[view]))]
    half = problem.views[view].centre_px[0] + 0.5
    return [float(half / np.tan(np.radians(fov) / 2)) for fov in GRID_FOVS_DEG]


def _implausibility(problem: Problem, scene: Scene) -> float:
    """Misfit of a triangulated scene: bones that change their length, Sampson errors, unlikely focal lengths."""
    length = np.linalg.norm(scene.joints[:, CHILD] - scene.joints[:, PARENT], axis=-1)
    change = (np.log(np.maximum(length, 1e-6) / np.maximum(np.median(length, axis=0), 1e-6)) / _BONE_KNEE) ** 2
    pixels, sigma = problem.views.map(lambda k: k.pixels), problem.views.map(lambda k: k.sigma_px)
    missed = estimate_of(scene).geometry(problem.views).sampson_px(pixels) ** 2 / (sigma.left * sigma.right)
    prior = problem.prior
    off = scene.log_focal - np.array([*prior.log_focal])
    sigma_focal = np.array([*prior.focal_sigma])
    unlikely = np.sum(np.square(np.divide(off, sigma_focal, out=np.zeros(2), where=sigma_focal > 0)))
    unequal = abs(off[0] - off[1]) > 0.1 and (sigma_focal > 0).all() and np.isfinite(prior.equal_sigma)
    return float(
        5 * (change / (1 + change)).mean() + (missed / (1 + missed / _EPIPOLAR_KNEE**2)).mean() + 0.02 * unlikely + 10 * unequal
    )


def _with_noise(bundle: Bundle, scene: Scene, problem: Problem) -> Bundle:
    """The problem with the noise estimated from its residuals."""
    so_far, (more, bone_noise) = _noise(bundle, problem), noise(bundle, scene)

    def scaled(view: View) -> Keypoints:
        original = problem.views[view]
        return replace(original, sigma_px=original.sigma_px * float(np.clip(so_far[view] * more[view], *_NOISE_FACTOR)))

    prior = replace(problem.prior, bone_noise=float(np.clip(bone_noise, *_BONE_NOISE)))
    return Bundle(PerView.of(scaled), prior, FINAL_LOSSES)


def _noise(bundle: Bundle, problem: Problem) -> PerView[float]:
    """The bundle's pixel noise, as a multiple of what the problem's views predicted."""
    return PerView.of(lambda view: float(np.median(bundle.views[view].sigma_px / problem.views[view].sigma_px)))


def _apart_deg(scene: Scene, other: Scene) -> float:
    return float(angle_deg(scene.R_right_from_left, other.R_right_from_left))


def _inliers(problem: Problem, scene: Scene) -> float:
    near = np.ones(scene.joints.shape[:2], bool)
    for view in VIEWS:
        keypoints, points = problem.views[view], scene.in_view_axes(view)
        pixels = scene.focal(view) * points[..., :2] / np.maximum(points[..., 2:], 1e-3) + keypoints.centre_px
        near &= np.linalg.norm(pixels - keypoints.pixels, axis=-1) < 3 * keypoints.sigma_px
    return float(near.mean())


def _shape_error(keypoints: Keypoints, scene: Scene, view: View) -> float:
    share = normalized_weights(np.isfinite(keypoints.shape_sigma).astype(float))
    turned = centred(scene.joints, share) @ scene.R_from_left(view).T
    apart = np.linalg.norm(turned - centred(keypoints.shape, share), axis=-1)
    return float(np.median((share * apart).sum(1)))


def _lead(bundle: Bundle, better: Scene, worse: Scene, cluster: np.ndarray) -> float:
    """Standard errors by which `worse` costs more than `better`, from the clusters' scatter."""
    more = bundle.pair_costs(worse) - bundle.pair_costs(better)
    sums = np.array([more[cluster == name].sum() for name in np.unique(cluster)])
    error = sums.std(ddof=1) * np.sqrt(len(sums)) if len(sums) > 1 else float("inf")
    return float(sums.sum() / max(error, 1e-9))


def _rival(
    problem: Problem, bundle: Bundle, best: Scene, others: list[CameraEstimate], cluster: np.ndarray, far_deg: float
) -> float:
    """`_lead` over the most plausible of `others` that stays over `far_deg` from the best rotation; infinite without one."""
    for start in others:
        if angle_deg(start.R_right_from_left, best.R_right_from_left) > far_deg:
            refined, _ = minimize(bundle, _scene(problem, start), _FINAL_STEPS, 1e-3)
            return _lead(bundle, best, refined, cluster) if _apart_deg(refined, best) > far_deg else float("inf")
    return float("inf")
