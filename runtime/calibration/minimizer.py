"""Minimisation of the bundle adjustment's cost by Levenberg-Marquardt steps.

Each pair's 63 unknowns are eliminated by the Schur complement (Triggs et al. 1999, Bundle Adjustment: A Modern Synthesis,
section 6); the steps are taken on the reduced system.
"""

from dataclasses import dataclass, replace

import numpy as np

from hand.joints import JOINTS
from runtime.calibration.bundle import Bundle, System
from runtime.calibration.variables import GLOBALS, Scene

FIRST_JOINT_STEPS, JOINT_STEPS = 8, 3
"""Steps of the joints alone before the first step of the cameras, and after each."""


def minimize(bundle: Bundle, scene: Scene, iterations: int, tolerance: float = 1e-4) -> tuple[Scene, float]:
    """Levenberg-Marquardt steps until the cost falls by less than its `tolerance`; the scene and its cost.

    After each step of the shared unknowns the joints are refined, each pair with a damping of its own (embedded point iterations,
    Jeong et al. 2012, Pushing the Envelope of Modern Methods for Bundle Adjustment): one pair's bad joints must not hold up
    the cameras.
    """
    own_damping = np.full(bundle.count, 1e-2)
    scene, own_damping, cost = refine_joints(bundle, scene, own_damping, FIRST_JOINT_STEPS)
    damping = 1e-5
    for _ in range(iterations):
        reduced = _Reduced.of(bundle.linearise(scene), own_damping)
        while True:
            moved = scene.moved(*reduced.step(bundle.free, damping))
            moved, own, new = refine_joints(bundle, moved, own_damping, JOINT_STEPS)
            if new < cost:
                break
            damping *= 8
            if damping > 1e7:
                return scene, cost
        converged = cost - new < tolerance * cost
        scene, own_damping, cost, damping = moved, own, new, max(damping / 8, 1e-8)
        if converged:
            break
    return scene, cost


def refine_joints(bundle: Bundle, scene: Scene, damping: np.ndarray, steps: int) -> tuple[Scene, np.ndarray, float]:
    """Levenberg-Marquardt steps of the joints alone, each pair with its own `damping` (F,); scene, new damping, cost."""
    costs = bundle.pair_costs(scene)
    for _ in range(steps):
        A, a = bundle.linearise_joints(scene)
        step = -np.linalg.solve(_damp(A, damping), a[..., None]).reshape(scene.joints.shape)
        moved = replace(scene, joints=scene.joints + step)
        new = bundle.pair_costs(moved)
        better = new < costs
        scene = replace(scene, joints=np.where(better[:, None, None], moved.joints, scene.joints))
        costs = np.where(better, new, costs)
        damping = np.clip(np.where(better, damping / 6, damping * 6), 1e-6, 1e6)
    return scene, damping, float(costs.sum() + bundle.prior_cost(scene))


@dataclass(frozen=True, slots=True)
class _Reduced:
    """The reduced system: the shared unknowns' equations once the joints are eliminated."""

    H: np.ndarray
    """(28, 28) before, whose diagonal is what is damped."""
    S: np.ndarray
    """(28, 28) after."""
    s: np.ndarray
    """(28,) gradient."""
    by_global: np.ndarray
    """(F, 63, 28) derivatives of the joints by the shared unknowns."""

    @classmethod
    def of(cls, system: System, own_damping: np.ndarray) -> "_Reduced":
        by_global = np.linalg.solve(_damp(system.A.copy(), np.full(len(system.A), 1e-6)), system.W)
        by_itself = np.linalg.solve(_damp(system.A.copy(), own_damping), system.a[..., None])[..., 0]
        S = system.H - np.tensordot(system.W, by_global, ([0, 1], [0, 1]))
        return cls(system.H, S, system.h.sum(0) - np.tensordot(system.W, by_itself, ([0, 1], [0, 1])), by_global)

    def step(self, free: np.ndarray, damping: float) -> tuple[np.ndarray, np.ndarray]:
        """Steps of the shared unknowns (28,) and of the joints (F, 21, 3)."""
        S = self.S + np.diag(damping * np.diag(self.H))
        step = np.zeros(GLOBALS)
        step[free] = -np.linalg.solve(S[np.ix_(free, free)] + 1e-9 * np.eye(free.sum()), self.s[free])
        # Joints follow the cameras without damping; their own steps are left to `refine_joints`.
        return step, -(self.by_global @ step).reshape(-1, JOINTS, 3)


def _damp(A: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """Add `damping` (F,) times their diagonals to matrices (F, n, n), in place; these."""
    own = np.arange(A.shape[-1])
    A[:, own, own] += damping[:, None] * A[:, own, own] + 1e-6
    return A
