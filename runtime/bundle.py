"""Bundle adjustment of two cameras on a moving hand: focal lengths, places, bone lengths and all joints at once.

Lengths are in hands: the distance from the wrist to the middle knuckle is 1. What is minimised over the cameras g, the bones
b and the joints X of every pair is

    Σ ρ(‖π_v(X_j) − p_vj‖² / σ_vj²) + Σ ρ((‖X_child − X_parent‖ − b)² / s_b²) + Σ ‖R_v X_j − J_vj − offset‖² / σ3_vj² + priors:

joints lie where both views see them, bones keep their length (which is what makes the focal lengths observable), and the
hand roughly has the shape that each view's network gave it. ρ are robust losses (`runtime.losses`). Each pair's 63 unknowns
are eliminated by the Schur complement (Triggs et al. 1999, Bundle Adjustment: A Modern Synthesis, section 6); what remains takes
Levenberg-Marquardt steps.
"""

from dataclasses import dataclass, replace

import numpy as np

from capture.views import VIEWS, PerView, View
from hand.joints import BONES, JOINTS, MIDDLE_MCP
from hand.rotations import from_vector, skew
from runtime.losses import Losses

PARENT, CHILD = np.array(BONES).T
BONE_COUNT = len(BONES)
PALM = int(np.flatnonzero(CHILD == MIDDLE_MCP)[0])
"""The bone that lengths are measured by."""
FOCAL, TURN, SHIFT, BONE = slice(0, 2), slice(2, 5), slice(5, 8), slice(8, 8 + BONE_COUNT)
"""Where the unknowns that all pairs share stand: log focal lengths, rotation and place of the right camera, log bone lengths."""
GLOBALS = 8 + BONE_COUNT
NEAREST = 0.5
"""Hands; what comes nearer to a camera, or behind it, is pushed away."""
_PUSH = 100.0
FIRST_SETTLING, SETTLING = 8, 3
"""Steps of the joints alone before the first, and after each, step of the cameras."""
_LEAST_FREEDOM = 1e-3


@dataclass(frozen=True, slots=True)
class Keypoints:
    """One view's hands in F pairs."""

    pixels: np.ndarray
    """(F, 21, 2)."""
    sigma_px: np.ndarray
    """(F, 21) standard deviation of each, up to a common factor."""
    shape: np.ndarray
    """(F, 21, 3) the view's own unit hands, its camera's axes."""
    shape_sigma: np.ndarray
    """(F, 21) how far each may be off, hands; infinite for a joint of which the view says nothing."""
    centre_px: np.ndarray
    """(2,) principal point."""

    def chosen(self, pairs: np.ndarray) -> "Keypoints":
        """Those of some pairs, by number or mask."""
        return Keypoints(self.pixels[pairs], self.sigma_px[pairs], self.shape[pairs], self.shape_sigma[pairs], self.centre_px)


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known before a hand is seen."""

    log_focal: PerView[float]
    """Logarithm of the focal lengths in px."""
    focal_sigma: PerView[float]
    """Standard deviations of those."""
    equal_sigma: float
    """Standard deviation of the difference of those, for cameras of one kind; infinite for others."""
    bones: np.ndarray
    """(20,) lengths, hands; the palm's is 1."""
    bone_sigma: float
    """How people differ, logarithmic."""
    bone_noise: float
    """By how much of its length a bone seems to change while the hand moves."""
    place: bool = True
    """Whether the right camera's place is sought; else it is given, and the size of the hand is sought."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The unknowns."""

    log_focal: np.ndarray
    """(2,) left, right."""
    R_right_from_left: np.ndarray
    t_right_from_left: np.ndarray
    """(3,) hands."""
    log_bones: np.ndarray
    """(20,)."""
    joints: np.ndarray
    """(F, 21, 3) hands, left camera's axes."""

    def moved(self, step: np.ndarray, joint_step: np.ndarray) -> "Scene":
        """The scene after a step of the shared unknowns (28,) and of the joints (F, 21, 3)."""
        return Scene(
            self.log_focal + step[FOCAL],
            from_vector(step[TURN]) @ self.R_right_from_left,
            self.t_right_from_left + step[SHIFT],
            self.log_bones + step[BONE],
            self.joints + joint_step,
        )

    def seen(self, view: View) -> np.ndarray:
        """(F, 21, 3) the joints in a view's axes."""
        return self.joints if view == "left" else self.joints @ self.R_right_from_left.T + self.t_right_from_left

    def focal(self, view: View) -> float:
        return float(np.exp(self.log_focal[VIEWS.index(view)]))


@dataclass(frozen=True, slots=True)
class System:
    """Normal equations of one linearisation, with each pair's joints still in them; of half of the cost."""

    A: np.ndarray
    """(F, 63, 63) of the joints."""
    a: np.ndarray
    """(F, 63) gradient."""
    W: np.ndarray
    """(F, 63, 28) joints against shared unknowns."""
    H: np.ndarray
    """(28, 28) of the shared unknowns."""
    h: np.ndarray
    """(F + 1, 28) gradient, each pair's part and last the priors'."""


class Bundle:
    """The problem: hands as both views see them, and what is known before."""

    def __init__(self, views: PerView[Keypoints], prior: Prior, losses: Losses, prior_weight: float = 1.0):
        """With a `prior_weight` above 1 the prior counts as much more: residuals that go together tell less than they seem."""
        self.views = views
        self.losses = losses
        self.prior_weight = prior_weight
        self.prior = prior
        self.count = len(views.left.pixels)
        weight = views.map(lambda keypoints: keypoints.shape_sigma**-2.0)
        self._shape_weight = weight
        # Weighted means, the offsets' best values, taken out: one constant matrix.
        self._shape_A = sum((_centring(w) for w in weight), np.zeros(()))
        self._shape = PerView.of(lambda view: _centred(views[view].shape, weight[view]))
        # A given place is known to no end; where it is sought, the palm's length is the unit instead.
        self._free = np.ones(GLOBALS, bool)
        if prior.place:
            self._free[8 + PALM] = False
        else:
            self._free[TURN] = self._free[SHIFT] = False
        for index, sigma in enumerate(prior.focal_sigma):
            self._free[index] = sigma > 0

    @property
    def free(self) -> np.ndarray:
        """(28,) which of the shared unknowns are sought."""
        return self._free

    def cost(self, scene: Scene) -> float:
        """What is minimised."""
        return float(self.pair_costs(scene).sum()) + self.prior_cost(scene)

    def pair_costs(self, scene: Scene) -> np.ndarray:
        """(F,) each pair's share of the cost."""
        total = self.losses.bone(self._stretch(scene)[0] ** 2)[0].sum(1)
        for view in VIEWS:
            keypoints, seen = self.views[view], scene.seen(view)
            error = self._error(scene, view, seen)[0]
            total += self.losses.pixel((error**2).sum(-1))[0].sum(1)
            total += _PUSH**2 * (np.minimum(seen[..., 2] - NEAREST, 0) ** 2).sum(1)
            misfit = self._misfit(scene, view)
            total += ((misfit**2).sum(-1) * keypoints.shape_sigma**-2.0).sum(1)
        return total

    def linearise(self, scene: Scene, *, joints_alone: bool = False) -> System:
        """The normal equations at a scene, with each residual's loss as a weight; only `A` and `a` with `joints_alone`."""
        F = self.count
        diagonal = np.zeros((F, JOINTS, 3, 3))
        a = np.zeros((F, JOINTS, 3))
        W = np.zeros((F, JOINTS, 3, GLOBALS))
        H = np.zeros((GLOBALS, GLOBALS))
        h = np.zeros((F + 1, GLOBALS))
        for index, view in enumerate(VIEWS):
            self._add_view(scene, index, view, diagonal, a, W, H, h, joints_alone)
        A = np.zeros((F, JOINTS, JOINTS, 3, 3))
        A[:, np.arange(JOINTS), np.arange(JOINTS)] = diagonal
        A += self._shape_A[..., None, None] * np.eye(3)
        self._add_bones(scene, A, a, W, H, h)
        _, prior_h, prior_H = self._prior(scene)
        A = A.transpose(0, 1, 3, 2, 4).reshape(F, 3 * JOINTS, 3 * JOINTS)
        h[-1] = self.prior_weight * prior_h
        return System(A, a.reshape(F, -1), W.reshape(F, 3 * JOINTS, GLOBALS), H + self.prior_weight * prior_H, h)

    def _add_view(self, scene: Scene, index: int, view: View, diagonal, a, W, H, h, joints_alone: bool) -> None:
        keypoints, seen = self.views[view], scene.seen(view)
        R = np.eye(3) if view == "left" else scene.R_right_from_left
        error, sight, depth = self._error(scene, view, seen)
        weight = self.losses.pixel((error**2).sum(-1))[1]
        focal = scene.focal(view)
        by_seen = np.zeros((*error.shape, 3))
        by_seen[..., 0, 0] = by_seen[..., 1, 1] = 1 / depth
        by_seen[..., 2] = -sight / depth[..., None]
        by_seen *= (focal / keypoints.sigma_px)[..., None, None]
        by_joint = by_seen @ R
        weighted = by_joint * weight[..., None, None]
        weighted_error = error * weight[..., None]
        diagonal += np.swapaxes(weighted, -1, -2) @ by_joint
        a += (np.swapaxes(by_joint, -1, -2) @ weighted_error[..., None])[..., 0]
        near = np.minimum(seen[..., 2] - NEAREST, 0)
        diagonal += (_PUSH**2 * (near < 0))[..., None, None] * np.outer(R[2], R[2])
        a += _PUSH**2 * near[..., None] * R[2]

        misfit, shape_weight = self._misfit(scene, view), self._shape_weight[view]
        shape_pull = misfit * shape_weight[..., None]
        a += shape_pull @ R
        if joints_alone:
            return

        columns = [index]
        by_global = [(sight * (focal / keypoints.sigma_px)[..., None])[..., None]]
        if view == "right":
            columns += range(TURN.start, SHIFT.stop)
            turned = seen - scene.t_right_from_left
            by_global += [-by_seen @ skew(turned), by_seen]
        jacobian = np.concatenate(by_global, -1)
        W[..., columns] += np.swapaxes(weighted, -1, -2) @ jacobian
        flat = (jacobian * np.sqrt(weight)[..., None, None]).reshape(-1, len(columns))
        H[np.ix_(columns, columns)] += flat.T @ flat
        h[:-1, columns] += np.einsum("fjik,fji->fk", jacobian, weighted_error)

        if view == "right":
            by_turn = -skew(_centred(scene.joints, shape_weight) @ R.T)
            weighted = by_turn * shape_weight[..., None, None]
            H[TURN, TURN] += np.einsum("fjab,fjac->bc", weighted, by_turn)
            h[:-1, TURN] += np.einsum("fjab,fja->fb", by_turn, shape_pull)
            W[..., TURN] += R.T @ weighted

    def _add_bones(self, scene: Scene, A, a, W, H, h) -> None:
        stretch, along, scale = self._stretch(scene)
        weight = self.losses.bone(stretch**2)[1]
        by_child = along / scale[:, None]
        block = weight[..., None, None] * by_child[..., :, None] * by_child[..., None, :]
        pull = (weight * stretch)[..., None] * by_child
        by_bone = -np.exp(scene.log_bones) / scale
        across = (weight * by_bone)[..., None] * by_child
        for bone, (parent, child) in enumerate(BONES):
            A[:, child, child] += block[:, bone]
            A[:, parent, parent] += block[:, bone]
            A[:, child, parent] -= block[:, bone]
            A[:, parent, child] -= block[:, bone]
            a[:, child] += pull[:, bone]
            a[:, parent] -= pull[:, bone]
            W[:, child, :, BONE.start + bone] += across[:, bone]
            W[:, parent, :, BONE.start + bone] -= across[:, bone]
        own = np.arange(BONE.start, BONE.stop)
        H[own, own] += (weight * by_bone**2).sum(0)
        h[:-1, BONE] += weight * stretch * by_bone

    def prior_cost(self, scene: Scene) -> float:
        return self.prior_weight * self._prior(scene)[0]

    def prior_information(self, scene: Scene) -> np.ndarray:
        """(28, 28) what the priors alone tell of the shared unknowns."""
        return self._prior(scene)[2]

    def _error(self, scene: Scene, view: View, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(F, 21, 2) pixels' errors in standard deviations, (F, 21, 2) sight x/z, y/z, and (F, 21) depth."""
        keypoints = self.views[view]
        depth = np.maximum(seen[..., 2], NEAREST)
        sight = seen[..., :2] / depth[..., None]
        pixels = scene.focal(view) * sight + keypoints.centre_px
        return (pixels - keypoints.pixels) / keypoints.sigma_px[..., None], sight, depth

    def _misfit(self, scene: Scene, view: View) -> np.ndarray:
        """(F, 21, 3) how the joints differ from the view's own shape, its axes, hands; the best offset taken out."""
        centred = _centred(scene.joints, self._shape_weight[view])
        turned = centred if view == "left" else centred @ scene.R_right_from_left.T
        return turned - self._shape[view]

    def _stretch(self, scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(F, 20) bones' errors in standard deviations, (F, 20, 3) their directions, (20,) one standard deviation in hands."""
        along = scene.joints[:, CHILD] - scene.joints[:, PARENT]
        length = np.maximum(np.linalg.norm(along, axis=-1), 1e-9)
        scale = self.prior.bone_noise * self.prior.bones
        return (length - np.exp(scene.log_bones)) / scale, along / length[..., None], scale

    def _prior(self, scene: Scene) -> tuple[float, np.ndarray, np.ndarray]:
        """Cost, gradient (28,) and normal matrix (28, 28)."""
        prior, gradient, H = self.prior, np.zeros(GLOBALS), np.zeros((GLOBALS, GLOBALS))
        cost = 0.0
        expected, sigma = np.array([*prior.log_focal]), np.array([*prior.focal_sigma])
        off = scene.log_focal - expected
        for index in np.flatnonzero(sigma > 0):
            cost += (off[index] / sigma[index]) ** 2
            gradient[index] += off[index] / sigma[index] ** 2
            H[index, index] += sigma[index] ** -2
        if (sigma > 0).all():
            ends = np.array([1.0, -1.0]) / prior.equal_sigma
            cost += (ends @ off) ** 2
            gradient[FOCAL] += (ends @ off) * ends
            H[FOCAL, FOCAL] += np.outer(ends, ends)
        off = scene.log_bones - np.log(prior.bones)
        # A hand of unknown size is one number more, which costs nothing.
        P = (np.eye(BONE_COUNT) - (0 if prior.place else 1 / BONE_COUNT)) / prior.bone_sigma**2
        cost += off @ P @ off
        gradient[BONE] += P @ off
        H[BONE, BONE] += P
        return float(cost), gradient, H


def descend(bundle: Bundle, scene: Scene, iterations: int, tolerance: float = 1e-4) -> tuple[Scene, float]:
    """Levenberg-Marquardt steps until the cost falls by less than its `tolerance`; the scene and its cost.

    After each step of the shared unknowns the joints settle, each pair with a damping of its own (embedded point iterations,
    Jeong et al. 2012, Pushing the Envelope of Modern Methods for Bundle Adjustment): one pair's bad joints must not hold up
    the cameras.
    """
    own_damping = np.full(bundle.count, 1e-2)
    scene, own_damping, cost = settle(bundle, scene, own_damping, FIRST_SETTLING)
    damping = 1e-3
    for _ in range(iterations):
        system = bundle.linearise(scene)
        while True:
            moved = scene.moved(*_step(system, bundle.free, damping, own_damping))
            moved, own, new = settle(bundle, moved, own_damping, SETTLING)
            if new < cost:
                break
            damping *= 8
            if damping > 1e7:
                return scene, cost
        settled = cost - new < tolerance * cost
        scene, own_damping, cost, damping = moved, own, new, max(damping / 8, 1e-8)
        if settled:
            break
    return scene, cost


def settle(bundle: Bundle, scene: Scene, damping: np.ndarray, steps: int) -> tuple[Scene, np.ndarray, float]:
    """Let the joints alone descend, each pair with its own `damping` (F,); the scene, the new damping, the cost."""
    costs = bundle.pair_costs(scene)
    for _ in range(steps):
        system = bundle.linearise(scene, joints_alone=True)
        step = -np.linalg.solve(_damped(system.A, damping), system.a[..., None])[..., 0].reshape(scene.joints.shape)
        moved = replace(scene, joints=scene.joints + step)
        new = bundle.pair_costs(moved)
        better = new < costs
        scene = replace(scene, joints=np.where(better[:, None, None], moved.joints, scene.joints))
        costs = np.where(better, new, costs)
        damping = np.clip(np.where(better, damping / 6, damping * 6), 1e-6, 1e6)
    return scene, damping, float(costs.sum() + bundle.prior_cost(scene))


def _damped(A: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """Matrices (F, n, n) with `damping` (F,) times their diagonals added."""
    A = A.copy()
    own = np.arange(A.shape[-1])
    A[:, own, own] += damping[:, None] * A[:, own, own] + 1e-6
    return A


def _step(system: System, free: np.ndarray, damping: float, own_damping: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steps of the shared unknowns (28,) and of the joints (F, 21, 3)."""
    by_global = np.linalg.solve(_damped(system.A, np.full(len(system.A), 1e-6)), system.W)
    by_itself = np.linalg.solve(_damped(system.A, own_damping), system.a[..., None])[..., 0]
    S = system.H + np.diag(damping * np.diag(system.H)) - np.tensordot(system.W, by_global, ([0, 1], [0, 1]))
    s = system.h.sum(0) - np.tensordot(system.W, by_itself, ([0, 1], [0, 1]))
    step = np.zeros(GLOBALS)
    step[free] = -np.linalg.solve(S[np.ix_(free, free)] + 1e-9 * np.eye(free.sum()), s[free])
    # That the joints follow the cameras needs no damping; where each pair's go by themselves is for `settle` to find.
    return step, -(by_global @ step).reshape(-1, JOINTS, 3)


def noise(bundle: Bundle, scene: Scene) -> tuple[PerView[float], float]:
    """Factor by which each view's `sigma_px` is too small, and the bones' noise, as the residuals tell them.

    Joints that are fitted to the very pixels that they are compared with hide part of the noise: each residual counts as no
    more than the freedom that the fit left it, one minus its leverage (MacKay 1992, Bayesian Interpolation, section 4).
    """
    system = bundle.linearise(scene)
    covariance = np.linalg.inv(system.A + 1e-6 * np.eye(system.A.shape[-1]))
    blocks = covariance.reshape(-1, JOINTS, 3, JOINTS, 3)
    j = np.arange(JOINTS)
    own = blocks[:, j, :, j].swapaxes(0, 1)

    def factor(view: View) -> float:
        seen = scene.seen(view)
        error, sight, depth = bundle._error(scene, view, seen)
        R = np.eye(3) if view == "left" else scene.R_right_from_left
        by_seen = np.concatenate([np.broadcast_to(np.eye(2), (*sight.shape, 2)), -sight[..., None]], -1)
        by_joint = (by_seen @ R) * (scene.focal(view) / depth / bundle.views[view].sigma_px)[..., None, None]
        squared = (error**2).sum(-1)
        weight = bundle.losses.pixel(squared)[1]
        taken = np.einsum("fjia,fjab,fjib->fj", by_joint, own, by_joint)
        left = (weight * np.maximum(2 - weight * taken, _LEAST_FREEDOM)).sum()
        return float(np.sqrt((weight * squared).sum() / (bundle.losses.pixel_share * left)))

    stretch, along, _ = bundle._stretch(scene)
    weight = bundle.losses.bone(stretch**2)[1]
    between = (
        own[:, CHILD] + own[:, PARENT] - blocks[:, CHILD, :, PARENT].swapaxes(0, 1) - blocks[:, PARENT, :, CHILD].swapaxes(0, 1)
    )
    taken = np.einsum("fba,fbac,fbc->fb", along, between, along) / (bundle.prior.bone_noise * bundle.prior.bones) ** 2
    left = (weight * np.maximum(1 - weight * taken, _LEAST_FREEDOM)).sum()
    bones = np.sqrt((weight * stretch**2).sum() / (bundle.losses.bone_share * left))
    return PerView.of(factor), float(bones * bundle.prior.bone_noise)


def covariance(bundle: Bundle, scene: Scene, cluster: np.ndarray) -> np.ndarray:
    """(28, 28) of the shared unknowns at a minimum; zero for what is not sought.

    By the sandwich formula of M-estimators with clustered residuals (Huber 1967; Liang and Zeger 1986): pairs of one `cluster`
    (F,) may err together. Where clusters are few it is no smaller than what independent residuals would give.
    """
    free = np.flatnonzero(bundle.free)
    S, score = _eliminated(bundle, scene)
    inverse = np.linalg.pinv(S[np.ix_(free, free)], hermitian=True)
    names = len(np.unique(cluster))
    spread = _scatter(score, cluster) * (names / max(names - 1, 1)) + bundle.prior_weight**2 * bundle.prior_information(scene)
    sandwich = inverse @ spread[np.ix_(free, free)] @ inverse
    inverse *= bundle.prior_weight
    result = np.zeros((GLOBALS, GLOBALS))
    # Unknown by unknown the larger of both.
    larger = np.sqrt(np.maximum(1, np.diag(inverse) / np.maximum(np.diag(sandwich), 1e-30)))
    result[np.ix_(free, free)] = sandwich * np.outer(larger, larger)
    return result


def togetherness(bundle: Bundle, scene: Scene, cluster: np.ndarray) -> float:
    """By how much less the residuals tell than they seem to, as those of one `cluster` (F,) go together; 1 where they do not."""
    free = np.flatnonzero(bundle.free)
    S, score = _eliminated(bundle, scene)
    inverse = np.linalg.pinv(S[np.ix_(free, free)], hermitian=True)
    # The cameras' part alone: bones are of no concern here.
    cameras = np.arange(GLOBALS)[free] < BONE.start

    def told(names: np.ndarray) -> float:
        return float(np.trace((_scatter(score, names)[np.ix_(free, free)] @ inverse)[np.ix_(cameras, cameras)]))

    return told(cluster) / max(told(np.arange(len(cluster))), 1e-12)


def _eliminated(bundle: Bundle, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """(28, 28) normal matrix and (F, 28) gradients of the pairs once the joints are eliminated."""
    system = bundle.linearise(scene)
    A = system.A + 1e-6 * np.eye(system.A.shape[-1])
    solved = np.linalg.solve(A, np.concatenate([system.W, system.a[..., None]], -1))
    S = system.H - np.tensordot(system.W, solved[..., :GLOBALS], ([0, 1], [0, 1]))
    return S, system.h[:-1] - np.einsum("fia,fi->fa", system.W, solved[..., GLOBALS])


def _scatter(score: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """(28, 28) Σ over clusters of the outer products of their summed gradients (F, 28)."""
    names, member = np.unique(cluster, return_inverse=True)
    summed = np.zeros((len(names), score.shape[1]))
    np.add.at(summed, member, score)
    return summed.T @ summed


def _centred(points: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Points (F, 21, 3) about their weighted mean; where nothing has weight, about the origin."""
    total = weight.sum(1, keepdims=True)
    share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    return points - np.einsum("fj,fjc->fc", share, points)[:, None]


def _centring(weight: np.ndarray) -> np.ndarray:
    """(F, 21, 21) diag(w) − w wᵀ / Σw."""
    total = np.maximum(weight.sum(1), 1e-30)
    return weight[:, :, None] * np.eye(weight.shape[1]) - weight[:, :, None] * weight[:, None, :] / total[:, None, None]
