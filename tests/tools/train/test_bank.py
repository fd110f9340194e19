"""A bank of drawn hands is always the same, survives a broken drawing, and is added to while it is used."""

import pytest
import torch

from hand.errors import UserError
from hand.synth.crops import SyntheticCrops
from tools.train.bank import HandBank, Settings, main, render_shard, save_shard, shard_file

SIZE = 32


def settings(folder, **others) -> Settings:
    return Settings(folder, crop_size=SIZE, backgrounds=None, **others)


def test_a_shard_is_always_the_same_and_no_other_is(tmp_path):
    first, again, other = (render_shard(settings(tmp_path), number, 20) for number in (3, 3, 4))
    for name in SyntheticCrops.__slots__:
        assert torch.equal(getattr(first, name), getattr(again, name)), name
    assert not torch.equal(first.images, other.images)
    assert not torch.equal(render_shard(settings(tmp_path, seed=1), 3, 20).images, first.images)


def test_crops_come_out_as_they_went_in(tmp_path):
    shard = render_shard(settings(tmp_path), 0, 20)
    save_shard(shard, shard_file(tmp_path, 0))
    taken = HandBank(tmp_path, SIZE, seed=1).take(40)
    for row in range(40):
        same = (shard.images == taken.images[row]).flatten(1).all(1).nonzero()[:, 0]
        assert len(same) == 1
        for name in SyntheticCrops.__slots__:
            assert torch.equal(getattr(taken, name)[row], getattr(shard, name)[same[0]]), name
    again = HandBank(tmp_path, SIZE, seed=1).take(40)
    assert torch.equal(again.pixels, taken.pixels)


def test_shards_drawn_since_are_taken_in_and_parts_are_not(tmp_path):
    save_shard(render_shard(settings(tmp_path), 0, 20), shard_file(tmp_path, 0))
    bank = HandBank(tmp_path, SIZE, seed=1)
    assert len(bank) == 20
    shard_file(tmp_path, 1).with_suffix(".123.part").write_bytes(b"half a shard")
    bank.refresh()
    assert len(bank) == 20
    save_shard(render_shard(settings(tmp_path), 1, 20), shard_file(tmp_path, 1))
    bank.refresh()
    assert len(bank) == 40


def test_shards_that_are_there_are_kept(tmp_path):
    kept = shard_file(tmp_path, 0)
    kept.write_bytes(b"as it was")
    main(settings(tmp_path, shards=1))
    assert kept.read_bytes() == b"as it was"


def test_an_empty_bank_says_how_to_fill_it(tmp_path):
    with pytest.raises(UserError, match="python -m tools.train.bank"):
        HandBank(tmp_path, SIZE, seed=0)
