"""Training on a GPU: rendering, saving and resuming."""

import pytest
import torch

from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer
from runtime.engines.torch_engine import TorchEngine
from runtime.networks.weights import load_network
from tools.train.network import Settings, main

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]


def test_hands_rendered_on_the_gpu_are_valid():
    crops = CropRenderer(64, Backgrounds.load(None, "train", "cuda"), 3, "cuda").render(64, 0.1, 0.1)
    assert crops.images.shape == (64, 64, 64, 3) and crops.images.is_cuda
    assert crops.images.float().std() > 20
    torch.testing.assert_close(crops.joints[:, 9].norm(dim=-1), torch.ones(64, device="cuda"))
    again = CropRenderer(64, Backgrounds.load(None, "train", "cuda"), 3, "cuda").render(64, 0.1, 0.1)
    # Sums of normals come in any order there, so a few pixels may round differently.
    assert (crops.images.float() - again.images.float()).abs().mean() < 0.1


@pytest.mark.parametrize("architecture", ["detnet-lite", "detnet"])
def test_a_run_on_the_gpu_is_saved_and_resumed(tmp_path, architecture):
    size = 64 if architecture == "detnet-lite" else 128
    settings = Settings(
        run=tmp_path,
        architecture=architecture,
        minutes=0.05,
        crop_size=size,
        batch=32,
        backgrounds=None,
        validate=32,
        device="cuda",
    )
    seen = []
    for _ in range(2):
        main(settings)
        network, manifest = load_network(tmp_path / "weights.safetensors")
        seen.append(manifest.images_seen)
    assert 0 < seen[0] < seen[1]
    engine = TorchEngine(network, manifest)
    assert engine.description == "torch on cuda"
    hands = engine(CropRenderer(size, Backgrounds.load(None, "held_out"), 5).render(2).images.numpy())
    assert hands.joints.shape == (2, 21, 3) and abs(hands.joints).max() < 20
