"""Initialization of bundle adjustment: the cameras from essential matrices, and from the views' own 3D hands.

Joints of every pair obey the same essential matrix, since the cameras stand still: relative pose from many hundred
correspondences, with PoseLib's LO-RANSAC, at several focal lengths.
"""

from dataclasses import dataclass

import numpy as np

from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.rotations import align, correlation, project_to_rotation
from runtime.calibration.bundle import Keypoints
from runtime.calibration.variables import CHILD, PARENT, Scene
from runtime.geometry.two_view import TwoViewGeometry

MAX_DEPTH = 60.0
"""Hands; the largest depth of triangulated joints, for rays that are nearly parallel."""


@dataclass(frozen=True, slots=True)
class CameraEstimate:
    """Focal lengths and relative pose of both cameras."""

    focal_px: PerView[float]
    R_right_from_left: np.ndarray
    t_right_from_left: np.ndarray
    """(3,) hands where `scaled`, else of any length."""
    scaled: bool = False

    def geometry(self, views: PerView[Keypoints]) -> TwoViewGeometry:
        """The cameras as a geometry whose unit is the hand."""
        cameras = PerView.of(lambda view: _camera(self.focal_px[view], views[view].centre_px))
        return TwoViewGeometry(cameras, self.R_right_from_left, self.t_right_from_left)


def from_essential(views: PerView[Keypoints], focal_px: PerView[float], seed: int) -> CameraEstimate | None:
    """The relative pose with the most inliers at these focal lengths; None where there are none."""
    import poselib

    def camera(view: View) -> dict:
        pinhole = _camera(focal_px[view], views[view].centre_px)
        width, height = pinhole.size_px
        params = [pinhole.focal_px, *pinhole.centre_px]
        return {"model": "SIMPLE_PINHOLE", "width": width, "height": height, "params": params}

    usable = np.isfinite(views.left.pixels).all(-1) & np.isfinite(views.right.pixels).all(-1)
    left, right = views.left.pixels[usable], views.right.pixels[usable]
    threshold = 1.5 * float(np.median(np.concatenate([k.sigma_px[usable] for k in views])))
    pose, info = poselib.estimate_relative_pose(
        left,
        right,
        camera("left"),
        camera("right"),
        {"max_epipolar_error": threshold, "min_iterations": 100, "max_iterations": 1000, "seed": seed},
        {},
    )
    if not info["num_inliers"]:
        return None
    return CameraEstimate(focal_px, np.array(pose.R), np.array(pose.t))


def from_shapes(views: PerView[Keypoints], focal_px: PerView[float]) -> CameraEstimate:
    """Rotation from the views' own 3D hands, translation from the positions at which each view sees its hand."""
    weight = views.map(lambda keypoints: keypoints.shape_sigma**-2.0)
    shared = weight.left * weight.right / np.maximum(weight.left + weight.right, 1e-30)
    places = PerView.of(lambda view: wrist_positions(views[view], focal_px[view]))
    centred = views.map(lambda keypoints: keypoints.shape - keypoints.shape[:, :1])
    own = align(centred.left, centred.right, shared)
    # The median pair's rotation, then all near it: robust to a few false detections.
    apart = np.linalg.norm(own[:, None] - own, axis=(-2, -1))
    middle = apart[np.median(apart, 1).argmin()]
    near = middle <= np.median(middle)
    R = project_to_rotation(correlation(centred.left, centred.right, shared)[near].sum(0))
    t = np.median(places.right - places.left @ R.T, axis=0)
    return CameraEstimate(focal_px, R, t, scaled=True)


def wrist_positions(keypoints: Keypoints, focal_px: float) -> np.ndarray:
    """(F, 3) where each hand's wrist must be, in hands, so that its own 3D shape is seen at its pixels."""
    return wrist_position(keypoints.shape, keypoints.pixels, keypoints.sigma_px, focal_px, keypoints.centre_px)


def wrist_position(
    shape: np.ndarray, pixels: np.ndarray, sigma_px: np.ndarray, focal_px: float, centre_px: np.ndarray
) -> np.ndarray:
    """(..., 3) the wrist of hands of joints `shape` (..., 21, 3), camera's axes, seen at `pixels` (..., 21, 2); least squares.

    Linear, from u (z_j + Z) = x_j + X for each joint, u = (pixel − centre) / focal length.
    """
    u = (pixels - centre_px) / focal_px
    shape = shape - shape[..., :1, :]
    weight = 1 / sigma_px[..., None]
    rows = np.zeros((*u.shape, 3))
    rows[..., 0, 0] = rows[..., 1, 1] = 1
    rows[..., 2] = -u
    target = (u * shape[..., 2:] - shape[..., :2]) * weight
    rows = rows * weight[..., None]
    normal = np.einsum("...jia,...jib->...ab", rows, rows)
    normal = normal + 1e-12 * np.trace(normal, axis1=-2, axis2=-1)[..., None, None] * np.eye(3)
    return np.linalg.solve(normal, np.einsum("...jia,...ji->...a", rows, target)[..., None])[..., 0]


def scene_at(cameras: CameraEstimate, views: PerView[Keypoints], bones: np.ndarray) -> Scene:
    """A scene with these cameras and triangulated joints; scaled to `bones` (20,) unless the estimate is `scaled`."""
    geometry = cameras.geometry(views)
    pixels, sigma_px = views.map(lambda keypoints: keypoints.pixels), views.map(lambda keypoints: keypoints.sigma_px)
    joints = geometry.triangulate(pixels, sigma_px)
    t = cameras.t_right_from_left
    if not cameras.scaled:
        scale = float(np.median(np.linalg.norm(joints[:, CHILD] - joints[:, PARENT], axis=-1) / bones))
        joints, t = joints / scale, t / scale
    return Scene(np.log([*cameras.focal_px]), cameras.R_right_from_left, t, np.log(bones), _gathered(joints, bones))


def _gathered(joints: np.ndarray, bones: np.ndarray) -> np.ndarray:
    """Joints (F, 21, 3) moved along their left rays to the depth of the rest of their hand: outliers, whose rays meet anywhere,
    would take many iterations to return.
    """
    reach = 0.7 * float(bones.sum() / 5)
    middle = np.clip(np.median(joints[..., 2], axis=1, keepdims=True), 2 * reach, MAX_DEPTH)
    depth = joints[..., 2]
    sight = joints / np.where(np.abs(depth) < 1e-6, 1e-6, depth)[..., None]
    return sight * np.clip(depth, middle - reach, middle + reach)[..., None]


def _camera(focal_px: float, centre_px: np.ndarray) -> PinholeCamera:
    x, y = map(float, centre_px)
    return PinholeCamera(focal_px, (x, y), (int(2 * x) + 1, int(2 * y) + 1))
