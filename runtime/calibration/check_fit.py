"""How well cameras fit the hands that both views saw, after an adjustment as large as a good calibration may need.

A calibration that is right is off by a degree or two, and hands are noisy. So cameras are compared after a few damped steps of
their rotation, baseline direction and focal length, within bounds: what is wrong by its convention stays wrong.
"""

from dataclasses import dataclass, replace

import numpy as np

from capture.views import VIEWS, PerView
from hand.joints import MIDDLE_MCP, WRIST
from hand.rotations import from_vector
from runtime.calibration.bundle import Keypoints
from runtime.calibration.status import Uncertainty
from runtime.geometry.two_view import TwoViewGeometry

TOLERANCE = np.array([*np.radians([1.5] * 3), *np.radians([3.0] * 2), 0.03])
"""Standard deviations of a calibration's errors: rotation vector, direction of the baseline, both focal lengths (logarithm)."""
MAX_ADJUSTMENT = (np.radians(5.0), np.radians(10.0), 0.08)
"""Bounds of the same."""
KNEE = 3.0
"""Standard deviations; of the loss of Geman and McClure."""
INLIER = 3.0
"""Standard deviations up to which a joint agrees."""
SHAPE_SCALE, SHAPE_WEIGHT = 0.35, 0.5
"""Hands: mean distance of both views' own hands, one turned onto the other, that counts as one standard deviation; its weight."""
JOINTS_PER_HAND = 3.0
"""Independent joints of a hand, as errors of one network are correlated."""
_STEPS = 5
_DELTA = 1e-4
_TURN, _SHIFT, _FOCAL = slice(0, 3), slice(3, 5), 5
_PALM = (5, MIDDLE_MCP, 13, 17)
"""Knuckles: joints whose distance from the wrist does not change."""


@dataclass(frozen=True, slots=True)
class AdjustedCameras:
    """Cameras after their adjustment."""

    geometry: TwoViewGeometry
    adjustment: np.ndarray
    """(6,) in units of `TOLERANCE`'s entries: rotation vector, baseline direction, logarithm of the focal lengths."""
    covariance: np.ndarray
    """(6, 6) of it, with the tolerance as a prior."""

    @property
    def penalty(self) -> float:
        """Squared standard deviations of the adjustment."""
        return float(((self.adjustment / TOLERANCE) ** 2).sum())

    @property
    def uncertainty(self) -> Uncertainty:
        """How far the cameras may be off, as far as the hands can tell."""
        squared = self.adjustment**2 + self.covariance.diagonal()
        focal = float(100 * np.sqrt(squared[_FOCAL]))
        return Uncertainty(
            float(np.degrees(np.sqrt(squared[_TURN].sum()))),
            float(np.degrees(np.sqrt(squared[_SHIFT].sum()))),
            PerView(focal, focal),
        )


def adjusted(geometry: TwoViewGeometry, views: PerView[Keypoints]) -> AdjustedCameras:
    """The cameras near these that fit the hands best."""
    step = np.zeros(6)
    normal = np.diag(TOLERANCE**-2)
    for _ in range(_STEPS):
        error = pixel_errors(_moved(geometry, step), views).ravel()
        ahead = [pixel_errors(_moved(geometry, step + _DELTA * axis), views).ravel() for axis in np.eye(6)]
        slope = (np.stack(ahead, 1) - error[:, None]) / _DELTA
        weight = JOINTS_PER_HAND / views.left.pixels.shape[1] / (1 + error**2 / KNEE**2) ** 2
        normal = (slope * weight[:, None]).T @ slope + np.diag(TOLERANCE**-2)
        gradient = (slope * weight[:, None]).T @ error + step / TOLERANCE**2
        step = _bounded(step - np.linalg.solve(normal, gradient))
    return AdjustedCameras(_moved(geometry, step), step, np.linalg.inv(normal))


def pixel_errors(geometry: TwoViewGeometry, views: PerView[Keypoints]) -> np.ndarray:
    """(F, 21) signed epipolar residuals, standard deviations."""
    residuals_px = geometry.sampson_px(views.map(lambda keypoints: keypoints.pixels))
    return residuals_px / np.hypot(views.left.sigma_px, views.right.sigma_px)


def in_front(geometry: TwoViewGeometry, views: PerView[Keypoints]) -> np.ndarray:
    """(F, 21) whether both rays meet before both cameras."""
    seen = geometry.in_view_axes(_triangulated(geometry, views))
    return (seen.left[..., 2] > 0) & (seen.right[..., 2] > 0)


def costs(geometry: TwoViewGeometry, views: PerView[Keypoints], noise: float = 1.0) -> np.ndarray:
    """(F,) misfit of each pair; `noise`: factor on the standard deviations of pixels."""
    squared = (pixel_errors(geometry, views) / noise) ** 2
    pixels = np.where(in_front(geometry, views), _loss(squared), KNEE**2).mean(1)
    return pixels + SHAPE_WEIGHT * _loss((shape_distances(geometry, views) / SHAPE_SCALE) ** 2)


def agreement(geometry: TwoViewGeometry, views: PerView[Keypoints], noise: float = 1.0) -> float:
    """Share of the joints whose rays meet before both cameras; `noise`: factor on the standard deviations of pixels."""
    near = np.abs(pixel_errors(geometry, views)) < INLIER * noise
    return float((near & in_front(geometry, views)).mean())


def shape_distances(geometry: TwoViewGeometry, views: PerView[Keypoints]) -> np.ndarray:
    """(F,) mean distance of the right view's own joints from the left's, turned into its axes, hands; 0 where a view has none."""
    known = np.isfinite(views.left.shape_sigma) & np.isfinite(views.right.shape_sigma)
    apart = np.linalg.norm(_rooted(views.left) @ geometry.R_right_from_left.T - _rooted(views.right), axis=-1)
    return (apart * known).sum(1) / np.maximum(known.sum(1), 1)


def noise_of(geometry: TwoViewGeometry, views: PerView[Keypoints]) -> float:
    """Standard deviation of the pixels as a multiple of what their views expect."""
    return float(1.48 * np.median(np.abs(pixel_errors(geometry, views))))


def hand_sizes_mm(geometry: TwoViewGeometry, views: PerView[Keypoints]) -> tuple[float, float]:
    """From wrist to middle knuckle, found in two ways: from triangulated palms, which noise makes longer, and from where the
    views' own hands must be to be seen at their pixels, which errors of their shape make shorter.
    """
    points = _triangulated(geometry, views)
    palms = np.linalg.norm(points[:, _PALM] - points[:, [WRIST]], axis=-1)
    own = np.linalg.norm(_rooted(views.left)[:, _PALM], axis=-1)
    return float(np.median(palms / np.maximum(own, 1e-6))), _size_by_place_mm(geometry, views)


def _size_by_place_mm(geometry: TwoViewGeometry, views: PerView[Keypoints]) -> float:
    """Least squares over each hand's wrist X and size s, from u (R (s J + X) + t)_z = (R (s J + X) + t)_xy in each view; the
    median of the pairs' sizes by their information.
    """
    R, t = geometry.R_right_from_left, geometry.t_right_from_left_mm
    shape = (_rooted(views.left) + _rooted(views.right) @ R) / 2
    normal, right_side = np.zeros((len(shape), 4, 4)), np.zeros((len(shape), 4))
    R_views, t_views = PerView(np.eye(3), R), PerView(np.zeros(3), t)
    for view in VIEWS:
        R_view, t_view = R_views[view], t_views[view]
        camera, keypoints = geometry.cameras[view], views[view]
        u = (keypoints.pixels - np.array(camera.centre_px)) / camera.focal_px
        by_place = R_view[:2] - u[..., None] * R_view[2]
        rows = np.concatenate([by_place, by_place @ shape[..., None]], -1) / keypoints.sigma_px[..., None, None]
        target = (u * t_view[2] - t_view[:2]) / keypoints.sigma_px[..., None]
        normal += np.einsum("fjka,fjkb->fab", rows, rows)
        right_side += np.einsum("fjka,fjk->fa", rows, target)
    place = normal[:, :3, :3] + 1e-12 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(3)
    solved = np.linalg.solve(place, np.concatenate([normal[:, :3, 3:], right_side[:, :3, None]], -1))
    information = normal[:, 3, 3] - np.einsum("fa,fa->f", normal[:, 3, :3], solved[..., 0])
    pull = right_side[:, 3] - np.einsum("fa,fa->f", normal[:, 3, :3], solved[..., 1])
    size = pull / np.maximum(information, 1e-12)
    order = size.argsort()
    share = information[order].cumsum() / max(float(information.sum()), 1e-12)
    return float(size[order][np.searchsorted(share, 0.5)])


def _loss(squared: np.ndarray) -> np.ndarray:
    return squared / (1 + squared / KNEE**2)


def _rooted(keypoints: Keypoints) -> np.ndarray:
    return keypoints.shape - keypoints.shape[:, [WRIST]]


def _triangulated(geometry: TwoViewGeometry, views: PerView[Keypoints]) -> np.ndarray:
    return geometry.triangulate(views.map(lambda k: k.pixels), views.map(lambda k: k.sigma_px))


def _moved(geometry: TwoViewGeometry, step: np.ndarray) -> TwoViewGeometry:
    """The cameras after an adjustment (6,): the right one turned about itself, then its baseline, then both focal lengths."""
    turn = from_vector(step[_TURN])
    t = turn @ geometry.t_right_from_left_mm
    length = float(np.linalg.norm(t))
    along = t / length
    across = np.cross(along, np.eye(3)[np.abs(along).argmin()])
    across /= np.linalg.norm(across)
    along = along + step[_SHIFT] @ np.stack([across, np.cross(along, across)])
    cameras = geometry.cameras.map(lambda camera: replace(camera, focal_px=camera.focal_px * float(np.exp(step[_FOCAL]))))
    return TwoViewGeometry(cameras, turn @ geometry.R_right_from_left, along * length / np.linalg.norm(along))


def _bounded(step: np.ndarray) -> np.ndarray:
    turn, shift, focal = MAX_ADJUSTMENT
    return np.concatenate(
        [
            step[_TURN] * min(1, turn / max(float(np.linalg.norm(step[_TURN])), 1e-12)),
            step[_SHIFT] * min(1, shift / max(float(np.linalg.norm(step[_SHIFT])), 1e-12)),
            step[_FOCAL:].clip(-focal, focal),
        ]
    )
