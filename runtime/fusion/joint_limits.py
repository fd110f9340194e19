"""Joint limits: fingers do not bend backwards or too far; as residuals of the 21 joints, with their derivatives."""

import numpy as np

from hand.joints import BONES, FINGER_MCPS, JOINTS, PARENTS
from hand.prior import FLEX_LIMITS
from runtime.fusion.shape_prior import levers
from runtime.types import Side

BONES_FROM_JOINTS = np.zeros((len(BONES), JOINTS))
"""(20, 21) matrix that takes joints to the vectors along their bones, parent to child."""
for _bone, (_parent, _child) in enumerate(BONES):
    BONES_FROM_JOINTS[_bone, [_parent, _child]] = -1, 1

_INDEX_MCP, _LITTLE_MCP = FINGER_MCPS[0], FINGER_MCPS[-1]
_BENDS = [knuckle + k for knuckle in FINGER_MCPS for k in range(len(FLEX_LIMITS))]
"""The joints that bend one way: MCP, PIP and DIP of the four fingers."""
_FIRST, _SECOND = (
    np.array([BONES.index(bone) for bone in bones])
    for bones in zip(*(((PARENTS[at], at), (at, at + 1)) for at in _BENDS), strict=True)
)
"""(12,) bones before and after each of these."""
_FIRST_FROM_JOINTS, _SECOND_FROM_JOINTS = BONES_FROM_JOINTS[_FIRST], BONES_FROM_JOINTS[_SECOND]
_LOW_DEG, _HIGH_DEG = np.array(FLEX_LIMITS * len(FINGER_MCPS)).T
_NONE = np.zeros(0), np.zeros((0, JOINTS, 3))


class JointLimits:
    """The fingers of one hand, whose bones have given lengths."""

    def __init__(self, bones: np.ndarray):
        """`bones` (20,): lengths in the order of `hand.joints.BONES`."""
        first, second = bones[_FIRST], bones[_SECOND]
        self._area = (first * second)[:, None]
        self._min_sine = np.sin(np.radians(_LOW_DEG))
        # Law of cosines: a finger bent by no more than so much leaves its ends so far apart.
        self._min_span = np.sqrt(first**2 + second**2 + 2 * first * second * np.cos(np.radians(_HIGH_DEG)))

    def __call__(self, joints: np.ndarray, side: Side) -> tuple[np.ndarray, np.ndarray]:
        """By how much joints (21, 3), in the bones' unit and any axes, break limits: residuals (K,), and their slopes (K, 21, 3).

        Of the 24 limits only the K broken ones appear. Bending back is the sine of the bend about the axis through the
        knuckles, bending too far is the missing span. The axis counts as fixed while the joints move: it moves little, and the
        next step has it right.
        """
        axis = joints[_INDEX_MCP] - joints[_LITTLE_MCP]
        axis *= (1 if side == "right" else -1) / max(float(np.sqrt(axis @ axis)), 1e-9)
        vectors = BONES_FROM_JOINTS @ joints
        first, second = vectors[_FIRST], vectors[_SECOND]
        # Cheaper than np.cross by far: v @ across_axis is axis × v.
        across_axis = levers(axis)
        by_second = first @ across_axis / self._area
        back = (by_second * second).sum(1) - self._min_sine
        across = first + second
        span = np.sqrt((across * across).sum(1))
        far = span - self._min_span
        bent_back, too_far = np.flatnonzero(back < 0), np.flatnonzero(far < 0)
        if not bent_back.size and not too_far.size:
            return _NONE
        by_first = second[bent_back] @ across_axis / -self._area[bent_back]
        slopes = (
            _FIRST_FROM_JOINTS[bent_back, :, None] * by_first[:, None]
            + _SECOND_FROM_JOINTS[bent_back, :, None] * by_second[bent_back, None],
            (_FIRST_FROM_JOINTS + _SECOND_FROM_JOINTS)[too_far, :, None]
            * (across[too_far] / np.maximum(span[too_far], 1e-9)[:, None])[:, None],
        )
        return np.concatenate([back[bent_back], far[too_far]]), np.concatenate(slopes)
