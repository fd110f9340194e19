"""Rotations, named destination_from_source, acting on column vectors; every result has determinant +1.

Sets of row points turn by `points @ R.T`.
"""

import math

import numpy as np


def project_to_rotation(matrix: np.ndarray) -> np.ndarray:
    """The rotation nearest to `matrix` (..., 3, 3) in the Frobenius norm: U diag(1, 1, det(U Vᵀ)) Vᵀ."""
    if np.ndim(matrix) == 2:
        import cv2

        # Several times as quick for a single matrix, of which each pair of frames needs a few.
        _, u, vt = cv2.SVDecomp(np.asarray(matrix, float))
        if cv2.determinant(u) * cv2.determinant(vt) < 0:
            u[:, 2] *= -1
        return u @ vt
    u, _, vt = np.linalg.svd(matrix)
    sign = np.linalg.det(u @ vt)
    u = u.copy()
    u[..., :, 2] *= sign[..., None]
    return u @ vt


def correlation(source: np.ndarray, destination: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """M = Σ w_j destination_j source_jᵀ, (..., 3, 3), from points (..., J, 3) and weights (..., J)."""
    if weight is not None:
        destination = destination * weight[..., None]
    return np.swapaxes(destination, -1, -2) @ source


def align(source: np.ndarray, destination: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """R_destination_from_source that minimises Σ w_j ‖R source_j − destination_j‖² over rotations (Kabsch 1976).

    Points (..., J, 3), weights (..., J); no translation is removed. The determinant is always +1: without it a flat,
    noisy hand gives a reflection about half of the time.
    """
    return project_to_rotation(correlation(source, destination, weight))


def angle_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Geodesic distance in degrees between rotations (..., 3, 3), accurate at small angles too."""
    # The Frobenius distance is 2√2 sin(angle/2); acos of the trace loses half of the digits near zero.
    distance = np.linalg.norm(np.asarray(a) - np.asarray(b), axis=(-2, -1))
    return np.degrees(2 * np.arcsin(np.clip(distance / (2 * np.sqrt(2)), 0, 1)))


def from_vector(vector: np.ndarray) -> np.ndarray:
    """Rotation (..., 3, 3) by |vector| radians about `vector` (..., 3) (Rodrigues' formula)."""
    vector = np.asarray(vector, float)
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    k = skew(vector)
    # sinc-like factors stay finite at zero
    a = np.sinc(angle / np.pi)
    b = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    return np.eye(3) + a * k + b * (k @ k)


def to_vector(rotation: np.ndarray) -> np.ndarray:
    """The vector (3,) with `from_vector(vector) == rotation` (3, 3) and a length of at most π; angles up to 1e-5 rad give 0."""
    import cv2

    return cv2.Rodrigues(np.asarray(rotation, float))[0][:, 0]


def to_quaternion(rotation: np.ndarray) -> np.ndarray:
    """(..., 4) unit quaternions (w, x, y, z), w ≥ 0, of rotations (..., 3, 3).

    Of the four ways to read one, that with the largest component (Shepperd 1978).
    """
    m = np.asarray(rotation, float)
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    rows = np.stack(
        [
            np.stack([1 + xx + yy + zz, a, b, c], -1),
            np.stack([a, 1 + xx - yy - zz, d, e], -1),
            np.stack([b, d, 1 - xx + yy - zz, f], -1),
            np.stack([c, e, f, 1 - xx - yy + zz], -1),
        ],
        -2,
    )
    best = np.argmax(np.diagonal(rows, axis1=-2, axis2=-1), -1)
    quaternion = np.take_along_axis(rows, best[..., None, None], -2)[..., 0, :]
    quaternion = quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True)
    return np.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def from_quaternion(quaternion: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) of unit quaternions (..., 4), (w, x, y, z)."""
    w, x, y, z = np.moveaxis(np.asarray(quaternion, float), -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, -1) for row in rows], -2)


def skew(vector: np.ndarray) -> np.ndarray:
    """(..., 3, 3) matrix K with K x = vector × x."""
    x, y, z = np.moveaxis(np.asarray(vector, float), -1, 0)
    zero = np.zeros_like(x)
    return np.stack([np.stack(r, -1) for r in ((zero, -z, y), (z, zero, -x), (-y, x, zero))], -2)


def between(source: np.ndarray, destination: np.ndarray) -> np.ndarray:
    """The smallest rotation (3, 3) that turns direction `source` (3,) into direction `destination` (3,)."""
    # In plain numbers: of three of them, arrays would take ten times as long, and every crop asks.
    ax, ay, az = _direction(source)
    bx, by, bz = _direction(destination)
    x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    cosine, squared = ax * bx + ay * by + az * bz, x * x + y * y + z * z
    if cosine < 0 and squared < 1e-16:
        # opposite: half a turn about any perpendicular axis
        a = np.array([ax, ay, az])
        other = np.eye(3)[np.argmin(np.abs(a))]
        axis = np.cross(a, other)
        return from_vector(np.pi * axis / np.linalg.norm(axis))
    # One factor, written twice: 1 + cosine loses its digits near half a turn, the axis' length near no turn.
    f = 1 / (1 + cosine) if cosine > 0 else (1 - cosine) / squared
    return np.array(
        [
            [1 - f * (y * y + z * z), f * x * y - z, f * x * z + y],
            [f * x * y + z, 1 - f * (x * x + z * z), f * y * z - x],
            [f * x * z - y, f * y * z + x, 1 - f * (x * x + y * y)],
        ]
    )


def _direction(vector: np.ndarray) -> tuple[float, float, float]:
    """`vector` (3,) of length 1."""
    x, y, z = np.asarray(vector, float).tolist()
    length = math.sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length
