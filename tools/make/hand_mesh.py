"""Operations on the hand's mesh: rays against it, normals, its open wrist, the forearm that closes it."""

import numpy as np

FOREARM_RINGS, FOREARM_LENGTH = 14, 2.4


def first_hit(vertices: np.ndarray, faces: np.ndarray, origin: np.ndarray, direction: np.ndarray) -> float:
    """Distance from a point inside the mesh to its skin along a unit `direction` (Möller and Trumbore 1997)."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    first, second = b - a, c - a
    normal = np.cross(direction, second)
    determinant = (first * normal).sum(1)
    scale = 1 / np.where(np.abs(determinant) < 1e-15, np.inf, determinant)
    u = ((origin - a) * normal).sum(1) * scale
    beside = np.cross(origin - a, first)
    v, distance = beside @ direction * scale, (second * beside).sum(1) * scale
    return float(distance[(u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0)].min())


def boundary_loop(faces: np.ndarray) -> list[int]:
    """Vertices along the mesh's one open edge, in order, directed as its faces see it."""
    directed = {(int(a), int(b)) for f in faces for a, b in ((f[0], f[1]), (f[1], f[2]), (f[2], f[0]))}
    follows = {a: b for a, b in directed if (b, a) not in directed}
    start = next(iter(follows))
    loop = [start]
    while follows[loop[-1]] != start:
        loop.append(follows[loop[-1]])
    assert len(loop) == len(follows), "the mesh has more than one opening"
    return loop


def forearm(vertices: np.ndarray, loop: list[int]) -> np.ndarray:
    """(rings · len(loop), 3) vertices of a tube that continues the wrist away from the fingers, growing to the elbow."""
    ring = vertices[loop]
    centre = ring.mean(0)
    spread = ring - centre
    rings = []
    for step in np.linspace(0, 1, FOREARM_RINGS + 1)[1:]:
        flat = spread * [1, max(0.0, 1 - 3 * step), 1]
        # The muscle's belly: widest in the upper third, rounder than the wrist.
        swell = 1 + 0.75 * np.sin(np.pi * min(step * 0.62, 0.62)) ** 1.5
        flat = flat * [swell, 1, swell * (1 + 0.25 * step)]
        rings.append(centre + flat + [0, -step * FOREARM_LENGTH, 0])
    return np.concatenate(rings)


def forearm_faces(loop: list[int], first: int) -> np.ndarray:
    """Triangles that join the loop, the rings (whose vertices start at index `first`) and a cap at the elbow."""
    n, faces = len(loop), []
    previous = list(loop)
    for ring in range(FOREARM_RINGS):
        current = [first + ring * n + k for k in range(n)]
        for k in range(n):
            a, b, c, d = previous[k], previous[(k + 1) % n], current[k], current[(k + 1) % n]
            faces += [(b, a, c), (b, c, d)]
        previous = current
    faces += [(previous[0], previous[k + 1], previous[k]) for k in range(1, n - 1)]
    return np.array(faces)


def smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    normal = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normal, faces[:, k], face)
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)
