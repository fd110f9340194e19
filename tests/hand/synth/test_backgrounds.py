"""Background images: disjoint between the splits, and deterministic."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hand.errors import UserError
from hand.synth.backgrounds import PROCEDURAL, SIZE, Backgrounds, procedural


@pytest.fixture(scope="module")
def bank(tmp_path_factory) -> Path:
    """Photographs that are all white for training, all black for validation."""
    path = tmp_path_factory.mktemp("bank") / "backgrounds.safetensors"
    white = torch.full((3, *SIZE, 3), 255, dtype=torch.uint8)
    save_file({"train": white, "held_out": torch.zeros_like(white[:2])}, path)
    return path


def test_procedural_images_are_deterministic_by_seed():
    assert procedural(4, 1).shape == (4, *SIZE, 3)
    assert torch.equal(procedural(4, 1), procedural(4, 1))
    assert not torch.equal(procedural(4, 1), procedural(4, 2))


@pytest.fixture(scope="module")
def made() -> Backgrounds:
    """Procedural images for training."""
    return Backgrounds.load(None, "train")


def test_splits_share_no_image(made):
    train, held_out = made, Backgrounds.load(None, "held_out")
    assert train.photographs == held_out.photographs == 0
    assert len(train.pictures) == len(held_out.pictures) == PROCEDURAL
    apart = torch.cdist(train.pictures.flatten(1).float()[:, ::97], held_out.pictures.flatten(1).float()[:, ::97])
    assert apart.min() > 100


def test_only_photographs_of_the_split_are_loaded_and_come_first(bank, made):
    train, held_out = Backgrounds.load(bank, "train"), Backgrounds.load(bank, "held_out")
    assert (train.photographs, held_out.photographs) == (3, 2)
    assert (train.pictures[:3] == 255).all() and (held_out.pictures[:2] == 0).all()
    assert torch.equal(train.pictures[3:], made.pictures)


def test_photographs_are_sampled_more_often_than_their_share(bank):
    crops = Backgrounds.load(bank, "held_out").crops(200, 16, torch.Generator().manual_seed(0))
    black = (crops.flatten(1) == 0).all(1).float().mean()
    assert 0.6 < black < 0.9


def test_a_missing_bank_is_an_error_that_names_the_command_to_make_it(tmp_path):
    missing = tmp_path / "nothing.safetensors"
    with pytest.raises(UserError, match=r"nothing\.safetensors does not exist.*tools\.train\.backgrounds"):
        Backgrounds.load(missing, "train")


@pytest.mark.parametrize("size", [16, 64, 256])
def test_background_crops_have_the_requested_size_and_are_deterministic_by_seed(made, size):
    first, again = (made.crops(12, size, torch.Generator().manual_seed(1)) for _ in range(2))
    assert first.shape == (12, 3, size, size)
    assert torch.equal(first, again)
    assert first.isfinite().all() and first.min() >= 0
    assert len({float(mean) for mean in first.mean((1, 2, 3))}) == 12
