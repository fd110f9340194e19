"""Statistics of the residuals at a minimum: noise of pixels and bones, covariance of the cameras, correlation of the errors."""

from dataclasses import dataclass

import numpy as np

from capture.views import PerView, View
from hand.joints import JOINTS
from runtime.calibration.bundle import Bundle
from runtime.calibration.variables import BONE, CHILD, GLOBALS, PARENT, Scene

_MIN_FREEDOM = 1e-3


def noise(bundle: Bundle, scene: Scene) -> tuple[PerView[float], float]:
    """Factor by which each view's `sigma_px` is too small, and the bones' noise, estimated from the residuals.

    Joints are fitted to the pixels that they are compared with, which hides part of the noise: each residual counts as the
    degrees of freedom that the fit left it, one minus its leverage (MacKay 1992, Bayesian Interpolation, section 4).
    """
    A, _ = bundle.linearise_joints(scene)
    covariance = np.linalg.inv(A + 1e-6 * np.eye(A.shape[-1]))
    blocks = covariance.reshape(-1, JOINTS, 3, JOINTS, 3)
    own = np.einsum("fjajb->fjab", blocks)

    def factor(view: View) -> float:
        pixel_residuals = bundle.pixel_residuals(scene, view)
        by_joint, weight = pixel_residuals.by_joints(scene.R_from_left(view)), bundle.losses.pixel(pixel_residuals.squared)[1]
        taken = np.einsum("iafj,fjab,ibfj->fj", by_joint, own, by_joint)
        left = (weight * np.maximum(2 - weight * taken, _MIN_FREEDOM)).sum()
        return float(np.sqrt((weight * pixel_residuals.squared).sum() / (bundle.losses.pixel_share * left)))

    bone_residuals = bundle.bone_residuals(scene)
    weight = bundle.losses.bone(bone_residuals.error**2)[1]
    between = (
        own[:, CHILD] + own[:, PARENT] - blocks[:, CHILD, :, PARENT].swapaxes(0, 1) - blocks[:, PARENT, :, CHILD].swapaxes(0, 1)
    )
    taken = np.einsum("afb,fbac,cfb->fb", bone_residuals.along, between, bone_residuals.along) / bone_residuals.scale**2
    left = (weight * np.maximum(1 - weight * taken, _MIN_FREEDOM)).sum()
    bones = np.sqrt((weight * bone_residuals.error**2).sum() / (bundle.losses.bone_share * left))
    return PerView.of(factor), float(bones * bundle.prior.bone_noise)


@dataclass(frozen=True, slots=True)
class Eliminated:
    """The shared unknowns' equations at a minimum, once the joints are eliminated."""

    inverse: np.ndarray
    """(28, 28) inverse of the normal matrix; zero for unknowns that are not estimated."""
    score: np.ndarray
    """(F, 28) gradient of each pair."""
    by_global: np.ndarray
    """(F, 63, 28) how the joints follow the shared unknowns, with the opposite sign."""

    @classmethod
    def of(cls, bundle: Bundle, scene: Scene) -> "Eliminated":
        system = bundle.linearise(scene)
        A = system.A + 1e-6 * np.eye(system.A.shape[-1])
        solved = np.linalg.solve(A, np.concatenate([system.W, system.a[..., None]], -1))
        by_global, by_itself = solved[..., :GLOBALS], solved[..., GLOBALS]
        S = system.H - np.tensordot(system.W, by_global, ([0, 1], [0, 1]))
        free = np.ix_(bundle.free, bundle.free)
        inverse = np.zeros((GLOBALS, GLOBALS))
        inverse[free] = np.linalg.pinv(S[free], hermitian=True)
        return cls(inverse, system.h[:-1] - np.einsum("fia,fi->fa", system.W, by_itself), by_global)


def covariance(bundle: Bundle, scene: Scene, cluster: np.ndarray) -> np.ndarray:
    """`scattered` at a minimum."""
    return scattered(bundle, Eliminated.of(bundle, scene), cluster)


def scattered(bundle: Bundle, eliminated: Eliminated, cluster: np.ndarray) -> np.ndarray:
    """(28, 28) covariance of the shared unknowns at a minimum; zero for those that are not estimated.

    By the sandwich formula of M-estimators with clustered residuals (Huber 1967; Liang and Zeger 1986): pairs of one `cluster`
    (F,) may have correlated errors. Where clusters are few it is no smaller than that of independent residuals.
    """
    inverse = eliminated.inverse
    names = len(np.unique(cluster))
    spread = _scatter(eliminated.score, cluster) * (names / max(names - 1, 1))
    sandwich = inverse @ (spread + bundle.prior_weight**2 * bundle.prior_information) @ inverse
    # Unknown by unknown the larger of both.
    larger = np.sqrt(np.maximum(1, bundle.prior_weight * np.diag(inverse) / np.maximum(np.diag(sandwich), 1e-30)))
    return sandwich * np.outer(larger, larger)


def error_correlation(bundle: Bundle, scene: Scene, cluster: np.ndarray) -> float:
    """Factor by which correlation within each `cluster` (F,) lowers the residuals' information; 1 for independent ones."""
    eliminated = Eliminated.of(bundle, scene)
    # The cameras' part alone: bones are of no concern here.
    cameras = slice(0, BONE.start)

    def variance(names: np.ndarray) -> float:
        return float(np.trace((_scatter(eliminated.score, names) @ eliminated.inverse)[cameras, cameras]))

    return variance(cluster) / max(variance(np.arange(len(cluster))), 1e-12)


def _scatter(score: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """(28, 28) Σ over clusters of the outer products of their summed gradients (F, 28)."""
    names, member = np.unique(cluster, return_inverse=True)
    summed = np.zeros((len(names), score.shape[1]))
    np.add.at(summed, member, score)
    return summed.T @ summed
