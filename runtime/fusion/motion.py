"""Prior on a hand's joints from its recent motion: where it is expected now, and with which variance.

The hand moves on as a rigid body, and each joint a little on its own, with velocities that decay. The variance grows with time
and with the speed, so a still hand is calm and a moving one lags little.
"""

import math
from dataclasses import dataclass

import numpy as np

from hand.joints import JOINTS
from runtime.fusion.shape_prior import Shapes, levers
from runtime.types import Side


@dataclass(frozen=True, slots=True)
class MotionSettings:
    """How hands move; lengths in hands. Every default was chosen on synthetic recordings."""

    flex_rate: float = 0.2
    """Random walk of a still hand's joints against each other, standard deviation after a second."""
    shift_rate: float = 0.2
    """Random walk of the hand as a whole."""
    turn_rate: float = 0.25
    """Random walk of its rotation, radians."""
    flex_share: float = 3.0
    """Change of a joint's velocity against the others, as a share of that velocity."""
    whole_share: float = 0.5
    """The same for the velocity of the hand as a whole."""
    flex_carry: float = 0.5
    """Share of a joint's velocity against the others that decays as slowly as that of the hand as a whole."""
    carry_s: float = 0.1
    """Time constant of the decay of velocities."""
    velocity_s: float = 0.05
    """Time over which velocities are averaged."""
    timeout_s: float = 0.5
    """The motion is reset where a hand was absent for longer."""
    max_jump: float = 1.5
    """It is also reset where a hand has jumped farther."""


@dataclass(frozen=True, slots=True)
class Motion:
    """Position and velocities of the hand; lengths in hands."""

    captured_ns: int
    side: Side
    joints: np.ndarray
    """(21, 3) left camera's axes."""
    shifting: np.ndarray
    """(3,) velocity of the hand as a whole, a second."""
    turning: np.ndarray
    """(3,) angular velocity of the hand as a whole, radians a second."""
    flexing: np.ndarray
    """(21, 3) velocity of each joint against these."""
    settings: MotionSettings

    @classmethod
    def after(
        cls, before: "Motion | None", captured_ns: int, side: Side, joints: np.ndarray, settings: MotionSettings
    ) -> "Motion":
        """The motion after a hand whose motion was `before`."""
        if before is None:
            return cls(captured_ns, side, joints, np.zeros(3), np.zeros(3), np.zeros((JOINTS, 3)), settings)
        seconds = (captured_ns - before.captured_ns) * 1e-9
        gain = 1 - np.exp(-seconds / settings.velocity_s)
        velocity = (joints - before.joints) / seconds
        shifting = velocity.sum(0) / JOINTS
        velocity = velocity - shifting
        # With arms midway between both, the velocity of a rigid hand is linear in the rotation, also for large ones.
        arm = (joints + before.joints) / 2
        lever = levers(arm - arm.sum(0) / JOINTS).reshape(-1, 3)
        turning = np.linalg.solve(lever.T @ lever, lever.T @ velocity.ravel())
        flexing = velocity - (lever @ turning).reshape(-1, 3)
        return cls(
            captured_ns,
            side,
            joints,
            before.shifting + gain * (shifting - before.shifting),
            before.turning + gain * (turning - before.turning),
            before.flexing + gain * (flexing - before.flexing),
            settings,
        )

    def shape(self, captured_ns: int, side: Side, joints: np.ndarray) -> Shapes | None:
        """The prior at `captured_ns`; None where joints (21, 3), roughly known, cannot be this hand: it jumped or was lost."""
        settings, seconds = self.settings, (captured_ns - self.captured_ns) * 1e-9
        if side != self.side or not 0 < seconds <= settings.timeout_s:
            return None
        expected = self._expected(seconds)
        jump = (joints - expected).sum(0) / JOINTS
        if jump @ jump > settings.max_jump**2:
            return None

        def variance(rate: float, share: float, squared):
            return rate**2 * seconds + (share * seconds) ** 2 * squared

        flex = variance(settings.flex_rate, settings.flex_share, (self.flexing * self.flexing).sum(1))
        shift = variance(settings.shift_rate, settings.whole_share, self.shifting @ self.shifting)
        turn = variance(settings.turn_rate, settings.whole_share, self.turning @ self.turning)
        return Shapes(expected[None], 1 / flex[None], 1 / np.array([[shift, turn]]))

    def _expected(self, seconds: float) -> np.ndarray:
        """(21, 3) extrapolated joints, with decaying velocities."""
        settings = self.settings
        carried_s = settings.carry_s * (1 - np.exp(-seconds / settings.carry_s))
        middle = self.joints.sum(0) / JOINTS
        # Rodrigues' formula.
        turn = self.turning * carried_s
        angle = max(math.sqrt(turn @ turn), 1e-9)
        across = levers(turn)
        cross = (self.joints - middle) @ across
        turned = math.sin(angle) / angle * cross + 2 * (math.sin(angle / 2) / angle) ** 2 * (cross @ across)
        return self.joints + turned + self.shifting * carried_s + self.flexing * (carried_s * settings.flex_carry)
