"""Synthetic hands before two cameras as bundle adjustment takes them: keypoints, and the true scene."""

from dataclasses import dataclass, replace

import numpy as np

from capture.views import PerView, View
from hand.joints import DEFAULT_HAND_SIZE_MM
from runtime.calibration.bundle import Keypoints
from runtime.calibration.variables import CHILD, PARENT, Prior, Scene
from runtime.estimators.uncertainty import shape_sigma, sigma_px
from tools.evaluate.motion import sample_motion
from tools.evaluate.two_views import Rig, observe

FLAT_PX = 3.0
"""Standard deviation given to noiseless keypoints."""
FLAT_SHAPE = 0.3
"""Hands; standard deviation given to their shapes."""


@dataclass(frozen=True, slots=True)
class SyntheticPairs:
    """F pairs of one hand before one rig."""

    views: PerView[Keypoints]
    scene: Scene
    """The truth."""
    time_ns: np.ndarray
    """(F,)."""


def synthetic_pairs(rig: Rig, pairs: int, seed: int = 0, seconds: float = 10, **options: float) -> SyntheticPairs:
    """`pairs` evenly spaced pairs of a motion; `options` go to `observe`. Standard deviations follow from the confidences."""
    rng = np.random.default_rng(seed)
    observed = observe(rng, rig, sample_motion(rng, seconds), **options)
    there = np.array([number for number, pair in enumerate(observed.pairs) if pair is not None])
    chosen = there[np.linspace(0, len(there) - 1, pairs).round().astype(int)]

    def keypoints(view: View) -> Keypoints:
        hands = [pair[view] for number in chosen if (pair := observed.pairs[number])]
        return Keypoints(
            pixels=np.stack([hand.pixels for hand in hands]),
            sigma_px=np.stack([sigma_px(hand) for hand in hands]),
            shape=np.stack([hand.joints for hand in hands]),
            shape_sigma=np.stack([shape_sigma(hand) for hand in hands]),
            centre_px=np.array(rig.geometry.cameras[view].centre_px),
        )

    geometry, joints = rig.geometry, observed.joints_mm[chosen] / DEFAULT_HAND_SIZE_MM
    bones = np.linalg.norm(joints[:, CHILD] - joints[:, PARENT], axis=-1).mean(0)
    log_focal = np.log([camera.focal_px for camera in geometry.cameras])
    scene = Scene(
        log_focal, geometry.R_right_from_left, geometry.t_right_from_left_mm / DEFAULT_HAND_SIZE_MM, np.log(bones), joints
    )
    return SyntheticPairs(PerView.of(keypoints), scene, observed.captured_ns[chosen])


def noiseless(rig: Rig, pairs: int, seed: int = 0, seconds: float = 10) -> SyntheticPairs:
    """The same without errors, with equal standard deviations for all joints."""
    exact = synthetic_pairs(rig, pairs, seed, seconds, noise_px=0, outliers=0, own_noise=0)

    def flat(keypoints: Keypoints) -> Keypoints:
        shape = keypoints.sigma_px.shape
        return replace(keypoints, sigma_px=np.full(shape, FLAT_PX), shape_sigma=np.full(shape, FLAT_SHAPE))

    return replace(exact, views=exact.views.map(flat))


def prior_at(scene: Scene, *, focal_sigma: float = 0.35, equal_sigma: float = 0.03, bone_noise: float = 0.05) -> Prior:
    """A prior centred on the truth."""
    return Prior(
        PerView(*scene.log_focal), PerView(focal_sigma, focal_sigma), equal_sigma, np.exp(scene.log_bones), 0.1, bone_noise
    )


def direction_deg(one: np.ndarray, other: np.ndarray) -> float:
    """The angle between directions (3,) and (3,)."""
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
