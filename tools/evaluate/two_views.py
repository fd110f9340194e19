"""Synthetic two-view observations: a hand of known joints, two cameras of known places, and a network's errors.

Nothing is rendered. The hand moves in "space axes": origin in the middle of the space it moves in, x right, y down as the left
camera roughly sees it, mm of a hand of 90 mm. Each view observes the truth with errors as measured of our network.
"""

from dataclasses import dataclass, replace

import numpy as np

from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.joints import DEFAULT_HAND_SIZE_MM, unit_hand
from hand.rotations import between, from_vector
from runtime.geometry.two_view import TwoViewGeometry
from runtime.networks.detnet_lite import CONFIDENCE_SCALE
from runtime.types import ViewHand
from tools.evaluate.motion import smooth_noise

SIZE_PX = (640, 480)
ANGLES_DEG, FOVS_DEG = (15.0, 165.0), (45.0, 110.0)
SPAN_PX = (100.0, 180.0)
"""Longer side of the hand's bounding box in the middle of its space, while the space fits before the camera."""
HAND_SPAN_MM = 130.0
"""Median longer side of a moving hand's box, seen from afar."""
NEAREST_MM = 320.0
"""A camera keeps this far from the middle of the space: the hand moves up to 200 mm to each side."""
IN_FRONT_MM = 60.0
"""A joint nearer to a camera than this has no pixel worth the name: the hand counts as out of the picture."""
TIP_DEG = 10.0
"""By how much a view's own hand is tipped as a whole, root mean square."""
DEPTH_NOISE, LATERAL_NOISE = 0.15, 0.06
"""Standard deviations of each joint of a view's own hand, along the optical axis and across it, unit hands."""
DRIFT_S = 0.5
"""Time within which these errors change."""
TYPICAL_ERROR = 0.2
"""Of a joint, unit hands: what the network expects of itself lies between this and the real error."""
DOUBT_SCATTER = 0.25
"""Standard deviation of the logarithm of the expected error about that."""
GROSS = 0.4
"""Standard deviation of an outlier's pixel, in spans of the hand."""


@dataclass(frozen=True, slots=True)
class Rig:
    """Two cameras around the space that a hand moves in."""

    geometry: TwoViewGeometry
    """Where the cameras are to each other; the baseline is as true as a hand of 90 mm."""
    R_left_from_space: np.ndarray
    """(3, 3)."""
    t_left_from_space_mm: np.ndarray
    """(3,) the middle of the space, left camera's axes."""
    fov_deg: PerView[float]
    """Horizontal fields of view."""
    axes_deg: float
    """Angle between the optical axes."""

    def in_left(self, points_mm: np.ndarray) -> np.ndarray:
        """Points (..., 3) in space axes, in the left camera's axes."""
        return points_mm @ self.R_left_from_space.T + self.t_left_from_space_mm

    def in_space(self, points_mm: np.ndarray) -> np.ndarray:
        """The other way round."""
        return (points_mm - self.t_left_from_space_mm) @ self.R_left_from_space


@dataclass(frozen=True, slots=True)
class Observed:
    """N frames of both views at 30 Hz or so: observations and truth."""

    rig: Rig
    joints_mm: np.ndarray
    """(N, 21, 3) true joints, left camera's axes."""
    captured_ns: np.ndarray
    """(N,) int64."""
    pairs: list[PerView[ViewHand] | None]
    """None where the hand left a picture."""

    @property
    def sizes_px(self) -> PerView[tuple[int, int]]:
        return self.rig.geometry.cameras.map(lambda camera: camera.size_px)


def sample_rig(rng: np.random.Generator, angle_deg: float | None = None, fov_deg: PerView[float] | None = None) -> Rig:
    """Two cameras of 640×480 that look at the same space, `angle_deg` (15–165 if not given) between their optical axes.

    Half of the rigs whose fields of view are not given have two equal cameras. Wide cameras stand near, narrow ones far, so
    that the hand is of a usual size in the picture.
    """
    if angle_deg is None:
        angle_deg = rng.uniform(*ANGLES_DEG)
    if fov_deg is None:
        first, other = rng.uniform(*FOVS_DEG, 2)
        fov_deg = PerView(first, first if rng.random() < 0.5 else other)
    cameras = fov_deg.map(lambda fov: PinholeCamera.from_fov(*SIZE_PX, fov))
    towards_left = from_vector(rng.normal(0, 0.2, 3)) @ [0.0, 0.0, 1.0]
    # Cameras mostly stand beside each other, sometimes above.
    axis = np.cross(np.cross(towards_left, rng.normal(0, 1, 3) + [0, 2, 0]), towards_left)
    axis *= np.radians(angle_deg) * rng.choice([-1, 1]) / np.linalg.norm(axis)
    forward = PerView(towards_left, from_vector(axis) @ towards_left)
    R = PerView.of(lambda view: _mounted(rng, forward[view]))

    def middle(view: View) -> np.ndarray:
        distance = max(cameras[view].focal_px * HAND_SPAN_MM / rng.uniform(*SPAN_PX), NEAREST_MM)
        return np.array([*rng.normal(0, 25, 2), distance])

    t = PerView.of(middle)
    R_right_from_left = R.right @ R.left.T
    geometry = TwoViewGeometry(cameras, R_right_from_left, t.right - R_right_from_left @ t.left)
    return Rig(geometry, R.left, t.left, fov_deg, float(angle_deg))


def moved(rng: np.random.Generator, rig: Rig, angle_deg: float) -> Rig:
    """The right camera carried around the middle of the space by `angle_deg` about a random axis; it still sees the hand."""
    axis = rng.normal(size=3)
    turn = from_vector(axis / np.linalg.norm(axis) * np.radians(angle_deg))
    g, middle = rig.geometry, rig.t_left_from_space_mm
    t = g.R_right_from_left @ (middle - turn @ middle) + g.t_right_from_left_mm
    geometry = TwoViewGeometry(g.cameras, g.R_right_from_left @ turn, t)
    between_axes = np.degrees(np.arccos(np.clip(geometry.R_right_from_left[2, 2], -1, 1)))
    return replace(rig, geometry=geometry, axes_deg=float(between_axes))


def _mounted(rng: np.random.Generator, forward: np.ndarray) -> np.ndarray:
    """(3, 3) R_camera_from_space of a camera that looks along `forward` (3,), about upright; one in eight is mounted oddly."""
    right = np.cross([0, 1, 0], forward)
    right /= max(float(np.linalg.norm(right)), 1e-9)
    roll = np.radians(rng.uniform(-15, 15) if rng.random() < 0.875 else rng.uniform(-60, 60))
    return from_vector(np.array([0, 0, roll])) @ np.stack([right, np.cross(forward, right), forward])


def observe(
    rng: np.random.Generator,
    rig: Rig,
    joints_mm: np.ndarray,
    noise_px: float = 3,
    outliers: float = 0.1,
    fps: float = 30,
    own_noise: float = 1,
    assumed_fov_deg: float | None = None,
) -> Observed:
    """Observations by both views of joints (N, 21, 3) in space axes.

    Pixels have white noise of `noise_px`, and a share of `outliers` of them is anywhere about the hand. Each view's own 3D hand
    has `own_noise` times the errors measured of the network; where a field of view is assumed, it is turned, too, as a hand off
    the middle of a picture is by a crop that knows no better. Confidences stand for expected errors as DetNet-lite's do.
    """
    truth = rig.in_left(joints_mm)
    seen, pixels = rig.geometry.in_view_axes(truth), rig.geometry.project(truth)

    def whole(view: View) -> np.ndarray:
        in_picture = (pixels[view] >= 0) & (pixels[view] <= np.array(rig.geometry.cameras[view].size_px) - 1)
        return np.asarray(in_picture.all((1, 2)) & (seen[view][..., 2] > IN_FRONT_MM).all(1))

    def hands(view: View) -> list[ViewHand]:
        unit = unit_hand(seen[view])
        own = _own_hands(rng, unit, fps, own_noise)
        off = _pixel_errors(rng, pixels[view], noise_px, outliers)
        size_px = rig.geometry.cameras[view].focal_px * DEFAULT_HAND_SIZE_MM / seen[view][..., 2].mean(1)[:, None]
        real = np.linalg.norm(own - unit, axis=-1) + np.linalg.norm(off, axis=-1) / abs(size_px)
        expected = np.sqrt(TYPICAL_ERROR * real) * np.exp(rng.normal(0, DOUBT_SCATTER, real.shape))
        if assumed_fov_deg is not None:
            own = own @ _misread(rig.geometry.cameras[view], assumed_fov_deg, pixels[view].mean(1)).swapaxes(1, 2)
        hands = zip(own, pixels[view] + off, np.exp(-expected / CONFIDENCE_SCALE), strict=True)
        return [ViewHand(view, "right", *hand) for hand in hands]

    both = zip(*PerView.of(hands), whole("left") & whole("right"), strict=True)
    pairs = [PerView(left, right) if there else None for left, right, there in both]
    captured_ns = (np.arange(len(truth)) * 1e9 / fps).astype(np.int64) + 1_000_000_000
    return Observed(rig, truth, captured_ns, pairs)


def _own_hands(rng: np.random.Generator, unit: np.ndarray, fps: float, scale: float) -> np.ndarray:
    """(N, 21, 3) unit hands as a network would give them for true ones (N, 21, 3): tipped, and off joint by joint, slowly."""
    count = len(unit)
    tip = from_vector(smooth_noise(rng, count, 3, DRIFT_S, fps) * np.radians(TIP_DEG) / np.sqrt(3) * scale)
    off = smooth_noise(rng, count, unit[0].size, DRIFT_S, fps).reshape(unit.shape) * scale
    return unit_hand(unit @ tip.swapaxes(1, 2) + off * [LATERAL_NOISE, LATERAL_NOISE, DEPTH_NOISE])


def _misread(camera: PinholeCamera, assumed_fov_deg: float, middles: np.ndarray) -> np.ndarray:
    """(N, 3, 3) R_read_from_true of hands around pixels (N, 2): seen along the true ray, placed along that of another camera."""
    assumed = PinholeCamera.from_fov(*camera.size_px, assumed_fov_deg)
    return np.stack([between(*rays) for rays in zip(camera.rays(middles), assumed.rays(middles), strict=True)])


def _pixel_errors(rng: np.random.Generator, pixels: np.ndarray, noise_px: float, outliers: float) -> np.ndarray:
    """(N, 21, 2) px to add to `pixels` (N, 21, 2)."""
    gross = rng.normal(size=pixels.shape) * np.ptp(pixels, axis=1).max(-1)[:, None, None] * GROSS
    return np.where(rng.random(pixels.shape[:2])[..., None] < outliers, gross, rng.normal(0, noise_px, pixels.shape))
