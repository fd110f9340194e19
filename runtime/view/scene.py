"""Viewer scene geometry: positions of the hand, the two cameras, the floor and the viewpoint.

Scene axes are the left camera's axes; lengths are mm. The origin is the middle of the space in which the hand moves, or its
middle knuckle while only the rotation between the cameras is known.
"""

from dataclasses import dataclass, replace

import numpy as np

from capture.views import PerView
from hand.camera import PinholeCamera
from runtime.geometry.two_view import TwoViewGeometry

LEFT_COLOUR = np.array([0.96, 0.55, 0.22])
RIGHT_COLOUR = np.array([0.25, 0.62, 1.0])
NEUTRAL_COLOUR = np.array([0.93, 0.93, 0.93])

CAMERA_DISTANCE_MM = 280.0
"""From the hand to each camera. The true distance is not known from the rotation between the views alone."""
FRUSTUM_DEPTH_MM = 60.0
_MIN_SEPARATION_MM = 230.0
_CROSSED_MM = 100.0
_EYE_RISE_DEG = 38.0
HAND_RADIUS_MM = 100.0
"""About the middle knuckle of a hand of 90 mm."""
_MEASURED_RISES_DEG = (14.0, 18.0, 22.0, 26.0, 30.0)
_FILLED, _MEASURED_FILLED = np.array([0.84, 0.84]), np.array([0.90, 0.87])
"""Share of the picture's width and height that hand and cameras may fill."""
_STATUS_SHARE = 0.06
"""Share of the picture's height that the status line takes at the bottom."""
_HAND_COLUMN = 0.15
"""Share of the picture's width by which the hand may be off its middle: the live images are in the upper corners."""
_NEAREST = 0.25
"""Least distance of cameras from the viewpoint, as a share of the hand's: a nearer one would look larger than the hand."""
_FRUSTUM_SHARE = 0.13
"""How large a camera is drawn, as a share of the longest distance between cameras and hand."""
_FRUSTUM_MIN_MM = 25.0


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """The camera that draws the picture."""

    camera: PinholeCamera
    R_eye_from_scene: np.ndarray
    """(3, 3)."""
    position: np.ndarray
    """(3,) in the scene."""

    def for_size(self, size_px: tuple[int, int]) -> "Viewpoint":
        """The same viewpoint for a picture of another size and the same aspect ratio."""
        scale = size_px[0] / self.camera.size_px[0]
        centre = ((size_px[0] - 1) / 2, (size_px[1] - 1) / 2)
        return replace(self, camera=PinholeCamera(scale * self.camera.focal_px, centre, size_px))

    def is_close_to(self, other: "Viewpoint") -> bool:
        """Whether the difference is invisible."""
        turned = np.abs(self.R_eye_from_scene - other.R_eye_from_scene).max()
        return bool(turned < 1e-5 and np.abs(self.position - other.position).max() < 0.01)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of scene points (..., 3) in front of the viewpoint."""
        return self.camera.project((points - self.position) @ self.R_eye_from_scene.T)

    def mm_of_px(self, width: float, points: np.ndarray) -> np.ndarray:
        """(...) lengths in mm at scene points (..., 3) that appear `width` px long in a picture 1280 px wide."""
        depth = np.maximum((points - self.position) @ self.R_eye_from_scene[2], 1.0)
        return width * depth / self.camera.focal_px * self.camera.size_px[0] / 1280

    def unproject(self, pixels: np.ndarray, depth_mm: float) -> np.ndarray:
        """Scene points (N, 3) that appear at `pixels` (N, 2)."""
        xy = (pixels - np.asarray(self.camera.centre_px)) / self.camera.focal_px
        return np.column_stack([xy, np.ones(len(xy))]) * depth_mm @ self.R_eye_from_scene + self.position


@dataclass(frozen=True, slots=True)
class Frustum:
    """A camera in the scene."""

    R_camera_from_scene: np.ndarray
    """(3, 3)."""
    apex: np.ndarray
    """(3,) where the camera is."""
    corners: np.ndarray
    """(4, 3) of its image: top left, top right, bottom right, bottom left."""


@dataclass(frozen=True, slots=True)
class Floor:
    """A horizontal plane below everything, as a reference for distances."""

    axes: np.ndarray
    """(3, 3) rows: right, down, ahead."""
    level: float
    """mm from the origin, downwards."""


@dataclass(frozen=True, slots=True)
class Solids:
    """Triangles with a colour, shading included, and a normal at each vertex."""

    vertices: np.ndarray
    """(V, 3) mm, scene."""
    normals: np.ndarray
    """(V, 3) unit length."""
    colours: np.ndarray
    """(V, 3) in [0, 1]."""
    faces: np.ndarray
    """(F, 3) int32, counter-clockwise seen from outside."""


def trust_colours(weight_left: np.ndarray) -> np.ndarray:
    """(N, 3) colours of weights (N,): 1 is the left view's colour, 0 the right's, 0.5 neutral."""
    share = 2 * np.clip(weight_left, 0, 1)[:, None] - 1
    return NEUTRAL_COLOUR + np.where(share > 0, share * (LEFT_COLOUR - NEUTRAL_COLOUR), -share * (RIGHT_COLOUR - NEUTRAL_COLOUR))


def place_cameras(cameras: PerView[PinholeCamera], R_right_from_left: np.ndarray | None) -> PerView[Frustum | None]:
    """Both cameras, facing the hand; without a rotation the right one has no position.

    Only the rotation is known, so both are drawn at a fixed distance from the hand; cameras with nearly the same axes, as on a
    headset, are moved apart sideways, where they would cover each other.
    """
    if R_right_from_left is None:
        return PerView(_frustum(cameras.left, np.eye(3), np.array([0, 0, -CAMERA_DISTANCE_MM])), None)
    turns = PerView(np.eye(3), R_right_from_left)
    apexes = turns.map(lambda turn: -CAMERA_DISTANCE_MM * turn[2])
    apart = apexes.right - apexes.left
    # To the right, unless by the rotation the right view's camera is clearly on the left.
    side = -1.0 if apart[0] < -_CROSSED_MM else 1.0
    lacking = _MIN_SEPARATION_MM - float(np.linalg.norm(apart))
    aside = np.array([side * (lacking / 2 + max(0.0, -side * apart[0])) if lacking > 0 else 0.0, 0, 0])
    return PerView(
        _frustum(cameras.left, turns.left, apexes.left - aside),
        _frustum(cameras.right, turns.right, apexes.right + aside),
    )


def measured_size_mm(geometry: TwoViewGeometry, focus_mm: np.ndarray) -> float:
    """Size at which cameras are drawn: a share of the scene's extent, but small enough that parallel ones do not touch."""
    baseline = float(np.linalg.norm(geometry.right_in_left_mm))
    reach = max(baseline, float(np.linalg.norm(focus_mm)), float(np.linalg.norm(focus_mm - geometry.right_in_left_mm)))
    return max(_FRUSTUM_MIN_MM, min(_FRUSTUM_SHARE * reach, 0.7 * baseline))


def measured_frustum(camera: PinholeCamera, turn: np.ndarray, apex: np.ndarray, size_mm: float) -> Frustum:
    """A camera of true proportions: `size_mm` is the geometric mean of its image's width and its depth."""
    width, height = camera.size_px
    edges = np.array([(0, 0), (width, 0), (width, height), (0, height)]) - 0.5
    rays = np.column_stack([(edges - np.asarray(camera.centre_px)) / camera.focal_px, np.ones(4)])
    return Frustum(turn, apex, size_mm / np.sqrt(width / camera.focal_px) * rays @ turn + apex)


def blend(share: float, a: PerView[Frustum | None], b: PerView[Frustum]) -> PerView[Frustum | None]:
    """Frusta interpolated from `a` (share 0) to `b` (share 1); a camera without a position in `a` has that of `b`."""

    def between(a: Frustum | None, b: Frustum) -> Frustum:
        if a is None:
            return b
        apex, corners = ((1 - share) * of + share * to for of, to in ((a.apex, b.apex), (a.corners, b.corners)))
        return Frustum(b.R_camera_from_scene, apex, corners)

    return PerView(between(a.left, b.left), between(a.right, b.right))


def place_viewpoint(width: int, height: int, frusta: PerView[Frustum | None]) -> Viewpoint:
    """The viewpoint behind and above the cameras, halfway between them, from which hand and cameras just fill the picture."""
    viewpoint = _fit_viewpoint(width, height, frusta, HAND_RADIUS_MM, _EYE_RISE_DEG, _FILLED)
    _, below, ahead = viewpoint.R_eye_from_scene
    distance = -float(viewpoint.position @ ahead)
    return replace(
        viewpoint, position=viewpoint.position + _STATUS_SHARE / 2 * height / viewpoint.camera.focal_px * distance * below
    )


def place_measured_viewpoint(width: int, height: int, frusta: PerView[Frustum], radius_mm: float) -> Viewpoint:
    """As `place_viewpoint` for cameras at their measured positions; the hand is a sphere of `radius_mm` about the origin.

    The elevation is the one that shows the hand largest with no camera in front of it: from a low viewpoint, a far hand and
    its cameras overlap in the picture.
    """

    def worth(viewpoint: Viewpoint) -> float:
        size = 1 / viewpoint.mm_of_px(1.0, np.zeros(3))
        images = viewpoint.project(np.concatenate([frustum.corners for frustum in frusta]))
        clear = np.linalg.norm(images - viewpoint.project(np.zeros(3)), axis=-1).min() / (radius_mm * size)
        return float(np.log(size) + 0.8 * min(clear, 1.0))

    viewpoints = (_fit_viewpoint(width, height, frusta, radius_mm, rise, _MEASURED_FILLED) for rise in _MEASURED_RISES_DEG)
    return max(viewpoints, key=worth)


def place_floor(frusta: PerView[Frustum], radius_mm: float) -> Floor:
    """A plane below the cameras and the hand, a sphere of `radius_mm` about the origin with its forearm below."""
    down, ahead = level_axes(frusta)
    lowest = max(float((np.vstack([frustum.apex, frustum.corners]) @ down).max()) for frustum in frusta)
    return Floor(np.stack([np.cross(down, ahead), down, ahead]), max(lowest, radius_mm + HAND_RADIUS_MM))


def picture_camera(width: int, height: int) -> PinholeCamera:
    """The viewpoint's camera."""
    return PinholeCamera(2.0 * height, ((width - 1) / 2, (height - 1) / 2), (width, height))


def level_axes(frusta: PerView[Frustum | None] | PerView[Frustum]) -> tuple[np.ndarray, np.ndarray]:
    """Down (3,) and ahead (3,), orthogonal unit vectors: the means of the cameras' own."""
    turns = [frustum.R_camera_from_scene for frustum in frusta if frustum]
    down = _unit(np.sum([turn[1] for turn in turns], axis=0), np.array([0.0, 1, 0]))
    ahead = np.sum([turn[2] for turn in turns], axis=0)
    return down, _unit(ahead - (ahead @ down) * down, np.cross(turns[0][0], down))


def _frustum(camera: PinholeCamera, turn: np.ndarray, apex: np.ndarray) -> Frustum:
    width, height = camera.size_px
    edges = np.array([(0, 0), (width, 0), (width, height), (0, height)]) - 0.5
    rays = np.column_stack([(edges - np.asarray(camera.centre_px)) / camera.focal_px, np.ones(4)])
    # All frusta are drawn equally wide: true proportions would make a narrow view a needle and a fisheye a sheet.
    rays *= FRUSTUM_DEPTH_MM * np.array([0.62 / (rays[1, 0] - rays[0, 0]) * 2, 0.62 / (rays[1, 0] - rays[0, 0]) * 2, 1])
    return Frustum(turn, apex, rays @ turn + apex)


def _fit_viewpoint(
    width: int,
    height: int,
    frusta: PerView[Frustum | None] | PerView[Frustum],
    radius_mm: float,
    rise_deg: float,
    filled: np.ndarray,
) -> Viewpoint:
    """The nearest viewpoint, behind the cameras and `rise_deg` up, with the cameras and a sphere about the origin in its picture.

    The sphere is kept off the live images in the upper corners. `filled` is the share of the picture that may be used.
    """
    down, ahead = level_axes(frusta)
    rise = np.radians(rise_deg)
    forward, right = np.cos(rise) * ahead + np.sin(rise) * down, np.cross(down, ahead)
    turn = np.stack([right, np.cross(forward, right), forward])
    ball = radius_mm * np.concatenate([np.eye(3), -np.eye(3)])
    points = np.concatenate([ball, *(np.vstack([frustum.apex, frustum.corners]) @ turn.T for frustum in frusta if frustum)])

    camera = picture_camera(width, height)
    room = filled / 2 * np.array([width, height]) / camera.focal_px
    column = _HAND_COLUMN * width / camera.focal_px
    # In the picture is what has |xy - position's xy| ≤ room (z - position's z): each point gives a cone that holds the position.
    low, high = (points[:, :2] + room * points[:, 2:]).min(0), (points[:, :2] - room * points[:, 2:]).max(0)
    z = min(*(low - high) / (2 * room), low[0] / (room[0] + column), -high[0] / (room[0] + column))
    z = min(z, points[:, 2].min() / (1 - _NEAREST))
    far = points[:, 2] - z
    position = np.array([*(_centred(points[:, axis], far) for axis in (0, 1)), z])
    position[0] = np.clip(position[0], max(high[0] + room[0] * z, column * z), min(low[0] - room[0] * z, -column * z))
    return Viewpoint(camera, turn, position @ turn)


def _centred(across: np.ndarray, far: np.ndarray) -> float:
    """The position from which points, `across` (N,) and `far` (N,) along the line of sight, reach equally far to both sides."""
    width = (across[:, None] - across) / (far[:, None] + far)
    a = np.unravel_index(np.argmax(width), width.shape)
    return float(across[a[0]] - width[a] * far[a[0]])


def _unit(vector: np.ndarray, instead: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length > 1e-6 else instead
