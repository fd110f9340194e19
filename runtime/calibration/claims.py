"""How far off a solution may be: what its standard deviations are made of.

Three causes, whose covariances add up. *Noise*: the scatter of the gradients of blocks of time, for landmarks that err alike in
neighbouring pairs (`noise`). *Bias*: landmarks that err alike in all pairs, which no residual shows (`landmark_bias`). *Choice*:
another solution that explains the pairs nearly as well.
"""

import numpy as np

from capture.views import VIEWS, PerView
from hand.joints import DEFAULT_HAND_SIZE_MM, JOINTS, MIDDLE_MCP
from hand.rotations import skew, to_vector
from runtime.calibration.bundle import Bundle
from runtime.calibration.landmark_bias import bias_covariance
from runtime.calibration.noise import Eliminated, scattered
from runtime.calibration.status import Uncertainty
from runtime.calibration.variables import BONE, FOCAL, GLOBALS, SHIFT, TURN, Scene

NOISE_SCALE = 1.6
"""Factor on the standard deviations that come from noise: a few clusters tell too little of their scatter, and it does not show
the choice among nearby local minima. Calibrated, as `BIAS_SIGMA` is, on errors over claims of real networks on rendered hands."""


def claimed_covariance(bundle: Bundle, scene: Scene, cluster: np.ndarray, other: Scene | None = None) -> np.ndarray:
    """(28, 28) covariance of the shared unknowns of a solution; `other`: a solution that is not excluded, if there is one."""
    eliminated = Eliminated.of(bundle, scene)
    claimed = NOISE_SCALE**2 * scattered(bundle, eliminated, cluster) + bias_covariance(bundle, scene, eliminated)
    if other is not None:
        apart = difference(other, scene)
        claimed += np.outer(apart, apart)
    return claimed


def difference(other: Scene, scene: Scene) -> np.ndarray:
    """(28,) the step of the shared unknowns from a scene to another."""
    step = np.zeros(GLOBALS)
    step[FOCAL] = other.log_focal - scene.log_focal
    step[TURN] = to_vector(other.R_right_from_left @ scene.R_right_from_left.T)
    step[SHIFT] = other.t_right_from_left - scene.t_right_from_left
    step[BONE] = other.log_bones - scene.log_bones
    return step


def uncertainty(bundle: Bundle, scene: Scene, claimed: np.ndarray) -> Uncertainty:
    """The standard deviations that matter to a user, of a solution with this covariance (28, 28)."""
    t = scene.t_right_from_left
    length = max(float(np.linalg.norm(t)), 1e-9)
    across = np.eye(3) - np.outer(t, t) / length**2
    return Uncertainty(
        float(np.degrees(np.sqrt(np.trace(claimed[TURN, TURN])))),
        float(np.degrees(min(np.sqrt(np.trace(across @ claimed[SHIFT, SHIFT] @ across)) / length, np.pi))),
        PerView(*(float(100 * np.sqrt(value)) for value in np.diag(claimed[FOCAL, FOCAL]))),
        hand_error(bundle, scene, claimed) * DEFAULT_HAND_SIZE_MM,
    )


def hand_error(bundle: Bundle, scene: Scene, claimed: np.ndarray) -> float:
    """Mean error of the joints of unit hands, in both cameras' axes, that cameras and bones of this covariance make; hands."""
    by_global = -Eliminated.of(bundle, scene).by_global.reshape(-1, JOINTS, 3, GLOBALS)
    rooted = scene.joints - scene.joints[:, :1]
    size = np.maximum(np.linalg.norm(rooted[:, MIDDLE_MCP], axis=-1), 1e-9)[:, None, None, None]
    unit, moves = rooted / size[..., 0], (by_global - by_global[:, :1]) / size
    # A unit hand's size stays 1.
    moves = moves - unit[..., None] * np.einsum("fa,fag->fg", unit[:, MIDDLE_MCP], moves[:, MIDDLE_MCP])[:, None, None]
    errors = []
    for view in VIEWS:
        R = scene.R_from_left(view)
        seen = R @ moves
        if view == "right":
            seen[..., TURN] -= skew(unit @ R.T)
        errors.append(np.sqrt(np.maximum(np.einsum("fjag,gh,fjah->fj", seen, claimed, seen, optimize=True), 0)).mean())
    return float(np.mean(errors))
