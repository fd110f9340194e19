"""Training of MediaPipe 3D's own layers learns, leaves weights that load, and goes on where it was broken off."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hand.errors import UserError
from runtime.networks.mediapipe_3d import MediaPipe3D
from runtime.networks.mediapipe_landmarks import INPUT_PX
from runtime.networks.weights import Manifest, load_network
from tests.runtime.hands import flexed_hand
from tools.train.frozen_bank import load_shards
from tools.train.landmark_losses import joint_errors
from tools.train.mediapipe_3d import OWN, Run, Settings


def untaught() -> tuple[MediaPipe3D, Manifest]:
    """A network that saw nothing yet, which takes everything for a hand."""
    torch.manual_seed(0)
    network = MediaPipe3D(hidden=16)
    with torch.no_grad():
        network.presence.bias.fill_(9.0)
        # Hands of some size wherever they are, since a network that learns from nothing begins with none.
        network.world.bias.copy_(torch.from_numpy(flexed_hand()).flatten())
        network.screen.bias.copy_(torch.from_numpy(flexed_hand()).flatten() * 50)
    manifest = Manifest(
        architecture="mediapipe-3d",
        root=0,
        crop_size=INPUT_PX,
        axes="crop",
        upright=True,
        options={"hidden": 16},
        training_data="",
    )
    return network, manifest


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three pictures with labels, as far as training reads them."""
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    lines = []
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), random.integers(256, size=(90, 80, 3), dtype=np.uint8))
        pixels = flexed_hand()[:, :2] * 20 + 45
        lines.append(json.dumps({"file": f"{number}.png", "keypoints_px": pixels.tolist(), "right": 0.1, "presence": 1.0}))
    (folder / "labels.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> Settings:
    """A whole short run."""
    settings = Settings(
        tmp_path_factory.mktemp("runs") / "run",
        photographs=photographs,
        hands=3,
        doubt_hands=1,
        held_out_hands=1,
        steps=40,
        batch=4,
        photographs_batch=2,
        rate=3e-3,
        backgrounds=None,
        device="cpu",
        seed=3,
    )
    Run(settings, untaught()).train()
    return settings


def with_shards_of(finished: Settings, run: Path, **others: object) -> Settings:
    """A run that need not draw."""
    run.mkdir()
    for name in ("drawn", "photographs", "doubt", "held_out"):
        shutil.copytree(finished.run / name, run / name)
    return replace(finished, run=run, **others)


def test_it_learns_and_leaves_weights_and_figures(finished):
    lines = [json.loads(line) for line in (finished.run / "log.jsonl").read_text().splitlines()]
    figures = lines[-1]
    network, manifest = load_network(finished.run / "weights.safetensors")
    drawn = load_shards([finished.run / "drawn" / "00000.safetensors"])
    assert isinstance(network.network, MediaPipe3D)
    with torch.inference_mode():
        before, after = (
            joint_errors(one.read(one.features_of(drawn.fixed.float())), drawn).mean() for one in (untaught()[0], network.network)
        )
    assert after < 0.9 * before
    assert network(torch.zeros(1, INPUT_PX, INPUT_PX, 3, dtype=torch.uint8)).joints.isfinite().all()
    assert manifest.accuracy == {name: figures[name] for name in manifest.accuracy} and manifest.accuracy["held_mono_mm"] > 0
    assert manifest.images_seen == 40 * 6 and "6 crops of photographs" in manifest.training_data


def test_only_own_layers_and_the_expected_error_learn(finished):
    before, after = untaught()[0].state_dict(), load_network(finished.run / "weights.safetensors")[0].network.state_dict()
    changed = {name.split(".")[0] for name in before if not torch.allclose(before[name], after[name], atol=1e-3, rtol=1e-3)}
    assert changed == {*OWN, "expected_error"}


def test_a_run_that_was_broken_off_ends_with_the_same_weights(finished, tmp_path):
    settings = with_shards_of(finished, tmp_path / "again")

    class BrokenOffError(Exception):
        pass

    class Stumbling(Run):
        def _learn(self, step, *others):
            if step == 17:
                raise BrokenOffError
            return super()._learn(step, *others)

    stumbling = Stumbling(replace(settings, save_minutes=0.0), untaught())
    with pytest.raises(BrokenOffError):
        stumbling.train()
    resumed = Run(settings, untaught())
    assert resumed.step == 17
    resumed.train()
    one, other = (load_file(run / "weights.safetensors") for run in (finished.run, settings.run))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_another_seed_gives_other_weights(finished, tmp_path):
    settings = with_shards_of(finished, tmp_path / "other", seed=4, steps=2)
    Run(settings, untaught()).train()
    one, other = (load_network(run / "weights.safetensors")[1].sha256 for run in (finished.run, settings.run))
    assert one != other


def test_shards_that_are_damaged_or_of_other_options_and_folders_without_photographs_are_named(finished, tmp_path):
    settings = with_shards_of(finished, tmp_path / "damaged")
    shard = settings.run / "drawn" / "00000.safetensors"
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(UserError, match="00000.safetensors is not a whole shard"):
        Run(settings, untaught()).train()
    with pytest.raises(UserError, match="doubt is of 1 hands, this run of 2: give the options that it was begun with"):
        Run(replace(with_shards_of(finished, tmp_path / "more"), doubt_hands=2), untaught()).train()
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match=r"holds no photographs with labels\.jsonl"):
        Run(replace(settings, photographs=tmp_path / "none"), untaught())
    (tmp_path / "none" / "labels.jsonl").write_text('{"file": "a.png", "keypoints_px": [[1, 2]], "right": 1}')
    with pytest.raises(UserError, match=r"labels\.jsonl, line 1: keypoints_px has the shape \(1, 2\)"):
        Run(replace(settings, photographs=tmp_path / "none"), untaught())
