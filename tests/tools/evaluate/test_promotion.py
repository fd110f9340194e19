"""The report on the promotion gate counts right and wrong decisions, and each variant harms as its name says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from adapt.core.crop_pairs import CropPairs
from adapt.core.targets import GeometryLabelBatch
from adapt.core.training_samples import TrainingSet
from adapt.online.validation import ValidationMetrics
from capture.views import PerView
from hand.rotations import angle_deg
from tests.adapt.recordings import GEOMETRY
from tools.evaluate.promotion import Row, Settings, report
from tools.evaluate.promotion_scenes import perturbed
from tools.evaluate.promotion_variants import variants

USUAL = ValidationMetrics(0.2, 0.12, 0.04, 0.03, 0.12, 0.0, 0.33, 0.25, 0.5)


def row(change_mm: float, better: bool, depth: float) -> Row:
    return Row(0, "s2dhand", False, 4, 25.0, 25.0 + change_mm, better, "depth", USUAL, replace(USUAL, depth=depth))


def test_decisions_are_counted_by_what_is_true():
    rows = [row(-3, True, 0.09), row(-1, False, 0.119), row(2, True, 0.13), row(5, False, 0.2), row(6, False, 0.3)]
    told = report(rows)
    assert "5 candidates: 1 better and taken, 1 worse and taken, 1 better and left, 2 worse and left" in told
    assert "the worst that was taken is 2.00 mm worse" in told
    assert next(line for line in told.splitlines() if line.split()[:1] == ["depth"]).endswith("+1.00")


def test_where_nothing_worse_was_taken_no_worst_is_told():
    assert "the worst that was taken" not in report([row(-3, True, 0.09), row(5, False, 0.2)])


@pytest.fixture
def samples() -> TrainingSet:
    """Ten hands whose numbers are in their pictures and labels."""
    images = torch.arange(10, dtype=torch.uint8)[:, None, None, None].expand(10, 8, 8, 3)
    taught = GeometryLabelBatch(torch.arange(10.0)[:, None, None].expand(10, 21, 3), torch.zeros(10, 21, 2), torch.ones(10, 21))
    turns = PerView.of(lambda view: torch.eye(3).expand(10, 3, 3))
    return TrainingSet(CropPairs(PerView(images, images), turns, torch.zeros(10, dtype=torch.bool)), PerView(taught, taught), [])


def test_variants_harm_as_their_names_say(samples: TrainingSet):
    rng, done = np.random.default_rng(0), {variant.name: variant for variant in variants(samples)}
    shuffled = done["shuffled pairs"].change(samples, rng)
    assert not (shuffled.pairs.images.right == samples.pairs.images.left).any()
    assert torch.equal(shuffled.pairs.images.left, samples.pairs.images.left)
    dark = done["one camera covered"].change(samples, rng)
    assert int(dark.pairs.images.right.max()) < 12 and torch.equal(dark.pairs.images.left, samples.pairs.images.left)
    still = done["one hand still"].change(samples, rng)
    assert len(still.pairs.images.left.unique()) == 1
    deep = done["teacher too deep"].change(samples, rng)
    assert torch.equal(deep.labels.left.joints[..., :2], samples.labels.left.joints[..., :2])
    assert not torch.equal(deep.labels.left.joints[..., 2], samples.labels.left.joints[..., 2])
    assert done["rotation 30 deg wrong"].turned_deg == 30 and not done["both"].harms
    assert Settings().steps == tuple(sorted(Settings().steps))


def test_cameras_are_as_far_off_as_self_calibration_leaves_them():
    rng = np.random.default_rng(0)
    off = [float(angle_deg(perturbed(GEOMETRY, rng).R_right_from_left, GEOMETRY.R_right_from_left)) for _ in range(200)]
    assert 0.6 < np.median(off) < 1.4 and max(off) < 4
