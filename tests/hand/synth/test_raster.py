"""The rasteriser agrees with a reference that tests every triangle at every pixel."""

import numpy as np
import pytest
import torch

from hand.camera import PinholeCamera
from hand.synth.raster import Fragments, rasterise, vertex_normals

SIZE = (24, 32)
"""(height, width)."""


def triangles(seed: int, count: int = 40) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random intersecting triangles, some beyond the border, half of them back faces: pixels, depth, faces."""
    random = torch.Generator().manual_seed(seed)
    middle = torch.rand(count, 1, 2, generator=random).double() * torch.tensor([36.0, 28.0]) - 2
    corners = middle + torch.randn(count, 3, 2, generator=random).double() * 8
    depth = 1 + 3 * torch.rand(count, 3, generator=random).double()
    return corners.view(1, -1, 2), depth.view(1, -1), torch.arange(3 * count).view(count, 3)


def reference(pixels: np.ndarray, depth: np.ndarray, faces: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest front face (P,), −1 for none, and its depth (P,) at image points (P, 2)."""
    best, face = np.full(len(points), np.inf), np.full(len(points), -1)
    for number, corners in enumerate(faces):
        homogeneous = np.c_[pixels[corners], np.ones(3)].T
        # The image's y points down: counter-clockwise from outside is a negative area.
        if np.linalg.det(homogeneous) >= 0:
            continue
        weights = np.linalg.solve(homogeneous, np.c_[points, np.ones(len(points))].T)
        z = 1 / ((1 / depth[corners]) @ weights)
        hit = (weights >= 0).all(0) & (z < best)
        best[hit], face[hit] = z[hit], number
    return face, best


def grid(samples: int = 1) -> np.ndarray:
    """(H·W·samples², 2) sample points (x, y) in pixels, row by row of the finer image."""
    y, x = np.mgrid[0 : SIZE[0] * samples, 0 : SIZE[1] * samples]
    return (np.stack([x.ravel(), y.ravel()], 1) + 0.5) / samples - 0.5


def face_image(fragments: Fragments) -> torch.Tensor:
    return fragments.dense(fragments.face[:, None].double(), -1.0)[..., 0].long()


@pytest.mark.parametrize("seed", range(8))
def test_the_nearest_front_face_wins_at_every_pixel(seed):
    pixels, depth, faces = triangles(seed)
    fragments = rasterise(pixels, depth, faces, SIZE)
    face, z = reference(pixels[0].numpy(), depth[0].numpy(), faces.numpy(), grid())
    np.testing.assert_array_equal(face_image(fragments)[0].flatten(), face)
    np.testing.assert_allclose(fragments.dense(fragments.depth[:, None], np.inf).flatten(), z, rtol=1e-9)
    assert (face >= 0).mean() > 0.2
    assert (fragments.coverage == 1).all()


@pytest.mark.parametrize("samples", [2, 3])
def test_coverage_is_the_share_of_a_pixels_points(samples):
    pixels, depth, faces = triangles(3)
    fragments = rasterise(pixels, depth, faces, SIZE, samples)
    face, _ = reference(pixels[0].numpy(), depth[0].numpy(), faces.numpy(), grid(samples))
    share = (face >= 0).reshape(SIZE[0], samples, SIZE[1], samples).mean((1, 3))
    np.testing.assert_allclose(fragments.dense(fragments.coverage[:, None])[0, ..., 0], share, atol=1e-6)
    assert ((share > 0) & (share < 1)).any()


def test_back_faces_are_culled():
    pixels, depth, faces = triangles(0)
    front, behind = (set(rasterise(pixels, depth, f, SIZE).face.tolist()) for f in (faces, faces.flip(1)))
    assert front and behind and not front & behind


def test_triangles_too_near_to_the_camera_are_culled():
    pixels, depth, faces = triangles(0)
    depth[0, ::3] = 0.04
    assert len(rasterise(pixels, depth, faces, SIZE).cell) == 0


def test_images_of_a_batch_are_independent():
    _, _, faces = triangles(0)
    meshes = [triangles(seed)[:2] for seed in range(4)]
    together = rasterise(torch.cat([p for p, _ in meshes]), torch.cat([z for _, z in meshes]), faces, SIZE)
    for number, (pixels, depth) in enumerate(meshes):
        alone = rasterise(pixels, depth, faces, SIZE)
        mine = together.image == number
        assert torch.equal(together.face[mine], alone.face)
        assert torch.equal(together.weights[mine], alone.weights)
        assert torch.equal(together.cell[mine] - number * SIZE[0] * SIZE[1], alone.cell)


def test_interpolated_points_lie_on_their_pixels_rays():
    # Weights that are linear in the image would be wrong, the more the steeper the triangle.
    camera = PinholeCamera.from_fov(SIZE[1], SIZE[0], 60.0)
    corners = torch.tensor([[-0.8, -0.5, 1.0], [0.3, 2.5, 6.0], [1.5, -1.2, 3.0]], dtype=torch.float64)
    pixels = torch.from_numpy(camera.project(corners.numpy()))[None]
    fragments = rasterise(pixels, corners[None, :, 2], torch.tensor([[0, 1, 2]]), SIZE)
    points = fragments.interpolate(corners, torch.tensor([[0, 1, 2]]))
    spot = torch.stack([fragments.cell % SIZE[1], fragments.cell // SIZE[1]], 1)
    assert len(spot) > 100
    np.testing.assert_allclose(camera.project(points.numpy()), spot, atol=1e-9)
    torch.testing.assert_close(points[:, 2], fragments.depth)


def test_single_precision_differs_at_edges_only():
    pixels, depth, faces = triangles(1)
    exact, single = (face_image(rasterise(pixels.to(t), depth.to(t), faces, SIZE)) for t in (torch.float64, torch.float32))
    assert (exact != single).float().mean() < 0.005


def test_normals_of_a_closed_mesh_point_away_from_its_middle():
    vertices = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    faces = torch.tensor([[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]])
    torch.testing.assert_close(vertex_normals(vertices[None], faces)[0], vertices / 3**0.5)
