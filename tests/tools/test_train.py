"""Training leaves weights that load, says how it goes, and goes on where it stopped."""

import json
import multiprocessing

import pytest
import torch

from hand.errors import UserError
from runtime.weights import load_network
from tools.train import Settings, learning_rate, train

SIZE = 32


def test_the_rate_rises_to_its_peak_and_falls_to_nothing():
    rates = [learning_rate(2.0, k / 1000) for k in range(1001)]
    peak = rates.index(max(rates))
    assert 1.99 < max(rates) <= 2.0 and 5 <= peak <= 20
    assert rates[0] < 0.1 and rates[-1] < 0.01
    assert rates[:peak] == sorted(rates[:peak]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    assert learning_rate(2.0, 1.5) == rates[-1]


def test_a_run_leaves_weights_log_and_checkpoint_and_is_resumed(tmp_path):
    settings = Settings(
        run=tmp_path / "run", minutes=1e-4, crop_size=SIZE, batch=8, backgrounds=None, validate=8, device="cpu", seed=5
    )
    # Drawing takes longer than this, so each run ends after one step.
    for number in (1, 2):
        train(settings)
        network, manifest = load_network(settings.run / "weights.safetensors")
        assert (manifest.architecture, manifest.crop_size, manifest.map_size) == ("detnet-lite", SIZE, SIZE // 8)
        assert manifest.images_seen == 8 * number
        assert network(torch.zeros(1, SIZE, SIZE, 3, dtype=torch.uint8)).joints.isfinite().all()
        lines = [json.loads(line) for line in (settings.run / "log.jsonl").read_text().splitlines()]
        assert [line["seen"] for line in lines] == [8 * k for k in range(1, number + 1)]
        assert lines[-1]["3d_mm"] == pytest.approx(manifest.accuracy["validation_3d_mm"])
        assert (settings.run / "checkpoint").is_dir()
        assert not multiprocessing.active_children(), "the drawing process outlived its run"


def test_a_run_without_its_bank_of_backgrounds_says_so(tmp_path):
    with pytest.raises(UserError, match="python -m tools.backgrounds"):
        train(Settings(run=tmp_path, backgrounds=tmp_path / "none.safetensors", crop_size=SIZE, device="cpu"))
