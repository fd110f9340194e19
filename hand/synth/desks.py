"""Desks in front of people, with objects on them: a sheet and boxes of triangles. Axes as in `hand.synth.people`, metres."""

import torch

TILES = 10
"""Along each side of a desk; a tile with a corner behind the camera is not rendered."""
OBJECTS = 4
PRESENT = 0.6
"""Share of people with a desk."""
_BOX = (
    (1, 5, 7), (1, 7, 3), (0, 2, 6), (0, 6, 4), (0, 4, 5), (0, 5, 1),
    (2, 3, 7), (2, 7, 6), (0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5),
)  # fmt: skip
"""Triangles of a box whose corners are numbered by x, y, z; the top comes first."""


def desk_faces(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Triangles of the sheet and of all objects, each with indices from their own first vertex."""
    row, column = torch.meshgrid(torch.arange(TILES), torch.arange(TILES), indexing="ij")
    a = (row * (TILES + 1) + column).flatten()
    b, c, d = a + 1, a + TILES + 1, a + TILES + 2
    sheet = torch.cat([torch.stack([a, c, b], 1), torch.stack([b, c, d], 1)])
    objects = torch.cat([torch.tensor(_BOX) + 8 * number for number in range(OBJECTS)])
    return sheet.to(device), objects.to(device)


def sample_desks(heights: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Vertices (N, ·, 3) of desks of these `heights` (N,), and of the objects on them; a single point where there is no desk."""
    n, device = len(heights), heights.device

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator, device=device)

    exists = (uniform(0, 1, 1, 1) < PRESENT).float()
    span = torch.linspace(0, 1, TILES + 1, device=device)
    along, across = torch.meshgrid(span, span, indexing="ij")
    x = (across.flatten() - 0.5) * uniform(0.9, 1.8, 1)
    y = uniform(-0.28, -0.16, 1) - along.flatten() * uniform(0.5, 1.0, 1)
    sheet = torch.stack([x, y, heights[:, None].expand_as(x)], -1)
    # Sizes from a pen to a screen that lies on its back.
    size = torch.tensor([0.05, 0.04, 0.002], device=device) * torch.tensor([9.0, 6.0, 40.0], device=device) ** uniform(
        0, 1, OBJECTS, 3
    )
    sides, top = torch.tensor([-0.5, 0.5], device=device), torch.tensor([0.0, 1.0], device=device)
    box = torch.cartesian_prod(sides, sides, top) * size[:, :, None]
    angle = torch.randn(n, OBJECTS, generator=generator, device=device) * 0.5
    cos, sin = angle.cos()[..., None], angle.sin()[..., None]
    box = torch.stack([cos * box[..., 0] - sin * box[..., 1], sin * box[..., 0] + cos * box[..., 1], box[..., 2]], -1)
    centre = torch.stack([uniform(-0.45, 0.45, OBJECTS), uniform(-0.9, -0.3, OBJECTS), heights[:, None].expand(-1, OBJECTS)], -1)
    objects = (box + centre[:, :, None]).flatten(1, 2)
    return sheet * exists, objects * exists


def object_colour(colours: torch.Tensor, image: torch.Tensor, face: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Albedo (K, 3) of objects at barycentric `weights` (K, 3) of `face` (K,), numbered over all objects; the first has keys.

    `colours` (N, OBJECTS, 2, 3), two for each object; `image` (K,) index of the desk.
    """
    number, side = face // len(_BOX), face % len(_BOX)
    keys = (weights[:, 0] * 14 % 1 < 0.75) & (weights[:, 2] * 6 % 1 < 0.75) & (number == 0) & (side < 2)
    return colours[image, number, keys.long()]
