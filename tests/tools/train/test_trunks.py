"""Every trunk is measured once a crop size; what is there already is not measured again."""

import cv2
import msgspec
import pytest

from runtime.networks.detnet_lite import DetNetLite
from tools.train import bank
from tools.train.trunks import TRUNKS, Result, Settings, main


@pytest.mark.parametrize("trunk", TRUNKS)
def test_every_trunk_can_be_built(trunk):
    assert DetNetLite(**TRUNKS[trunk]).head.out_channels == 168


def test_trunks_are_trained_timed_and_drawn(tmp_path, capsys):
    hands = tmp_path / "hands"
    hands.mkdir()
    drawn = bank.render_shard(bank.Settings(hands, crop_size=32, backgrounds=None), 0, 40)
    bank.save_shard(drawn, bank.shard_file(hands, 0))
    settings = Settings(tmp_path / "run", (hands,), ("narrow", "fine"), pictures=32, validate=8, rounds=2, backgrounds=None)
    main(settings)
    lines = (tmp_path / "run" / "results.jsonl").read_bytes().splitlines()
    results = [msgspec.json.decode(line, type=Result) for line in lines]
    assert [(r.trunk, r.crop_size, r.pictures) for r in results] == [("narrow", 32, 32), ("fine", 32, 32)]
    assert results[0].parameters < results[1].parameters and all(r.ms > 0 and r.error_mm > 0 for r in results)
    picture = cv2.imread(str(tmp_path / "run" / "trunks.png"))
    assert picture is not None and picture.std() > 5
    weights = tmp_path / "run" / "narrow_32" / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    main(settings)
    assert weights.stat().st_mtime_ns == before and "narrow" in capsys.readouterr().out
