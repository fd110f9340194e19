"""Training the locator leaves weights that load, says how it goes, and goes on where it stopped."""

import json

import numpy as np
import pytest

from hand.errors import UserError
from runtime.estimators.locator import load_locator
from runtime.networks.weights import load_tensors
from tools.train.locator import Settings, main

SMALL = {"size": 32, "width": 8, "batch": 4, "hands": 4, "people": 2, "pool": 64, "validate": 32, "device": "cpu"}


def test_a_run_leaves_weights_log_and_checkpoint_and_is_resumed(tmp_path):
    settings = Settings(run=tmp_path / "run", minutes=1e-6, backgrounds=None, held_out_hands=4, held_out_people=2, **SMALL)
    for number in (1, 2):
        main(settings)
        weights = settings.run / "locator.safetensors"
        _, manifest = load_tensors(weights)
        assert (manifest.architecture, manifest.options, manifest.crop_size) == ("locator", {"width": 8}, 96)
        assert manifest.images_seen == 4 * number
        assert load_locator(weights)(np.zeros((48, 64, 3), np.uint8), "left") == []
        lines = [json.loads(line) for line in (settings.run / "log.jsonl").read_text().splitlines()]
        assert [line["seen"] for line in lines] == [4 * k for k in range(1, number + 1)]
        assert lines[-1]["found"] == pytest.approx(manifest.accuracy["validation_found"], abs=1e-4)


def test_scenes_that_do_not_fit_the_network_are_refused(tmp_path):
    with pytest.raises(UserError, match="multiple of 32"):
        main(Settings(run=tmp_path, size=50))
