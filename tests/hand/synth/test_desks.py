"""Geometry of desks and of the objects on them."""

import torch

from hand.synth.desks import OBJECTS, PRESENT, TILES, desk_faces, object_colour, sample_desks

HEIGHTS = torch.linspace(0.1, 0.3, 64)


def test_objects_are_closed_meshes_that_face_outwards():
    _, faces = desk_faces(torch.device("cpu"))
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()
    directed = {(a, b) for a, b in edges}
    assert len(directed) == len(edges)
    assert directed == {(b, a) for a, b in directed}
    _, objects = sample_desks(HEIGHTS, torch.Generator().manual_seed(0))
    a, b, c = (objects[:, faces[:, k]] for k in range(3))
    volume = (torch.linalg.cross(a, b) * c).sum(-1).unflatten(1, (OBJECTS, -1)).sum(2)
    there = objects.abs().amax((1, 2)) > 0
    assert (volume[there] > 0).all()


def test_a_desk_is_a_horizontal_sheet_facing_up_with_objects_on_it():
    sheet, objects = sample_desks(HEIGHTS, torch.Generator().manual_seed(0))
    faces, _ = desk_faces(torch.device("cpu"))
    assert sheet.shape[1] == (TILES + 1) ** 2 == faces.max() + 1
    there = sheet.abs().amax((1, 2)) > 0
    assert 0.3 < there.float().mean() < 0.9 and abs(there.float().mean() - PRESENT) < 0.25
    torch.testing.assert_close(sheet[there, :, 2], HEIGHTS[there, None].expand(-1, sheet.shape[1]))
    a, b, c = (sheet[there][:, faces[:, k]] for k in range(3))
    assert (torch.linalg.cross(b - a, c - a)[..., 2] > 0).all()
    torch.testing.assert_close(objects[there, :, 2].amin(1), HEIGHTS[there])
    assert not objects[~there].any()


def test_only_the_first_object_has_keys_on_top():
    colours = torch.zeros(1, OBJECTS, 2, 3)
    colours[:, :, 1] = 1
    faces = torch.arange(12 * OBJECTS)
    weights = torch.tensor([[0.01, 0.98, 0.01]]).expand(len(faces), -1)
    printed = object_colour(colours, torch.zeros(len(faces), dtype=torch.long), faces, weights)[:, 0]
    assert printed.nonzero()[:, 0].tolist() == [0, 1]
