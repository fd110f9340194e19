"""Training leaves weights that load, says how it goes, and goes on where it stopped."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from msgspec.structs import replace

from hand.errors import UserError
from runtime.networks.weights import build_network, load_network
from tools.train import bank
from tools.train.loop import learning_rate
from tools.train.network import Run, Settings, main, with_missing_blocks

SIZE = 32


@pytest.fixture(scope="module")
def hands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank of one shard."""
    folder = tmp_path_factory.mktemp("hands")
    settings = bank.Settings(folder, shards=1, crop_size=SIZE, backgrounds=None)
    bank.save_shard(bank.render_shard(settings, 0, 40), bank.shard_file(folder, 0))
    return folder


def test_the_rate_rises_to_its_peak_and_falls_to_nothing():
    rates = [learning_rate(2.0, k / 1000) for k in range(1001)]
    peak = rates.index(max(rates))
    assert 1.99 < max(rates) <= 2.0 and 5 <= peak <= 20
    assert rates[0] < 0.1 and rates[-1] < 0.01
    assert rates[:peak] == sorted(rates[:peak]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    assert learning_rate(2.0, 1.5) == rates[-1]


def tiny(run: Path, hands: Path, **others: object) -> Settings:
    few = {"pictures": 16, "crop_size": SIZE, "batch": 8, "backgrounds": None, "validate": 8, "device": "cpu", "seed": 5}
    return Settings(run=run, bank=hands, **(few | others))  # pyright: ignore[reportArgumentType]


def test_a_run_leaves_weights_log_and_checkpoint_and_is_resumed(tmp_path, hands):
    settings = tiny(tmp_path / "run", hands)
    for number in (1, 2):
        main(settings)
        network, manifest = load_network(settings.run / "weights.safetensors")
        assert (manifest.architecture, manifest.crop_size, manifest.map_size) == ("detnet-lite", SIZE, SIZE // 8)
        assert manifest.upright and manifest.images_seen == 16 * number
        assert network(torch.zeros(1, SIZE, SIZE, 3, dtype=torch.uint8)).joints.isfinite().all()
        lines = [json.loads(line) for line in (settings.run / "log.jsonl").read_text().splitlines()]
        assert [line["seen"] for line in lines] == [16 * k for k in range(1, number + 1)]
        assert lines[-1]["3d_mm"] == pytest.approx(manifest.accuracy["validation_3d_mm"])
        assert (settings.run / "checkpoint").is_dir()


def test_the_same_bank_and_seed_give_the_same_weights(tmp_path, hands):
    sums = set()
    for name in ("first", "again"):
        main(tiny(tmp_path / name, hands))
        sums.add(load_network(tmp_path / name / "weights.safetensors")[1].sha256)
    assert len(sums) == 1
    main(tiny(tmp_path / "other", hands, seed=6))
    assert load_network(tmp_path / "other" / "weights.safetensors")[1].sha256 not in sums


def test_the_surface_is_learnt_beside_the_joints_but_not_shipped(tmp_path, hands):
    for surface in (True, False):
        main(tiny(tmp_path / str(surface), hands, surface=surface))
    both = [load_network(tmp_path / name / "weights.safetensors")[0].state_dict() for name in ("True", "False")]
    assert both[0].keys() == both[1].keys()
    assert any(not torch.equal(both[0][name], both[1][name]) for name in both[0])


def test_a_run_without_its_bank_says_how_to_make_it(tmp_path, hands):
    with pytest.raises(UserError, match="python -m tools.train.backgrounds"):
        main(tiny(tmp_path, hands, backgrounds=tmp_path / "none.safetensors"))
    with pytest.raises(UserError, match="python -m tools.train.bank"):
        main(tiny(tmp_path, tmp_path / "none"))


def test_a_bank_of_another_crop_size_is_refused(tmp_path, hands):
    with pytest.raises(UserError, match="32 px, expected .* 64"):
        main(tiny(tmp_path, hands, crop_size=64))


def test_a_network_grows_by_blocks_that_change_nothing_at_first(tmp_path, hands):
    shallow = {"middle_blocks": 1, "deep_blocks": 1}
    main(tiny(tmp_path / "small", hands, options=shallow))
    weights = tmp_path / "small" / "weights.safetensors"
    small, larger = load_network(weights)[0], build_network(replace(load_network(weights)[1], options={})).eval()
    tensors = dict(small.network.state_dict())
    larger.network.load_state_dict(with_missing_blocks(larger.network, tensors))
    images = torch.randint(0, 256, (4, SIZE, SIZE, 3), dtype=torch.uint8)
    torch.testing.assert_close(larger(images).joints, small(images).joints, atol=1e-4, rtol=1e-4)
    main(tiny(tmp_path / "large", hands, start=weights))
    assert load_network(tmp_path / "large" / "weights.safetensors")[1].images_seen == 32
    # Only whole blocks may be missing.
    lacking = {name: value for name, value in tensors.items() if not name.startswith("head")}
    assert with_missing_blocks(larger.network, lacking).keys() == larger.network.state_dict().keys() - {
        "head.weight",
        "head.bias",
    }


@pytest.fixture(scope="module")
def taught(hands: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard of hands that pass for real ones."""
    folder = tmp_path_factory.mktemp("taught")
    drawn = bank.load_shard(bank.shard_file(hands, 0))
    bank.save_shard(
        dataclasses.replace(drawn, taught=torch.ones_like(drawn.taught), weight=drawn.weight / 2), folder / "a.safetensors"
    )
    return folder


@pytest.mark.parametrize(("share", "real"), [(0.5, 4), (0.25, 2), (0.01, 1)])
def test_real_hands_are_their_share_of_every_batch(tmp_path, hands, taught, share, real):
    run = Run(tiny(tmp_path, hands, taught=taught, taught_share=share))
    for _ in range(3):
        batch = run.batch()
        assert len(batch.images) == 8 and batch.taught.sum() == real
        assert (batch.weight[batch.taught] == 0.5).all() and (batch.weight[~batch.taught] == 1).all()
    assert not Run(tiny(tmp_path, hands)).batch().taught.any()


def test_a_network_is_taught_from_weights_and_its_manifest_says_so(tmp_path, hands, taught):
    main(tiny(tmp_path / "first", hands))
    weights = tmp_path / "first" / "weights.safetensors"
    main(tiny(tmp_path / "taught", hands, taught=taught, start=weights, surface=False))
    manifest = load_network(tmp_path / "taught" / "weights.safetensors")[1]
    assert manifest.images_seen == 32 and "tools.label" in manifest.training_data
    assert "tools.label" not in load_network(weights)[1].training_data


def test_shares_and_folders_that_cannot_be_are_refused(tmp_path, hands, taught):
    for share in (0.0, 1.0, 2.0):
        with pytest.raises(UserError, match="taught-share"):
            Run(tiny(tmp_path, hands, taught=taught, taught_share=share))
    with pytest.raises(UserError, match="python -m tools.label"):
        Run(tiny(tmp_path, hands, taught=tmp_path / "none"))
