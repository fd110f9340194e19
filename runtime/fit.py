"""A hand from both views at once: the joints that best explain what each view saw, its bones, its limits and where it just was.

The maximum a posteriori over the 21 joints X, in hands (wrist to middle knuckle), left camera's axes:

    Σ ρ(‖π_v(X_j) − p_vj‖² / σ_vj²)  +  Σ (‖X_child − X_parent‖ − b)² / s_b²  +  Σ limits² / s_l²  +  Σ ‖X − B‖²_W:

joints lie where the views see them, bones keep their learnt lengths, fingers bend as fingers do, and the hand has roughly the
shape that each view's network gave it, and that it had a moment ago. Those shapes B are each known only up to a movement,
which is taken out in closed form. A fixed number of Gauss-Newton steps; ρ is Geman and McClure's loss, whose knee starts wide
(graduated non-convexity, Yang et al. 2020).
"""

from dataclasses import dataclass

import numpy as np

from capture.views import PerView
from hand.joints import JOINTS, unit_hand
from hand.rotations import from_vector, skew
from runtime.geometry import TwoViewGeometry
from runtime.joint_limits import BONES_FROM_JOINTS, JointLimits
from runtime.shape_prior import UNKNOWN, Evidence, Shapes
from runtime.sight import NEAREST, Sight
from runtime.types import Side, ViewHand
from runtime.uncertainty import PIXEL_SHARE, expected_error, px_per_hand

_J = np.arange(JOINTS)
FLEX_CARRY = 0.0


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How much each kind of evidence counts; every default was chosen on drawn recordings."""

    knees: tuple[float, ...] = (24.0, 10.0, 5.0)
    """One Gauss-Newton step each: standard deviations from which on a pixel counts ever less."""
    shape: float = 0.8
    """Standard deviation of each joint of a view's own hand along each axis, as a share of its expected error. Errors of one view
    go together, so that it is more than the share that is measured."""
    tip: float = 0.35
    """By how much a view's own hand may be turned as a whole, radians."""
    bone: float = 0.03
    """By how much of its length a bone seems to change."""
    limit: float = 0.05
    """By how much a finger may break its limits: sine of its bend, or span in hands."""
    damping: float = 1e-3
    flex_rate: float = 0.2
    """Hands: by how much a still hand's joints move against each other within a second, as a random walk."""
    shift_rate: float = 0.2
    """Hands: by how much it moves as a whole."""
    turn_rate: float = 0.5
    """Radians: by how much it turns."""
    flex_share: float = 1.0
    """Moving, it may besides change its way by these shares."""
    shift_share: float = 0.5
    turn_share: float = 0.5
    carry_s: float = 0.1
    """For how long a hand keeps its velocity."""
    velocity_s: float = 0.05
    """Time over which velocities are averaged."""
    forget_s: float = 0.5
    """A hand unseen for longer is forgotten."""
    far: float = 1.5
    """Hands: so is one that has leapt so far."""


@dataclass(frozen=True, slots=True)
class FittedHand:
    """One hand in space."""

    joints_mm: np.ndarray
    """(21, 3) left camera's axes."""
    joints: np.ndarray
    """(21, 3) unit hand, left camera's axes."""
    sigma_mm: np.ndarray
    """(21,) expected distance of each joint from the truth, root mean square, if all evidence were independent."""
    weight_left: np.ndarray
    """(21,) share of the left view in what both views tell of each joint, in [0, 1]."""
    reprojection_px: float
    """Root mean square distance between `pixels` and the joints seen, in the views that see the hand, weighted by how sure each is."""
    pixels: PerView[np.ndarray]
    """(21, 2) the hand projected into each view, whether it saw the hand or not."""

    @property
    def wrist_mm(self) -> np.ndarray:
        """(3,) left camera's axes."""
        return self.joints_mm[0]


class HandFit:
    """Fits one hand, pair after pair; holds where the hand just was."""

    def __init__(self, geometry: TwoViewGeometry, bones: np.ndarray, hand_size_mm: float, settings: FitSettings = FitSettings()):
        """`bones` (20,): learnt lengths in hands; `hand_size_mm`: one hand in millimetres."""
        self.geometry = geometry
        self._bones = bones
        self._bone_sigma = settings.bone * bones
        self._size_mm = hand_size_mm
        self._settings = settings
        self._limits = JointLimits(bones)
        self._last: _Past | None = None

    def __call__(self, captured_ns: int, hands: PerView[ViewHand | None]) -> FittedHand | None:
        """The hand that the views that see it agree on; None where none does, or where what they see is no hand before the cameras."""
        there = [hand for hand in hands if hand is not None]
        if not there:
            return None
        sight, shapes = self._told(there)
        if not all(np.isfinite(values).all() for values in (sight.pixels, sight.sigma_px, shapes.points)):
            return None
        weight = shapes.weight / shapes.weight.sum(0)
        joints = sight.placed((weight[..., None] * (shapes.points - shapes.points[:, :1])).sum(0))
        if not (sight.seen(joints)[..., 2] > NEAREST).all():
            return None
        past = self._past(captured_ns, there[0].side, joints)
        evidence = (shapes if past is None else shapes.and_also(past.shape(captured_ns, self._settings))).evidence()
        for knee in self._settings.knees[:-1]:
            normal, gradient, _ = self._linearised(joints, sight, evidence, knee, there[0].side)
            joints = joints - np.linalg.solve(normal, gradient).reshape(JOINTS, 3)
        normal, gradient, told = self._linearised(joints, sight, evidence, self._settings.knees[-1], there[0].side)
        covariance = np.linalg.inv(normal)
        joints = joints - (covariance @ gradient).reshape(JOINTS, 3)
        if not (sight.seen(joints)[..., 2] > NEAREST).all():
            return None
        self._last = _Past.after(past, captured_ns, there[0].side, joints, self._settings)
        told = told + evidence.told[: len(there)]
        joints_mm = joints * self._size_mm
        return FittedHand(
            joints_mm,
            unit_hand(joints),
            np.sqrt(np.maximum(covariance.diagonal(), 0).reshape(JOINTS, 3).sum(1)) * self._size_mm,
            told[0] / told.sum(0) if hands.left is not None else np.zeros(JOINTS),
            sight.reprojection_px(joints),
            self.geometry.project(joints_mm),
        )

    def _told(self, hands: list[ViewHand]) -> tuple[Sight, Shapes]:
        """What the views that see the hand say: where its joints are seen, and how it is shaped."""
        settings = self._settings
        joints, pixels = np.array([hand.joints for hand in hands]), np.array([hand.pixels for hand in hands])
        error = expected_error(np.array([hand.confidence for hand in hands]))
        sigma_px = PIXEL_SHARE * px_per_hand(joints, pixels) * error
        sight = Sight.of([hand.view for hand in hands], pixels, sigma_px, self.geometry, self._size_mm)
        moves = np.broadcast_to([UNKNOWN, settings.tip**-2], (len(hands), 2))
        return sight, Shapes(joints @ sight.R, (settings.shape * error) ** -2, moves)

    def _past(self, captured_ns: int, side: Side, start: np.ndarray) -> "_Past | None":
        """Where the hand just was, if what is seen now may be that hand."""
        last, settings = self._last, self._settings
        if last is None or last.side != side or not 0 < captured_ns - last.captured_ns <= settings.forget_s * 1e9:
            return None
        leap = (start - last.expected(captured_ns, settings)).sum(0) / JOINTS
        return last if leap @ leap < settings.far**2 else None

    def _linearised(
        self, joints: np.ndarray, sight: Sight, evidence: Evidence, knee: float, side: Side
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Normal matrix (63, 63) and gradient (63,) of half of the cost, and how much each view's pixels tell of each joint (V, 21)."""
        settings = self._settings
        along = BONES_FROM_JOINTS @ joints
        length = np.sqrt((along * along).sum(1)) + 1e-9
        stretch = (length - self._bones) / self._bone_sigma
        slope = (BONES_FROM_JOINTS[..., None] * (along / (length * self._bone_sigma)[:, None])[:, None]).reshape(-1, 3 * JOINTS)
        normal = slope.T @ slope
        gradient = stretch @ slope
        broken, slope = self._limits(joints, side)
        if broken.size:
            slope = slope.reshape(-1, 3 * JOINTS) / settings.limit
            normal += slope.T @ slope
            gradient += (broken / settings.limit) @ slope
        blocks, pull, told = sight.pull(joints, knee)
        normal += evidence.W
        normal.reshape(JOINTS, 3, JOINTS, 3)[_J, :, _J] += blocks
        normal.reshape(-1)[:: 3 * JOINTS + 1] *= 1 + settings.damping
        gradient += evidence.W @ joints.ravel() - evidence.pull + pull.ravel()
        return normal, gradient, told


@dataclass(frozen=True, slots=True)
class _Past:
    """Where the hand was, and how it moved."""

    captured_ns: int
    side: Side
    joints: np.ndarray
    """(21, 3) hands."""
    shifting: np.ndarray
    """(3,) velocity of the hand as a whole, hands a second."""
    turning: np.ndarray
    """(3,) angular velocity of the hand as a whole, radians a second."""
    flexing: np.ndarray
    """(21, 3) velocity of each joint against these."""

    @classmethod
    def after(cls, before: "_Past | None", captured_ns: int, side: Side, joints: np.ndarray, settings: FitSettings) -> "_Past":
        """The hand now, that was there `before`."""
        if before is None:
            return cls(captured_ns, side, joints, np.zeros(3), np.zeros(3), np.zeros((JOINTS, 3)))
        seconds = (captured_ns - before.captured_ns) * 1e-9
        gain = 1 - np.exp(-seconds / settings.velocity_s)
        way = (joints - before.joints) / seconds
        shifting = way.sum(0) / JOINTS
        way = way - shifting
        arm = before.joints - before.joints.sum(0) / JOINTS
        spread = arm.T @ arm
        # The angular momentum of unit masses, from the antisymmetric part of what the lever arms have to do with the way.
        momentum = arm.T @ way
        momentum = np.array([momentum[1, 2] - momentum[2, 1], momentum[2, 0] - momentum[0, 2], momentum[0, 1] - momentum[1, 0]])
        turning = np.linalg.solve(np.trace(spread) * np.eye(3) - spread, momentum)
        flexing = way - arm @ skew(turning).T
        return cls(
            captured_ns,
            side,
            joints,
            before.shifting + gain * (shifting - before.shifting),
            before.turning + gain * (turning - before.turning),
            before.flexing + gain * (flexing - before.flexing),
        )

    def expected(self, captured_ns: int, settings: FitSettings) -> np.ndarray:
        """(21, 3) where the hand is by now, if it goes on and comes to rest."""
        seconds = (captured_ns - self.captured_ns) * 1e-9
        on = settings.carry_s * (1 - np.exp(-seconds / settings.carry_s))
        middle = self.joints.sum(0) / JOINTS
        return (self.joints - middle) @ from_vector(self.turning * on).T + middle + self.shifting * on + self.flexing * (on * FLEX_CARRY)

    def shape(self, captured_ns: int, settings: FitSettings) -> Shapes:
        """What that says of the hand now."""
        seconds = (captured_ns - self.captured_ns) * 1e-9

        def variance(rate: float, share: float, squared):
            return rate**2 * seconds + (share * seconds) ** 2 * squared

        flex = variance(settings.flex_rate, settings.flex_share, (self.flexing * self.flexing).sum(1))
        shift = variance(settings.shift_rate, settings.shift_share, self.shifting @ self.shifting)
        turn = variance(settings.turn_rate, settings.turn_share, self.turning @ self.turning)
        return Shapes(self.expected(captured_ns, settings)[None], 1 / flex[None], 1 / np.array([[shift, turn]]))
