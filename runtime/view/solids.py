"""The viewer's solids: cameras, skeleton and floor as lit triangles."""

import numpy as np

from capture.views import PerView
from hand.joints import BONES
from runtime.view.scene import LEFT_COLOUR, RIGHT_COLOUR, Floor, Frustum, Solids, Viewpoint, trust_colours

_SQUARE_MM = 100.0
_FLOOR_REACH_MM = 3000.0
_FLOOR_PARTS = 4
"""Pieces of a line from the middle to its end: colours change linearly along each."""
_EDGE_PX, _BONE_PX, _RIBBON_PX = 1.3, 0.9, 1.4
"""Radii and a width, in px of a picture 1280 px wide."""
_LIGHTS = np.array([(-0.45, -0.60, -0.66), (0.75, 0.25, -0.61)])
"""Towards the key light and the fill light, unit length, eye axes."""
_UNLIT = np.array([0.0521, -0.1290, -0.9903])
"""The normal, eye axes, at which the lights leave a colour as it is."""
_IN_FRONT = 0.25
"""The skeleton is scaled towards the viewpoint by this factor: it looks the same and no skin hides it."""


def frusta_solids(frusta: PerView[Frustum | None], viewpoint: Viewpoint) -> list[Solids]:
    """The cameras' edges in their views' colours, equally thick wherever they are."""
    parts: list[Solids] = []
    for frustum, colour in zip(frusta, (LEFT_COLOUR, RIGHT_COLOUR), strict=True):
        if frustum:
            corners = frustum.corners
            starts = np.concatenate([np.repeat(frustum.apex[None], 4, 0), corners])
            ends = np.concatenate([corners, np.roll(corners, -1, 0)])
            colours = np.broadcast_to(colour, (8, 3))
            radius = float(viewpoint.mm_of_px(_EDGE_PX, frustum.apex))
            parts += [_tubes(starts, ends, radius, colours, colours), _balls(frustum.apex[None], 4.4 * radius, colour[None])]
    return parts


def skeleton_solids(joints: np.ndarray, weight_left: np.ndarray, viewpoint: Viewpoint) -> list[Solids]:
    """Joints (21, 3) and bones, coloured by weights (21,), in front of everything else in the picture."""
    colours = trust_colours(weight_left)
    near = viewpoint.position + _IN_FRONT * (joints - viewpoint.position)
    start, end = np.array(BONES).T
    # A far hand's bones keep a visible thickness.
    radius = _IN_FRONT * max(1.1, float(viewpoint.mm_of_px(_BONE_PX, joints[0])))
    bones = _tubes(near[start], near[end], radius, 0.8 * colours[start], 0.8 * colours[end])
    return [bones, _balls(near, 3.1 * radius, colours)]


def floor_solids(
    floor: Floor, frusta: PerView[Frustum | None], viewpoint: Viewpoint, colour: np.ndarray, background: np.ndarray
) -> Solids:
    """Squares of 100 mm, a corner below the left camera, from `colour` (3,) near the origin to `background` (3,) far away."""
    cameras = np.stack([frustum.apex for frustum in frusta if frustum])
    anchor = floor.axes @ cameras[0]
    reach_mm = min(1.2 * float(np.linalg.norm(cameras, axis=-1).max()) + 2 * _SQUARE_MM, _FLOOR_REACH_MM)
    steps = np.linspace(-1, 1, 2 * _FLOOR_PARTS + 1) * reach_mm
    starts, ends = [], []
    for across, along in ((0, 2), (2, 0)):
        first, last = np.ceil((-reach_mm - anchor[across]) / _SQUARE_MM), np.floor((reach_mm - anchor[across]) / _SQUARE_MM)
        lines = anchor[across] + _SQUARE_MM * np.arange(first, last + 1)
        points = np.full((len(lines), len(steps), 3), floor.level)
        points[..., across], points[..., along] = lines[:, None], steps
        starts.append(points[:, :-1].reshape(-1, 3))
        ends.append(points[:, 1:].reshape(-1, 3))
    starts, ends = np.concatenate(starts), np.concatenate(ends)
    fade = [np.clip(1 - np.linalg.norm(points[:, ::2], axis=-1) / reach_mm, 0, 1)[:, None] ** 0.7 for points in (starts, ends)]
    lit = (fade[0] + fade[1] > 0)[:, 0]
    colours = [(background + share * (colour - background))[lit] for share in fade]
    return _ribbons(starts[lit] @ floor.axes, ends[lit] @ floor.axes, viewpoint, *colours)


def join(parts: list[Solids], viewpoint: Viewpoint) -> Solids:
    """All `parts` as one, lit from near the viewpoint.

    Lit here because the renderer's own lights stand between the hand and the skeleton that was moved in front of it, and cost
    more than everything else in the picture where a CPU draws.
    """
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = np.concatenate([part.faces + offset for part, offset in zip(parts, offsets, strict=False)])
    vertices, normals, colours = (
        np.concatenate([getattr(part, n) for part in parts]) for n in ("vertices", "normals", "colours")
    )
    key, fill = np.clip(normals @ (_LIGHTS @ viewpoint.R_eye_from_scene).T, 0, 1).T
    shade = 0.16 + 0.98 * key + 0.24 * fill
    gleam = 0.16 * key**24
    return Solids(vertices, normals, np.clip(colours * shade[:, None] + gleam[:, None], 0, 1), faces.astype(np.int32))


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


def _ribbons(
    starts: np.ndarray, ends: np.ndarray, viewpoint: Viewpoint, start_colours: np.ndarray, end_colours: np.ndarray
) -> Solids:
    """Flat lines between points (N, 3), facing the viewpoint and unlit."""
    side = np.cross(ends - starts, (starts + ends) / 2 - viewpoint.position)
    side /= np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), 1e-9)
    near, far = (side * viewpoint.mm_of_px(_RIBBON_PX / 2, points)[:, None] for points in (starts, ends))
    vertices = np.stack([starts - near, starts + near, ends + far, ends - far], 1)
    colours = np.repeat(np.stack([start_colours, end_colours], 1), 2, 1)
    faces = _QUAD_FACES + 4 * np.arange(len(starts))[:, None, None]
    normals = np.broadcast_to(_UNLIT @ viewpoint.R_eye_from_scene, vertices.shape)
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


_QUAD_FACES = np.array([(0, 1, 2), (0, 2, 3)])
_SIDES = 8
_TUBE_FACES = _tube_faces(_SIDES)
_BALL, _BALL_FACES = _ball(8, 12)
