"""Adaptation steps on a GPU give the figures of a CPU."""

import numpy as np
import pytest
import torch

from adapt.core.crop_pairs import CropPairs
from adapt.core.mean_teacher import MeanTeacher
from adapt.core.targets import FAITHFUL, Recipe
from capture.views import PerView
from runtime.networks.weights import DEFAULT_WEIGHTS, load_network

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]


@pytest.mark.parametrize("recipe", [Recipe(), FAITHFUL], ids=["ours", "faithful"])
def test_a_step_gives_the_same_figures_on_cpu_and_gpu(recipe):
    network, manifest = load_network(DEFAULT_WEIGHTS)
    random = torch.Generator().manual_seed(0)
    shape = (8, manifest.crop_size, manifest.crop_size, 3)
    images = PerView.of(lambda view: torch.randint(0, 256, shape, dtype=torch.uint8, generator=random))
    turns = PerView.of(lambda view: torch.eye(3, dtype=torch.float64).expand(8, 3, 3))
    pairs = CropPairs(images, turns, torch.arange(8) % 2 > 0)
    there, here = (MeanTeacher(network, manifest, recipe, np.eye(3), device) for device in ("cuda", "cpu"))
    on_gpu, on_cpu = there.step(pairs), here.step(pairs)
    assert on_gpu.loss == pytest.approx(on_cpu.loss, rel=0.02) and on_gpu.apart == pytest.approx(on_cpu.apart, rel=0.02)
    assert there.R_right_from_left is not None and np.isfinite(there.initialize_rotation(pairs))
