"""Pseudo-labels agree through R, lie between merged and refined, and become the published targets."""

import numpy as np
import pytest
import torch

from adapt.core.batch_rotation import angle_deg, batch_rotation, rot
from adapt.core.refinement import refine
from adapt.core.targets import (
    FAITHFUL,
    GeometryLabelBatch,
    Recipe,
    TwoViewPredictions,
    delta_target,
    heat_target,
    location_target,
    pseudo_labels,
)
from capture.views import VIEWS, PerView
from tests.adapt.s2dhand_batch import ROOTS, Batch
from tests.runtime.hands import moving_hand, random_rotation

RECIPES = pytest.mark.parametrize("recipe", [Recipe(), FAITHFUL], ids=["ours", "faithful"])
ALL = PerView(torch.ones(6, 21, dtype=torch.bool), torch.ones(6, 21, dtype=torch.bool))


def hands(rng: np.random.Generator, noise: float) -> tuple[TwoViewPredictions, torch.Tensor]:
    """Six hands, each view with a root and a scale of its own."""
    R, truth = random_rotation(rng), moving_hand(rng, 6)
    confidence = PerView.of(lambda view: torch.from_numpy(rng.uniform(0.2, 1, (6, 21))))

    def seen(turned: np.ndarray) -> torch.Tensor:
        own = (turned + rng.normal(0, noise, turned.shape)) * rng.uniform(0.8, 1.3, (6, 1, 1))
        return torch.from_numpy(own + rng.normal(0, 0.2, (6, 1, 3)))

    return TwoViewPredictions(PerView(seen(truth), seen(truth @ R.T)), confidence, ALL), torch.from_numpy(R)


@RECIPES
@pytest.mark.parametrize("root", ROOTS)
def test_views_that_agree_are_left_as_they_are(recipe, root):
    seen, R = hands(np.random.default_rng(0), 0.0)
    labels = pseudo_labels(seen, R, root, recipe)
    for view in VIEWS:
        torch.testing.assert_close(labels.joints[view], seen.joints[view])
    assert labels.apart < 1e-9


@RECIPES
def test_pseudo_labels_bring_the_views_together(recipe):
    seen, R = hands(np.random.default_rng(1), 0.1)
    labels = pseudo_labels(seen, R, 0, recipe)
    again = pseudo_labels(TwoViewPredictions(labels.joints, seen.confidence, ALL), R, 0, recipe)
    assert again.apart < 0.5 * labels.apart


@pytest.mark.parametrize("root", ROOTS)
def test_pseudo_labels_are_the_published_ones_but_for_the_refinement(root):
    batch = Batch.load()
    labels = pseudo_labels(batch.seen, batch.R, root, FAITHFUL)
    ours = refine(batch.rooted(root), batch.R, batch.both)
    theirs, expected = batch.views(f"root{root}_refined"), batch.views(f"root{root}_pseudo")
    left, right = batch.views("joints").map(lambda x: (x[:, 9] - x[:, 0]).norm(dim=-1)[:, None, None])
    scale = PerView(torch.ones_like(left), right / left)
    for view in VIEWS:
        swapped = labels.joints[view] + 0.3 * (theirs[view] - ours[view]) * scale[view]
        torch.testing.assert_close(swapped, expected[view], atol=1e-9, rtol=0)


@pytest.mark.parametrize("root", ROOTS)
def test_targets_are_the_published_ones(root):
    batch = Batch.load()
    pseudo = batch[f"root{root}_pseudo_1"]
    torch.testing.assert_close(location_target(pseudo, root), batch[f"root{root}_location_target_1"], atol=1e-9, rtol=0)
    torch.testing.assert_close(delta_target(pseudo), batch[f"root{root}_delta_target_1"], atol=1e-9, rtol=0)


def test_pseudo_labels_cannot_tell_the_rotation_that_made_them():
    """Why ours takes the rotation from the predictions: here R is 30° wrong, and the labels say that it is right."""
    rng = np.random.default_rng(2)
    seen, R = hands(rng, 0.05)
    wrong = R @ torch.linalg.matrix_exp(torch.tensor([[0, -1, 0], [1, 0, 0], [0, 0, 0]], dtype=torch.float64) * np.radians(30))
    labels = pseudo_labels(seen, wrong, 0, FAITHFUL)
    told = rot(labels.joints.map(lambda x: x - x[:, :1]), labels.weight)
    assert angle_deg(told, wrong).max() < 2
    assert angle_deg(batch_rotation(labels.rooted, labels.weight), R) < 5


def test_heat_lies_where_its_joint_is_and_leaves_with_it():
    pixels = torch.tensor([[[3.5, 3.5], [19.5, 11.5], [13.0, 18.0], [-40.0, 16.0]]])
    heat = heat_target(pixels, 8, 32, 0.8)
    assert heat.shape == (1, 4, 8, 8) and heat.max() <= 1
    cells = torch.arange(8.0)
    for joint in (1, 2):
        share = heat[0, joint] / heat[0, joint].sum()
        place = torch.stack([(share.sum(0) * cells).sum(), (share.sum(1) * cells).sum()])
        torch.testing.assert_close((place + 0.5) * 4 - 0.5, pixels[0, joint], atol=0.3, rtol=0)
    assert heat[0, 3].max() < 1e-6
    # In a cell's middle the peak is 1.
    assert heat_target(torch.tensor([[[8.5, 4.5]]]), 16, 32, 0.8)[0, 0, 2, 4] == 1


def test_rows_of_labels_keep_their_order():
    random = torch.Generator().manual_seed(0)
    shapes = ((5, 21, 3), (5, 21, 2), (5, 21))
    taught, rows = GeometryLabelBatch(*(torch.rand(shape, generator=random) for shape in shapes)), torch.tensor([4, 0, 4])
    picked = taught.rows(rows).to(torch.device("cpu"))
    for name in ("joints", "pixels", "weight"):
        assert torch.equal(getattr(picked, name), torch.stack([getattr(taught, name)[number] for number in (4, 0, 4)]))
