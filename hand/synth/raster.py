"""Triangle rasterisation in torch: exact, batched, deterministic, on CPU and GPU alike.

Hand triangles are about a pixel in size, so every pixel centre inside a triangle's bounding box is a candidate; candidates are
tested against the triangle's edges, and the nearest wins by a scatter-min over (depth, face) keys.
"""

from dataclasses import dataclass
from functools import reduce

import torch

_DEPTH_STEPS = 1 << 24
"""Depth resolution of a key, per unit of length."""
_EMPTY = torch.iinfo(torch.int64).max


@dataclass(frozen=True, slots=True)
class Fragments:
    """The K pixels that a mesh covers in N images of one size."""

    cell: torch.Tensor
    """(K,) flat index into (N, H, W)."""
    image: torch.Tensor
    """(K,) index of the image."""
    face: torch.Tensor
    """(K,) index of the triangle."""
    weights: torch.Tensor
    """(K, 3) perspective-correct barycentric weights."""
    depth: torch.Tensor
    """(K,) distance along the camera's z axis."""
    coverage: torch.Tensor
    """(K,) share of the pixel that the mesh covers."""
    shape: tuple[int, int, int]
    """(N, H, W)."""

    def interpolate(self, attribute: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        """(K, C) values of a vertex attribute, (V, C) shared or (N, V, C) per image."""
        corners = faces[self.face]
        values = attribute[corners] if attribute.ndim == 2 else attribute[self.image[:, None], corners]
        return (values * self.weights[..., None]).sum(1)

    def dense(self, values: torch.Tensor, fill: float = 0.0) -> torch.Tensor:
        """(N, H, W, C) image of per-fragment `values` (K, C), `fill` where nothing is covered."""
        out = values.new_full((self.shape[0] * self.shape[1] * self.shape[2], values.shape[1]), fill)
        out[self.cell] = values
        return out.view(*self.shape, values.shape[1])


def rasterise(
    pixels: torch.Tensor, depth: torch.Tensor, faces: torch.Tensor, size: tuple[int, int], samples: int = 1
) -> Fragments:
    """Rasterise N meshes.

    Each pixel is tested at samples² points: a pixel with any of them covered is a fragment, of the nearest triangle.

    `pixels` (N, V, 2) vertices in the image, pixel (0, 0) is the centre of the top left one; `depth` (N, V) their z, positive
    in front of the camera; `faces` (F, 3), F < 65,536, counter-clockwise from outside, back faces are
    culled; `size` (height, width). A triangle with a vertex at depth ≤ 0.05 is culled.
    """
    n, count = len(pixels), len(faces)
    height, width = (side * samples for side in size)
    fine = (pixels + 0.5) * samples - 0.5
    corner = torch.cat([fine, 1 / depth.clamp_min(1e-6)[..., None]], -1)[:, faces].flatten(0, 1)
    best = _nearest(corner, (n, count, height, width))
    blocks = best.view(n, size[0], samples, size[1], samples)
    points = [blocks[:, :, row, :, column].flatten() for row in range(samples) for column in range(samples)]
    covered = torch.stack([point != _EMPTY for point in points]).float().mean(0)
    best = reduce(torch.minimum, points)

    cell = (best != _EMPTY).nonzero()[:, 0]
    face = best[cell] & 0xFFFF
    height, width = size
    image = cell // (height * width)
    spot = cell % (height * width)
    a, b, c = corner[image * count + face].unbind(1)
    ab, ac = b - a, c - a
    inverse = 1 / (ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0])
    middle = (samples - 1) / 2
    dx = spot % width * samples + middle - a[:, 0]
    dy = spot.div(width, rounding_mode="floor") * samples + middle - a[:, 1]
    u, v = (ac[:, 1] * dx - ac[:, 0] * dy) * inverse, (ab[:, 0] * dy - ab[:, 1] * dx) * inverse
    # At a silhouette the pixel's centre may be outside the triangle: the nearest point is used.
    flat = torch.stack([1 - u - v, u, v], 1).clamp_min(0)
    flat = flat / flat.sum(1, keepdim=True) * torch.stack([a[:, 2], b[:, 2], c[:, 2]], 1)
    inverse_z = flat.sum(1)
    return Fragments(cell, image, face, flat / inverse_z[:, None], 1 / inverse_z, covered[cell], (n, height, width))


def _nearest(corner: torch.Tensor, shape: tuple[int, int, int, int]) -> torch.Tensor:
    """(N·H·W,) the least key, depth above face, at each pixel centre; `corner` (N·F, 3, 3) of x, y, 1/z; `shape` (N, F, H, W)."""
    n, count, height, width = shape
    a, b, c = corner.unbind(1)
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    near = torch.maximum(torch.maximum(a[:, 2], b[:, 2]), c[:, 2]) < 20
    # Outward normals face the camera where the image area, y downwards, is negative.
    kept = ((area < -1e-9) & near).nonzero()[:, 0]
    a, b, c = a[kept], b[kept], c[kept]
    low = torch.minimum(torch.minimum(a[:, :2], b[:, :2]), c[:, :2]).ceil().clamp_min(0)
    high = torch.maximum(torch.maximum(a[:, :2], b[:, :2]), c[:, :2]).floor()
    high = torch.minimum(high, corner.new_tensor([width - 1, height - 1]))
    extent = (high - low + 1).clamp(0, max(height, width))
    candidates = (extent[:, 0] * extent[:, 1]).long()
    some = candidates.nonzero()[:, 0]
    kept, candidates, low, extent = kept[some], candidates[some], low[some], extent[some]
    a = a[some]
    ab, ac = b[some] - a, c[some] - a

    # All that a candidate needs of its triangle in one row, for a single gather.
    scale = 1 / area[kept, None]
    edges = torch.cat([ac[:, 1:2], -ac[:, :1], -ab[:, 1:2], ab[:, :1]], 1) * scale
    row = torch.cat([low - a[:, :2], extent[:, :1], edges, a[:, 2:], ab[:, 2:], ac[:, 2:]], 1)
    origin = (kept // count) * (height * width) + low[:, 1].long() * width + low[:, 0].long()
    owner = torch.repeat_interleave(candidates)
    step = torch.arange(len(owner), device=owner.device) - (candidates.cumsum(0) - candidates)[owner]
    row = row[owner].unbind(1)
    wide = row[2].long()
    down = step.div(wide, rounding_mode="floor")
    across = step - down * wide
    dx, dy = row[0] + across, row[1] + down
    u, v = row[3] * dx + row[4] * dy, row[5] * dx + row[6] * dy
    inside = ((u >= 0) & (v >= 0) & (u + v <= 1)).nonzero()[:, 0]

    owner = owner[inside]
    z = 1 / (row[7] + u * row[8] + v * row[9])[inside]
    key = ((z * _DEPTH_STEPS).long() << 16) | (kept[owner] % count)
    cell = origin[owner] + down[inside] * width + across[inside]
    best = torch.full((n * height * width,), _EMPTY, dtype=torch.int64, device=key.device)
    return best.scatter_reduce_(0, cell, key, "amin")


def vertex_normals(vertices: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """(N, V, 3) unit normals of (N, V, 3) vertices, weighted by area."""
    a, b, c = (vertices[:, faces[:, k]] for k in range(3))
    normal = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(vertices)
    for k in range(3):
        total.index_add_(1, faces[:, k], normal)
    return torch.nn.functional.normalize(total, dim=-1)
