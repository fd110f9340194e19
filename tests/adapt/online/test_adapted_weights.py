"""Adapted weights load as they were saved, from undamaged files of these cameras and this base alone."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import save_file

from adapt.online.adapted_weights import AdaptedWeights, AdaptedWeightsFile, read_adapted_weights
from adapt.online.promotion import GateMetric, PromotionDecision, ValidationResult, ValidationRound
from adapt.online.validation import ValidationMetrics
from hand.errors import UserError

FIGURES = ValidationMetrics(0.2, 0.12, 0.04, 0.03, 0.12, 0.0, 0.33, 0.25, 0.5)
BETTER = PromotionDecision(True, GateMetric.DEPTH, 0.15, 0.12)
ROUND = ValidationRound(ValidationResult.PROMOTED, BETTER, 24, 40, FIGURES, FIGURES)


@pytest.fixture
def adapted(shipped) -> AdaptedWeights:
    network, manifest = shipped
    return AdaptedWeights.of(network, manifest, ROUND)


@pytest.fixture
def file(tmp_path: Path, shipped) -> AdaptedWeightsFile:
    return AdaptedWeightsFile(tmp_path / "adapted", "desk", shipped[1].sha256)


def test_saved_weights_are_loaded_again(shipped, adapted: AdaptedWeights, file: AdaptedWeightsFile):
    assert file.newest() is None and not file.exists
    path = file.save(adapted)
    found = replace(file, _number=None).newest()
    assert found is not None and found.record == adapted.record and read_adapted_weights(path).record == adapted.record
    assert found.record.figures["depth"] == FIGURES.depth and "adapted" in found.record.manifest.training_data
    images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(found.network()(images).joints, shipped[0](images).joints)


def test_one_placement_has_one_file_and_the_next_has_another(adapted: AdaptedWeights, file: AdaptedWeightsFile):
    first = file.save(adapted)
    assert file.save(adapted) == first
    file.begin_new_file()
    second = file.save(AdaptedWeights(adapted.tensors, msgspec.structs.replace(adapted.record, saved_at="2999-01-01")))
    assert second != first and first.is_file()
    again = replace(file, _number=None)
    newest = again.newest()
    assert newest is not None and newest.record.saved_at == "2999-01-01"
    # What is learnt now goes on where that one ended.
    assert again.save(adapted) == second


def test_adapted_weights_of_another_base_are_ignored(adapted: AdaptedWeights, file: AdaptedWeightsFile):
    path = file.save(adapted)
    other = replace(file, base="another", _number=None)
    assert other.exists and other.newest() is None
    assert other.save(adapted) != path and path.is_file()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_file_that_is_not_whole_is_refused_in_a_sentence(adapted: AdaptedWeights, file: AdaptedWeightsFile, share: float):
    path = file.save(adapted)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UserError, match="damaged") as told:
        replace(file, _number=None).newest()
    assert str(path) in str(told.value) and "\n" not in str(told.value)


def test_a_foreign_file_is_refused_in_a_sentence(file: AdaptedWeightsFile):
    file.folder.mkdir()
    foreign = file.folder / "desk~1.safetensors"
    save_file({"weight": torch.zeros(3)}, foreign)
    with pytest.raises(UserError, match="no weights of live adaptation"):
        file.newest()
    save_file({"weight": torch.zeros(3)}, foreign, {"duohand": "{}"})
    with pytest.raises(UserError, match="cannot be understood"):
        file.newest()


def test_an_interrupted_write_leaves_no_file(adapted: AdaptedWeights, file: AdaptedWeightsFile):
    path = file.save(adapted)
    (file.folder / ".abc.tmp").write_bytes(path.read_bytes()[:100])
    assert replace(file, _number=None).newest() is not None


def test_a_read_only_folder_is_reported(adapted: AdaptedWeights, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="cannot save adapted weights"):
        AdaptedWeightsFile(tmp_path / "file" / "adapted", "desk", "x").save(adapted)


@pytest.mark.parametrize("name", ["", "../desk", "a b", ".hidden", "a/b"])
def test_a_name_that_is_none_for_a_file_is_refused(tmp_path: Path, name: str):
    with pytest.raises(UserError, match="name"):
        AdaptedWeightsFile(tmp_path, name, "x")
