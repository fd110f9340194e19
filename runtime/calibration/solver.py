"""From hands that two cameras saw to where those cameras are, and how sure that is.

Essential matrices at a grid of focal lengths, judged by whether bones keep their length, give starts; bundle adjustment
descends from the best of them, gently at first, then strictly and with the noise that the residuals tell.
"""

from dataclasses import dataclass, replace

import numpy as np

from capture.views import VIEWS, PerView, View
from hand.rotations import angle_deg
from runtime.calibration.bundle import Bundle, Keypoints, centred, shares
from runtime.calibration.initialization import Start, from_essential, from_shapes, scene_at
from runtime.calibration.minimizer import minimize
from runtime.calibration.noise import covariance, error_correlation, noise
from runtime.calibration.robust_losses import GENTLE, STRICT
from runtime.calibration.status import Uncertainty
from runtime.calibration.variables import CHILD, FOCAL, PARENT, SHIFT, TURN, Prior, Scene

GRID_FOVS_DEG = (38.0, 48.0, 60.0, 75.0, 93.0, 115.0)
"""Horizontal fields of view that starts are sought at, where a camera's is not known."""
BEST_STARTS = 3
SEARCH_PAIRS = 32
"""Pairs that starts are judged by."""
_GENTLE_BONE_NOISE = 0.08
_GENTLE_STEPS, _STRICT_STEPS, _FREE_STEPS, _NOISE_ROUNDS = 8, 6, 10, 3
_NOISE_FACTOR, _BONE_NOISE = (0.2, 6.0), (0.01, 0.25)
"""Smallest and largest that are believed."""
_MOST_TOGETHER = 20.0
_EPIPOLAR_KNEE, _BONE_KNEE = 2.0, 0.15
CLAIM = 1.6
"""By how much claimed standard deviations are widened, as measured on drawn motion (`tools.evaluate.geometry`): errors are larger
than the scatter of the residuals tells, in which a choice among nearby valleys does not show."""
CLEARLY, SURELY = 0.04, 3.0
"""Share of the cost, times how much the errors go together, and standard errors, by which unequal cameras must explain the pairs
better than equal ones."""
DIFFERENT_DEG = 4.0
"""Two solutions whose rotations differ by more than that, and than the uncertainty explains, are rivals."""


@dataclass(frozen=True, slots=True)
class Problem:
    """All that a solution needs; may travel to another process."""

    views: PerView[Keypoints]
    time_ns: np.ndarray
    """(F,) when each pair was captured."""
    prior: Prior
    known: Start | None = None
    """The last solution's cameras, to begin there; with `search` off, only there."""
    search: bool = True
    together_ns: int = 500_000_000
    """Pairs that are no farther apart may err together."""
    epoch: int = 0
    """Goes back with the solution: what was asked before a camera was moved no longer counts."""

    def thinned(self, count: int) -> "Problem":
        """The problem of about `count` of its pairs, evenly chosen."""
        if len(self.time_ns) <= count:
            return self
        chosen = np.linspace(0, len(self.time_ns) - 1, count).round().astype(int)
        return replace(self, views=self.views.map(lambda keypoints: keypoints.chosen(chosen)), time_ns=self.time_ns[chosen])


@dataclass(frozen=True, slots=True)
class Solution:
    """Cameras that explain the hands best."""

    start: Start
    """The cameras; the shift in hands."""
    bones: np.ndarray
    """(20,) lengths in hands."""
    uncertainty: Uncertainty
    noise: PerView[float]
    """How many times farther off the pixels are than their views thought."""
    bone_noise: float
    inliers: float
    """Share of joints that lie within three of their own views' standard deviations of where the cameras say, in both views."""
    shape_error: PerView[float]
    """Mean distance of the fitted joints from each view's own, best offset taken out, hands; 0 where a view has none."""
    rival: float
    """By how many standard errors the best rival explains the pairs worse; infinite where there is none."""
    together: float
    """How many times less the pairs tell than independent ones would."""
    pairs: int
    epoch: int


def solve(problem: Problem) -> Solution | None:
    """The best cameras; None where not even a start is found.

    Cameras of one kind are taken for granted until the pairs say clearly that they are not: where pixels have errors that go
    together, unequal focal lengths explain some of these, and the cameras' places pay for it.
    """
    cluster = (problem.time_ns - problem.time_ns.min()) // problem.together_ns
    few = problem.thinned(SEARCH_PAIRS)
    starts = _starts(few)
    if not starts:
        return None
    candidates = _candidates(few, starts)
    bundle, best = _refined(problem, candidates[0], cluster)
    if all(sigma > 0 for sigma in problem.prior.focal_sigma):
        unequal = replace(problem, prior=replace(problem.prior, equal_sigma=float("inf")))
        free = Bundle(bundle.views, unequal.prior, STRICT, bundle.prior_weight)
        elsewhere = _candidates(replace(few, prior=unequal.prior), starts)[0]
        others = [minimize(free, scene, _FREE_STEPS, 1e-4) for scene in (best, _scene(problem, elsewhere))]
        other, cost = min(others, key=lambda result: result[1])
        gain = free.cost(best) / cost - 1
        # Cameras wrongly taken for equal make residuals go together, too: it is the other ones that tell how much they do.
        together = min(bundle.prior_weight, max(error_correlation(free, other, cluster), 1.0))
        if gain > CLEARLY * together and _lead(free, other, best, cluster) > SURELY:
            candidates = [start_of(other), start_of(best), *candidates]
            bundle, best = _refined(unequal, start_of(other), cluster)
    told = _uncertainty(best, CLAIM**2 * covariance(bundle, best, cluster))
    return Solution(
        start=start_of(best),
        bones=np.exp(best.log_bones),
        uncertainty=told,
        noise=_noise(bundle, problem),
        bone_noise=bundle.prior.bone_noise,
        inliers=_inliers(problem, best),
        shape_error=PerView.of(lambda view: _shape_error(problem.views[view], best, view)),
        rival=_rival(problem, bundle, best, candidates[1:], cluster, max(DIFFERENT_DEG, 2.5 * told.rotation_deg)),
        together=bundle.prior_weight,
        pairs=len(problem.time_ns),
        epoch=problem.epoch,
    )


def start_of(scene: Scene) -> Start:
    """A scene's cameras."""
    return Start(PerView.of(scene.focal), scene.R_right_from_left, scene.t_right_from_left, scaled=True)


def _scene(problem: Problem, start: Start) -> Scene:
    return scene_at(start, problem.views, problem.prior.bones)


def _candidates(problem: Problem, starts: list[Start]) -> list[Start]:
    """The most plausible of `starts`, descended from gently, best first."""
    scenes = [_scene(problem, start) for start in starts]
    if len(scenes) > BEST_STARTS:
        scenes = sorted(scenes, key=lambda scene: _implausibility(problem, scene))[:BEST_STARTS]
    bundle = Bundle(problem.views, replace(problem.prior, bone_noise=_GENTLE_BONE_NOISE), GENTLE)
    results = [minimize(bundle, scene, _GENTLE_STEPS, 1e-3) for scene in scenes]
    return [start_of(scene) for scene, _ in sorted(results, key=lambda result: result[1])]


def _refined(problem: Problem, start: Start, cluster: np.ndarray) -> tuple[Bundle, Scene]:
    """The strict problem with the noise that its residuals tell, and its minimum near `start`."""
    bundle, scene = Bundle(problem.views, problem.prior, STRICT), _scene(problem, start)
    for _ in range(_NOISE_ROUNDS):
        scene, _ = minimize(bundle, scene, _STRICT_STEPS, 1e-4)
        bundle = _with_noise(bundle, scene, problem)
    weight = float(np.clip(error_correlation(bundle, scene, cluster), 1, _MOST_TOGETHER))
    bundle = Bundle(bundle.views, bundle.prior, STRICT, weight)
    return bundle, minimize(bundle, scene, 2 * _STRICT_STEPS, 1e-5)[0]


def _starts(problem: Problem) -> list[Start]:
    """Cameras to begin with, at every pair of the focal lengths that may be."""
    views = problem.views
    starts = [] if problem.known is None else [problem.known]
    if not problem.search or not problem.prior.place:
        return starts
    focals = PerView.of(lambda view: _focals(problem, view))
    tried = [from_essential(views, PerView(left, right), seed=0) for left in focals.left for right in focals.right]
    starts += [start for start in tried if start is not None]
    if all(np.isfinite(keypoints.shape_sigma).any() for keypoints in views):
        starts.append(from_shapes(views, problem.prior.log_focal.map(lambda log: float(np.exp(log)))))
    return starts


def _focals(problem: Problem, view: View) -> list[float]:
    """Focal lengths to start with, px: the known one, or the grid's."""
    prior = problem.prior
    if prior.focal_sigma[view] == 0:
        return [float(np.exp(prior.log_focal[view]))]
    half = problem.views[view].centre_px[0] + 0.5
    return [float(half / np.tan(np.radians(fov) / 2)) for fov in GRID_FOVS_DEG]


def _implausibility(problem: Problem, scene: Scene) -> float:
    """How badly a triangulated scene fits: bones that change their length, rays that miss each other, unlikely focal lengths."""
    length = np.linalg.norm(scene.joints[:, CHILD] - scene.joints[:, PARENT], axis=-1)
    change = (np.log(np.maximum(length, 1e-6) / np.maximum(np.median(length, axis=0), 1e-6)) / _BONE_KNEE) ** 2
    pixels, sigma = problem.views.map(lambda k: k.pixels), problem.views.map(lambda k: k.sigma_px)
    missed = start_of(scene).geometry(problem.views).sampson_px(pixels) ** 2 / (sigma.left * sigma.right)
    prior = problem.prior
    off = scene.log_focal - np.array([*prior.log_focal])
    sigma_focal = np.array([*prior.focal_sigma])
    unlikely = np.sum(np.square(np.divide(off, sigma_focal, out=np.zeros(2), where=sigma_focal > 0)))
    unequal = abs(off[0] - off[1]) > 0.1 and (sigma_focal > 0).all() and np.isfinite(prior.equal_sigma)
    return float(
        5 * (change / (1 + change)).mean() + (missed / (1 + missed / _EPIPOLAR_KNEE**2)).mean() + 0.02 * unlikely + 10 * unequal
    )


def _with_noise(bundle: Bundle, scene: Scene, problem: Problem) -> Bundle:
    """The problem with the noise that its residuals tell."""
    so_far, (more, bone_noise) = _noise(bundle, problem), noise(bundle, scene)

    def scaled(view: View) -> Keypoints:
        original = problem.views[view]
        return replace(original, sigma_px=original.sigma_px * float(np.clip(so_far[view] * more[view], *_NOISE_FACTOR)))

    prior = replace(problem.prior, bone_noise=float(np.clip(bone_noise, *_BONE_NOISE)))
    return Bundle(PerView.of(scaled), prior, STRICT)


def _noise(bundle: Bundle, problem: Problem) -> PerView[float]:
    """How many times farther off the bundle takes the pixels to be than the problem's views thought."""
    return PerView.of(lambda view: float(np.median(bundle.views[view].sigma_px / problem.views[view].sigma_px)))


def _apart_deg(scene: Scene, other: Scene) -> float:
    return float(angle_deg(scene.R_right_from_left, other.R_right_from_left))


def _uncertainty(scene: Scene, cov: np.ndarray) -> Uncertainty:
    t = scene.t_right_from_left
    length = max(float(np.linalg.norm(t)), 1e-9)
    across = np.eye(3) - np.outer(t, t) / length**2
    return Uncertainty(
        float(np.degrees(np.sqrt(np.trace(cov[TURN, TURN])))),
        float(np.degrees(min(np.sqrt(np.trace(across @ cov[SHIFT, SHIFT] @ across)) / length, np.pi))),
        PerView(*(float(100 * np.sqrt(value)) for value in np.diag(cov[FOCAL, FOCAL]))),
    )


def _inliers(problem: Problem, scene: Scene) -> float:
    near = np.ones(scene.joints.shape[:2], bool)
    for view in VIEWS:
        keypoints, seen = problem.views[view], scene.seen(view)
        pixels = scene.focal(view) * seen[..., :2] / np.maximum(seen[..., 2:], 1e-3) + keypoints.centre_px
        near &= np.linalg.norm(pixels - keypoints.pixels, axis=-1) < 3 * keypoints.sigma_px
    return float(near.mean())


def _shape_error(keypoints: Keypoints, scene: Scene, view: View) -> float:
    share = shares(np.isfinite(keypoints.shape_sigma).astype(float))
    turned = centred(scene.joints, share) @ scene.R_from_left(view).T
    apart = np.linalg.norm(turned - centred(keypoints.shape, share), axis=-1)
    return float(np.median((share * apart).sum(1)))


def _lead(bundle: Bundle, better: Scene, worse: Scene, cluster: np.ndarray) -> float:
    """By how many standard errors `worse` costs more than `better`, by the clusters' scatter."""
    more = bundle.pair_costs(worse) - bundle.pair_costs(better)
    sums = np.array([more[cluster == name].sum() for name in np.unique(cluster)])
    error = sums.std(ddof=1) * np.sqrt(len(sums)) if len(sums) > 1 else float("inf")
    return float(sums.sum() / max(error, 1e-9))


def _rival(problem: Problem, bundle: Bundle, best: Scene, others: list[Start], cluster: np.ndarray, far_deg: float) -> float:
    """By how much the most plausible of `others` that ends farther off than `far_deg` is worse, as `_lead` counts; infinite where
    there is none."""
    for start in others:
        if angle_deg(start.R_right_from_left, best.R_right_from_left) > far_deg:
            settled, _ = minimize(bundle, _scene(problem, start), _STRICT_STEPS, 1e-3)
            return _lead(bundle, best, settled, cluster) if _apart_deg(settled, best) > far_deg else float("inf")
    return float("inf")
