"""Bundle adjustment of two cameras on a moving hand: the cost and its normal equations.

Over the cameras g, the bones b and the joints X of every pair (`runtime.calibration.variables`) it is

    Σ ρ(‖π_v(X_j) − p_vj‖² / σ_vj²) + Σ ρ((‖X_child − X_parent‖ − b)² / s_b²) + Σ ‖R_v X_j − J_vj − offset‖² / σ3_vj² + priors:

joints lie where both views see them, bones keep their length (which is what makes the focal lengths observable), and the
hand roughly has the shape that each view's network gave it. ρ are robust losses (`runtime.calibration.robust_losses`).
"""

from dataclasses import dataclass

import numpy as np

from capture.views import VIEWS, PerView, View
from hand.joints import JOINTS
from hand.rotations import skew
from runtime.calibration.robust_losses import RobustLosses
from runtime.calibration.variables import BONE, BONE_COUNT, CHILD, GLOBALS, PARENT, SHIFT, TURN, Prior, Scene

NEAREST = 0.5
"""Hands; joints nearer to a camera, or behind it, are penalised."""
_DEPTH_WEIGHT = 100.0
_ENDS = np.eye(JOINTS)[CHILD] - np.eye(JOINTS)[PARENT]
"""(20, 21) a bone's vector is that of its child less that of its parent."""


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
    """(F, 21) standard deviation of each joint, hands; infinite for a joint that the view does not predict."""
    centre_px: np.ndarray
    """(2,) principal point."""

    def subset(self, pairs: np.ndarray) -> "Keypoints":
        """Those of some pairs, by index or mask."""
        return Keypoints(self.pixels[pairs], self.sigma_px[pairs], self.shape[pairs], self.shape_sigma[pairs], self.centre_px)


@dataclass(frozen=True, slots=True)
class PixelResiduals:
    """Reprojection residuals of one view. Components come first, so that arithmetic runs along the pairs."""

    error: np.ndarray
    """(2, F, 21) standard deviations."""
    sight: np.ndarray
    """(2, F, 21) normalized image coordinates x/z, y/z."""
    scale: np.ndarray
    """(F, 21) by how many standard deviations a pixel moves for a hand's length across the view."""

    @property
    def squared(self) -> np.ndarray:
        """(F, 21) of the errors."""
        return self.error[0] ** 2 + self.error[1] ** 2

    def by_joints(self, R_view: np.ndarray) -> np.ndarray:
        """(2, 3, F, 21) the errors' derivatives by joints in axes from which `R_view` (3, 3) leads to the view's."""
        return (R_view[:2, :, None, None] - self.sight[:, None] * R_view[2, :, None, None]) * self.scale


@dataclass(frozen=True, slots=True)
class BoneResiduals:
    """Residuals of the bones' lengths."""

    error: np.ndarray
    """(F, 20) standard deviations."""
    along: np.ndarray
    """(3, F, 20) unit vectors from parent to child."""
    scale: np.ndarray
    """(20,) one standard deviation, hands."""


@dataclass(frozen=True, slots=True)
class ViewDerivatives:
    """Derivatives of one view's reprojection residuals."""

    residuals: PixelResiduals
    weight: np.ndarray
    """(F, 21) by the loss."""
    columns: list[int]
    """K of the shared unknowns, on which they depend."""
    by_global: np.ndarray
    """(2, K, F, 21)."""
    by_joint: np.ndarray
    """(2, 3, F, 21) left camera's axes."""


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
    """The adjustment problem: keypoints of both views, and the prior."""

    def __init__(self, views: PerView[Keypoints], prior: Prior, losses: RobustLosses, prior_weight: float = 1.0):
        """`prior_weight`: factor on the prior's cost, for correlated residuals, which hold less information than they seem to."""
        self.views = views
        self.prior = prior
        self.losses = losses
        self.prior_weight = prior_weight
        self.free = prior.free
        self.prior_information = prior.information
        self.count = len(views.left.pixels)
        self._pixels = views.map(lambda keypoints: (keypoints.pixels - keypoints.centre_px).transpose(2, 0, 1).copy())
        self._shape_weight = views.map(lambda keypoints: keypoints.shape_sigma**-2.0)
        self._share = self._shape_weight.map(normalized_weights)
        self._shape = PerView.of(lambda view: centred(views[view].shape, self._share[view]))
        # Weighted means, the offsets' best values, taken out: one constant matrix.
        shape_A = sum(w[:, :, None] * (np.eye(JOINTS) - s[:, None]) for w, s in zip(self._shape_weight, self._share, strict=True))
        self._shape_A = np.einsum("fjk,ab->fjakb", shape_A, np.eye(3))

    def cost(self, scene: Scene) -> float:
        """The cost that is minimised."""
        return float(self.pair_costs(scene).sum()) + self.prior_cost(scene)

    def pair_costs(self, scene: Scene) -> np.ndarray:
        """(F,) each pair's share of the cost."""
        total = self.losses.bone(self.bone_residuals(scene).error ** 2)[0].sum(1)
        for view in VIEWS:
            points = scene.in_view_axes(view)
            total += self.losses.pixel(self._pixel_residuals(scene, view, points).squared)[0].sum(1)
            total += _DEPTH_WEIGHT**2 * (np.minimum(points[..., 2] - NEAREST, 0) ** 2).sum(1)
            total += ((self._misfit(scene, view) ** 2).sum(-1) * self._shape_weight[view]).sum(1)
        return total

    def prior_cost(self, scene: Scene) -> float:
        off = self.prior.off(scene)
        return self.prior_weight * float(off @ self.prior_information @ off)

    def linearise_joints(self, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
        """The normal equations' A (F, 63, 63) and a (F, 63) at a scene, with each residual's loss as a weight."""
        diagonal, a = np.zeros((3, 3, self.count, JOINTS)), np.zeros((3, self.count, JOINTS))
        for view in VIEWS:
            points, R = scene.in_view_axes(view), scene.R_from_left(view)
            pixel_residuals = self._pixel_residuals(scene, view, points)
            weight, by_joint = self.losses.pixel(pixel_residuals.squared)[1], pixel_residuals.by_joints(R)
            diagonal += np.einsum("iafj,ibfj->abfj", by_joint * weight, by_joint)
            a += np.einsum("iafj,ifj->afj", by_joint, pixel_residuals.error * weight)
            near = np.minimum(points[..., 2] - NEAREST, 0)
            diagonal += (_DEPTH_WEIGHT * R[2])[:, None, None, None] * (_DEPTH_WEIGHT * R[2])[:, None, None] * (near < 0)
            a += (_DEPTH_WEIGHT**2 * R[2])[:, None, None] * near
            a += ((self._misfit(scene, view) * self._shape_weight[view][..., None]) @ R).transpose(2, 0, 1)
        bone_residuals = self.bone_residuals(scene)
        weight, by_child = self.losses.bone(bone_residuals.error**2)[1], bone_residuals.along / bone_residuals.scale
        block = (weight * by_child)[:, None] * by_child
        diagonal += block @ np.abs(_ENDS)
        a += (weight * bone_residuals.error * by_child) @ _ENDS
        A = self._shape_A.copy()
        np.einsum("fjajb->abfj", A)[...] += diagonal
        across = block.transpose(3, 2, 0, 1)
        A[:, CHILD, :, PARENT] -= across
        A[:, PARENT, :, CHILD] -= across
        n = 3 * JOINTS
        return A.reshape(-1, n, n), a.transpose(1, 2, 0).reshape(-1, n)

    def linearise(self, scene: Scene) -> System:
        """The normal equations of all unknowns at a scene."""
        A, a = self.linearise_joints(scene)
        W = np.zeros((self.count, JOINTS, 3, GLOBALS))
        h = np.zeros((self.count + 1, GLOBALS))
        H = self.prior_weight * self.prior_information
        h[-1] = H @ self.prior.off(scene)
        for view in VIEWS:
            self._add_view(self.view_derivatives(scene, view), W, H, h)
        self._add_shape(scene, W, H, h)
        self._add_bones(scene, W, H, h)
        return System(A, a, W.reshape(self.count, -1, GLOBALS), H, h)

    def view_derivatives(self, scene: Scene, view: View) -> ViewDerivatives:
        """How a view's reprojection residuals depend on the unknowns."""
        residuals = self.pixel_residuals(scene, view)
        columns = [VIEWS.index(view)]
        by_global = [(residuals.sight * scene.focal(view) / self.views[view].sigma_px)[:, None]]
        if view == "right":
            columns += range(TURN.start, SHIFT.stop)
            by_points = residuals.by_joints(np.eye(3))
            turned = (scene.in_view_axes(view) - scene.t_right_from_left).transpose(2, 0, 1)
            by_global += [np.cross(turned[None], by_points, axis=1), by_points]
        by_joint = residuals.by_joints(scene.R_from_left(view))
        weight = self.losses.pixel(residuals.squared)[1]
        return ViewDerivatives(residuals, weight, columns, np.concatenate(by_global, 1), by_joint)

    def _add_view(self, derivatives: ViewDerivatives, W: np.ndarray, H: np.ndarray, h: np.ndarray) -> None:
        columns, weight, by_global = derivatives.columns, derivatives.weight, derivatives.by_global
        W[..., columns] += np.einsum("iafj,ikfj->fjak", derivatives.by_joint * weight, by_global)
        flat = np.swapaxes(by_global * np.sqrt(weight), 0, 1).reshape(len(columns), -1)
        H[np.ix_(columns, columns)] += flat @ flat.T
        h[:-1, columns] += (by_global * (derivatives.residuals.error * weight)[:, None]).sum((0, -1)).T

    def _add_shape(self, scene: Scene, W: np.ndarray, H: np.ndarray, h: np.ndarray) -> None:
        R, weight = scene.R_right_from_left, self._shape_weight.right[..., None]
        pull = self._misfit(scene, "right") * weight
        by_turn = -skew(centred(scene.joints, self._share.right) @ R.T)
        weighted = by_turn * weight[..., None]
        H[TURN, TURN] += np.einsum("fjab,fjac->bc", weighted, by_turn)
        h[:-1, TURN] += np.einsum("fjab,fja->fb", by_turn, pull)
        W[..., TURN] += R.T @ weighted

    def _add_bones(self, scene: Scene, W: np.ndarray, H: np.ndarray, h: np.ndarray) -> None:
        bone_residuals = self.bone_residuals(scene)
        weight = self.losses.bone(bone_residuals.error**2)[1]
        by_bone = -np.exp(scene.log_bones) / bone_residuals.scale
        across = (weight * by_bone / bone_residuals.scale * bone_residuals.along).transpose(2, 1, 0)
        bone = np.arange(BONE_COUNT)
        W[:, CHILD, :, BONE.start + bone] += across
        W[:, PARENT, :, BONE.start + bone] -= across
        H[BONE.start + bone, BONE.start + bone] += (weight * by_bone**2).sum(0)
        h[:-1, BONE] += weight * bone_residuals.error * by_bone

    def pixel_residuals(self, scene: Scene, view: View) -> PixelResiduals:
        """Reprojection residuals of a view."""
        return self._pixel_residuals(scene, view, scene.in_view_axes(view))

    def _pixel_residuals(self, scene: Scene, view: View, points: np.ndarray) -> PixelResiduals:
        depth = np.maximum(points[..., 2], NEAREST)
        sight = points[..., :2].transpose(2, 0, 1) / depth
        focal, sigma_px = scene.focal(view), self.views[view].sigma_px
        return PixelResiduals((focal * sight - self._pixels[view]) / sigma_px, sight, focal / (sigma_px * depth))

    def bone_residuals(self, scene: Scene) -> BoneResiduals:
        """Residuals of the bones' lengths."""
        joints = scene.joints.transpose(2, 0, 1)
        along = joints[..., CHILD] - joints[..., PARENT]
        length = np.maximum(np.sqrt((along**2).sum(0)), 1e-9)
        scale = self.prior.bone_noise * self.prior.bones
        return BoneResiduals((length - np.exp(scene.log_bones)) / scale, along / length, scale)

    def _misfit(self, scene: Scene, view: View) -> np.ndarray:
        """(F, 21, 3) residuals of the view's own shape, its axes, hands; the best offset removed."""
        about = centred(scene.joints, self._share[view])
        return (about if view == "left" else about @ scene.R_right_from_left.T) - self._shape[view]


def normalized_weights(weight: np.ndarray) -> np.ndarray:
    """Weights (F, 21) scaled to sum to 1 in each pair; zero where none is positive."""
    total = weight.sum(1, keepdims=True)
    return np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)


def centred(points: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Points (F, 21, 3) less their mean with weights `share` (F, 21); unchanged where all weights are 0."""
    return points - share[:, None] @ points
