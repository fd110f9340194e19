"""Fit of one hand to both views: joints that best explain the pixels, the bone lengths, the joint limits and the recent motion.

The maximum a posteriori over the 21 joints X, in hands (wrist to middle knuckle), left camera's axes:

    Σ ρ(‖π_v(X_j) − p_vj‖² / σ_vj²)  +  Σ (‖X_child − X_parent‖ − b)² / s_b²  +  Σ limits² / s_l²  +  Σ ‖X − B‖²_W:

joints lie where the views see them, bones keep their learnt lengths, fingers bend as fingers do, and the hand has roughly the
shape that each view's network predicts, and that it had a moment ago. Those shapes B are each known only up to a rigid movement,
which is marginalised in closed form. A fixed number of Gauss-Newton steps; ρ is Geman and McClure's loss, whose knee starts wide
(graduated non-convexity, Yang et al. 2020).
"""

from dataclasses import dataclass, field

import numpy as np

from capture.views import VIEWS, PerView, View
from hand.joints import JOINTS, unit_hand
from runtime.estimators.uncertainty import shape_sigma, sigma_px
from runtime.fusion.joint_limits import BONES_FROM_JOINTS, JointLimits
from runtime.fusion.motion import Motion, MotionSettings
from runtime.fusion.shape_prior import UNKNOWN, QuadraticCost, Shapes
from runtime.fusion.view_observations import Cameras, ViewObservations
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import Side, ViewHand

_J = np.arange(JOINTS)
_STEP_DAMPING = 1e-2
"""Inverse variance, hands, of each step: bounds the steps of a hand without inlier pixels."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Weights of the terms; every default was chosen on synthetic recordings."""

    knees: tuple[float, ...] = (24.0, 8.0, 3.0)
    """One Gauss-Newton step each: knee of the pixels' robust loss, standard deviations."""
    shape: float = 0.8
    """Standard deviation of each joint of a view's own hand along each axis, as a share of its expected error. Errors of one view
    are correlated, so it is more than the share that is measured."""
    tip: float = 0.35
    """Standard deviation of the rotation of a view's own hand as a whole, radians."""
    bone: float = 0.03
    """Standard deviation of a bone's length, as a share of it."""
    limit: float = 0.05
    """Standard deviation of a violated joint limit: sine of the bend, or span in hands."""
    motion: MotionSettings | None = field(default_factory=MotionSettings)
    """None fits each pair independently."""


@dataclass(frozen=True, slots=True)
class FittedHand:
    """One hand in space."""

    joints_mm: np.ndarray
    """(21, 3) left camera's axes."""
    joints: np.ndarray
    """(21, 3) unit hand, left camera's axes."""
    sigma_mm: np.ndarray
    """(21,) expected distance of each joint from the truth, root mean square, if all terms were independent."""
    weight_left: np.ndarray
    """(21,) share of the left view in both views' information about each joint, in [0, 1]."""
    reprojection_px: float
    """Root mean square distance of `pixels` from the joints seen, in the views that see the hand, by inverse variance."""
    pixels: PerView[np.ndarray]
    """(21, 2) the hand projected into each view, whether it saw the hand or not."""

    @property
    def wrist_mm(self) -> np.ndarray:
        """(3,) left camera's axes."""
        return self.joints_mm[0]


class HandFit:
    """Fits one hand, pair after pair; holds its recent motion."""

    def __init__(self, geometry: TwoViewGeometry, bones: np.ndarray, hand_size_mm: float, settings: FitSettings = FitSettings()):
        """`bones` (20,): learnt lengths in hands; `hand_size_mm`: one hand in millimetres."""
        self.geometry = geometry
        self._bones = bones
        self._bone_sigma = settings.bone * bones
        self._size_mm = hand_size_mm
        seeing: list[tuple[View, ...]] = [("left",), ("right",), VIEWS]
        self._cameras: dict[tuple[View, ...], Cameras] = {views: Cameras.of(views, geometry, hand_size_mm) for views in seeing}
        self._settings = settings
        self._limits = JointLimits(bones)
        self._motion: Motion | None = None

    def __call__(self, captured_ns: int, hands: PerView[ViewHand | None]) -> FittedHand | None:
        """The hand that the views that see it agree on; None where none does, or where that is no hand before the cameras.

        Both views' hands must be of one side. Raises nothing for values that are not finite: there is no hand, then.
        """
        observed = [hand for hand in hands if hand is not None]
        if not observed:
            return None
        side = observed[0].side
        own, observed_pixels = np.array([hand.joints for hand in observed]), np.array([hand.pixels for hand in observed])
        error, pixel_sigma = np.array([shape_sigma(hand) for hand in observed]), np.array([sigma_px(hand) for hand in observed])
        if not (
            np.isfinite(own).all() and np.isfinite(observed_pixels).all() and ((pixel_sigma > 0) & (pixel_sigma < np.inf)).all()
        ):
            return None
        views: tuple[View, ...] = tuple([hand.view for hand in observed])
        cameras = self._cameras[views]
        observations = ViewObservations.of(cameras, observed_pixels, pixel_sigma)
        moves = np.broadcast_to([UNKNOWN, self._settings.tip**-2], (len(observed), 2))
        shapes = Shapes(own @ cameras.R, (self._settings.shape * error) ** -2, moves)
        weight = shapes.weight / shapes.weight.sum(0)
        joints = observations.placed((weight[..., None] * (shapes.points - shapes.points[:, :1])).sum(0))
        if not cameras.sees(joints):
            return None
        before = self._motion.shape(captured_ns, side, joints) if self._motion else None
        prior = (shapes.and_also(before) if before else shapes).quadratic_cost()
        for knee in self._settings.knees[:-1]:
            normal, gradient, _ = self._linearised(joints, observations, prior, knee, side)
            joints = joints - np.linalg.solve(normal, gradient).reshape(JOINTS, 3)
        normal, gradient, information = self._linearised(joints, observations, prior, self._settings.knees[-1], side)
        covariance = np.linalg.inv(normal)
        joints = joints - (covariance @ gradient).reshape(JOINTS, 3)
        if not cameras.sees(joints):
            return None
        if self._settings.motion:
            self._motion = Motion.after(self._motion if before else None, captured_ns, side, joints, self._settings.motion)
        information = information + prior.information[: len(observed)]
        joints_mm = joints * self._size_mm
        pixels = self.geometry.project(joints_mm)
        residuals = np.array([pixels[hand.view] for hand in observed]) - observed_pixels
        precision = pixel_sigma**-2.0
        return FittedHand(
            joints_mm,
            unit_hand(joints),
            np.sqrt(np.maximum(covariance.diagonal(), 0).reshape(JOINTS, 3).sum(1)) * self._size_mm,
            information[0] / information.sum(0) if hands.left is not None else np.zeros(JOINTS),
            float(np.sqrt((precision * (residuals * residuals).sum(-1)).sum() / precision.sum())),
            pixels,
        )

    def with_geometry(self, geometry: TwoViewGeometry, bones: np.ndarray) -> "HandFit":
        """A fit to other cameras and bones (20,) that keeps the recent motion, so that the hand does not jump."""
        fit = HandFit(geometry, bones, self._size_mm, self._settings)
        fit._motion = self._motion
        return fit

    def _linearised(
        self, joints: np.ndarray, observations: ViewObservations, prior: QuadraticCost, knee: float, side: Side
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Normal matrix (63, 63) and gradient (63,) of half of the cost; information of each view's pixels (V, 21)."""
        settings = self._settings
        along = BONES_FROM_JOINTS @ joints
        length = np.sqrt((along * along).sum(1)) + 1e-9
        bone_residuals = (length - self._bones) / self._bone_sigma
        slope = (BONES_FROM_JOINTS[..., None] * (along / (length * self._bone_sigma)[:, None])[:, None]).reshape(-1, 3 * JOINTS)
        normal = slope.T @ slope
        gradient = bone_residuals @ slope
        violations, slope = self._limits(joints, side)
        if violations.size:
            slope = slope.reshape(-1, 3 * JOINTS) / settings.limit
            normal += slope.T @ slope
            gradient += (violations / settings.limit) @ slope
        blocks, pull, information = observations.pull(joints, knee)
        normal += prior.W
        normal.reshape(JOINTS, 3, JOINTS, 3)[_J, :, _J] += blocks
        normal.reshape(-1)[:: 3 * JOINTS + 1] += _STEP_DAMPING
        gradient += prior.W @ joints.ravel() - prior.pull + pull.ravel()
        return normal, gradient, information
