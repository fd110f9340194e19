"""Where everything stands in the viewer's picture: the hand, its skeleton, the two cameras and the eye that looks at them.

Scene axes are the left camera's, turned with nothing; lengths are mm; the hand's middle knuckle is the origin.
"""

from dataclasses import dataclass

import numpy as np

from capture.views import PerView
from hand.camera import PinholeCamera
from hand.joints import BONES

LEFT_COLOUR = np.array([0.96, 0.55, 0.22])
RIGHT_COLOUR = np.array([0.25, 0.62, 1.0])
NEUTRAL_COLOUR = np.array([0.93, 0.93, 0.93])

CAMERA_DISTANCE_MM = 280.0
"""From the hand to each camera. The true distance is not known from the rotation between the views alone."""
FRUSTUM_DEPTH_MM = 60.0
_MIN_SEPARATION_MM = 230.0
_CROSSED_MM = 100.0
_EYE_RISE_DEG = 38.0
_HAND_RADIUS_MM = 100.0
_FILLED = np.array([0.84, 0.84])
"""Share of the picture's width and height that hand and cameras may fill."""
_STATUS_SHARE = 0.06
"""Share of the picture's height that the status line takes at the bottom."""
_LIGHTS = np.array([(-0.45, -0.60, -0.66), (0.75, 0.25, -0.61)])
"""Towards the key light and the fill light, unit length, eye axes."""
_IN_FRONT = 0.25
"""The skeleton is shrunk towards the eye by this factor: it looks the same and no skin hides it."""


@dataclass(frozen=True, slots=True)
class Eye:
    """The camera that draws the picture."""

    camera: PinholeCamera
    R_eye_from_scene: np.ndarray
    """(3, 3)."""
    position: np.ndarray
    """(3,) in the scene."""

    def at(self, pixels: np.ndarray, depth_mm: float) -> np.ndarray:
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
    """Both cameras, looking at the hand; without a rotation the right one has no place.

    Only the rotation is known, so both look at the hand from a fixed distance; cameras that nearly share their axes are moved
    apart sideways, as on a headset, where they would cover each other.
    """
    if R_right_from_left is None:
        return PerView(_frustum(cameras.left, np.eye(3), np.array([0, 0, -CAMERA_DISTANCE_MM])), None)
    turns = PerView(np.eye(3), R_right_from_left)
    apexes = turns.map(lambda turn: -CAMERA_DISTANCE_MM * turn[2])
    apart = apexes.right - apexes.left
    # To the right, unless the rotation says clearly that the right view's camera stands on the left.
    side = -1.0 if apart[0] < -_CROSSED_MM else 1.0
    lacking = _MIN_SEPARATION_MM - float(np.linalg.norm(apart))
    aside = np.array([side * (lacking / 2 + max(0.0, -side * apart[0])) if lacking > 0 else 0.0, 0, 0])
    return PerView(
        _frustum(cameras.left, turns.left, apexes.left - aside),
        _frustum(cameras.right, turns.right, apexes.right + aside),
    )


def place_eye(width: int, height: int, frusta: PerView[Frustum | None]) -> Eye:
    """The eye behind and above the cameras, halfway between them, from where hand and cameras just fill the picture."""
    seen = [frustum for frustum in frusta if frustum]
    down = _unit(np.sum([frustum.R_camera_from_scene[1] for frustum in seen], axis=0), np.array([0.0, 1, 0]))
    back = np.sum([frustum.apex for frustum in seen], axis=0)
    back = _unit(back - (back @ down) * down, np.cross(down, seen[0].R_camera_from_scene[0]))
    rise = np.radians(_EYE_RISE_DEG)
    forward = -np.cos(rise) * back + np.sin(rise) * down
    right = np.cross(down, -back)
    turn = np.stack([right, np.cross(forward, right), forward])

    ball = _HAND_RADIUS_MM * np.concatenate([np.eye(3), -np.eye(3)])
    points = np.concatenate([ball, *(np.vstack([frustum.apex, frustum.corners]) @ turn.T for frustum in seen)])
    focal = 2.0 * height
    room = _FILLED * np.array([width, height]) / focal
    eye = np.array([0.0, 0, -4 * CAMERA_DISTANCE_MM])
    for _ in range(8):
        sight = (points - eye)[:, :2] / (points - eye)[:, 2:]
        low, high = sight.min(0), sight.max(0)
        eye[:2] -= (low + high) / 2 * eye[2]
        eye[2] *= max((high - low) / room)
    eye[1] -= _STATUS_SHARE / 2 * height / focal * eye[2]
    camera = PinholeCamera(focal, ((width - 1) / 2, (height - 1) / 2), (width, height))
    return Eye(camera, turn, eye @ turn)


def frusta_solids(frusta: PerView[Frustum | None]) -> list[Solids]:
    """The cameras' edges in their views' colours."""
    parts: list[Solids] = []
    for frustum, colour in zip(frusta, (LEFT_COLOUR, RIGHT_COLOUR), strict=True):
        if frustum:
            corners = frustum.corners
            starts = np.concatenate([np.repeat(frustum.apex[None], 4, 0), corners])
            ends = np.concatenate([corners, np.roll(corners, -1, 0)])
            colours = np.broadcast_to(colour, (8, 3))
            parts += [_tubes(starts, ends, 0.9, colours, colours), _balls(frustum.apex[None], 4.0, colour[None])]
    return parts


def skeleton_solids(joints: np.ndarray, weight_left: np.ndarray, eye: Eye) -> list[Solids]:
    """Joints (21, 3) and bones, coloured by weights (21,), in front of everything that `eye` sees."""
    colours = trust_colours(weight_left)
    near = eye.position + _IN_FRONT * (joints - eye.position)
    start, end = np.array(BONES).T
    bones = _tubes(near[start], near[end], 1.1 * _IN_FRONT, 0.8 * colours[start], 0.8 * colours[end])
    return [bones, _balls(near, 3.4 * _IN_FRONT, colours)]


def join(parts: list[Solids], eye: Eye) -> Solids:
    """All `parts` as one, lit from beside `eye`.

    Lit here because the renderer's own lights stand between the hand and the skeleton that was moved in front of it, and cost
    more than everything else in the picture where a CPU draws.
    """
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = np.concatenate([part.faces + offset for part, offset in zip(parts, offsets, strict=False)])
    vertices, normals, colours = (
        np.concatenate([getattr(part, n) for part in parts]) for n in ("vertices", "normals", "colours")
    )
    key, fill = np.clip(normals @ (_LIGHTS @ eye.R_eye_from_scene).T, 0, 1).T
    shade = 0.16 + 0.98 * key + 0.24 * fill
    gleam = 0.16 * key**24
    return Solids(vertices, normals, np.clip(colours * shade[:, None] + gleam[:, None], 0, 1), faces.astype(np.int32))


def _frustum(camera: PinholeCamera, turn: np.ndarray, apex: np.ndarray) -> Frustum:
    width, height = camera.size_px
    edges = np.array([(0, 0), (width, 0), (width, height), (0, height)]) - 0.5
    rays = np.column_stack([(edges - np.asarray(camera.centre_px)) / camera.focal_px, np.ones(4)])
    # All frusta are equally wide: a narrow view would be a needle, a fisheye a sheet.
    rays *= FRUSTUM_DEPTH_MM * np.array([0.62 / (rays[1, 0] - rays[0, 0]) * 2, 0.62 / (rays[1, 0] - rays[0, 0]) * 2, 1])
    return Frustum(turn, apex, rays @ turn + apex)


def _unit(vector: np.ndarray, instead: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length > 1e-6 else instead


def _tubes(starts: np.ndarray, ends: np.ndarray, radius: float, start_colours: np.ndarray, end_colours: np.ndarray) -> Solids:
    """Open tubes between points (N, 3)."""
    along = ends - starts
    along = along / np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-9)
    across = np.cross(along, np.eye(3)[np.argmin(np.abs(along), -1)])
    across /= np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-9)
    other = np.cross(along, across)
    cos, sin = (f(2 * np.pi * np.arange(_SIDES) / _SIDES)[:, None] for f in (np.cos, np.sin))
    normals = cos * across[:, None] + sin * other[:, None]
    vertices = np.stack([starts[:, None] + radius * normals, ends[:, None] + radius * normals], 1)
    colours = np.repeat(np.stack([start_colours, end_colours], 1)[:, :, None], _SIDES, 2)
    faces = _TUBE_FACES + 2 * _SIDES * np.arange(len(starts))[:, None, None]
    normals = np.repeat(normals[:, None], 2, 1)
    return Solids(*(part.reshape(-1, 3) for part in (vertices, normals, colours, faces)))


def _balls(centres: np.ndarray, radius: float, colours: np.ndarray) -> Solids:
    """Balls at points (N, 3)."""
    vertices = centres[:, None] + radius * _BALL
    normals = np.broadcast_to(_BALL, vertices.shape)
    faces = _BALL_FACES + len(_BALL) * np.arange(len(centres))[:, None, None]
    return Solids(*(part.reshape(-1, 3) for part in (vertices, normals, np.repeat(colours[:, None], len(_BALL), 1), faces)))


def _tube_faces(sides: int) -> np.ndarray:
    k = np.arange(sides)
    after = (k + 1) % sides
    return np.concatenate([np.stack([k, after, k + sides], -1), np.stack([after, after + sides, k + sides], -1)])


def _ball(rings: int, sides: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit ball: vertices (V, 3), which are normals too, and faces (F, 3); its poles are rings of coinciding vertices."""
    polar, around = np.pi * np.arange(rings + 1) / rings, 2 * np.pi * np.arange(sides) / sides
    ring = np.stack([np.cos(around), np.sin(around), np.zeros(sides)], -1)
    vertices = np.sin(polar)[:, None, None] * ring + np.cos(polar)[:, None, None] * np.array([0, 0, -1.0])
    faces = np.concatenate([_tube_faces(sides) + sides * k for k in range(rings)])
    return vertices.reshape(-1, 3), faces


_SIDES = 8
_TUBE_FACES = _tube_faces(_SIDES)
_BALL, _BALL_FACES = _ball(8, 12)
