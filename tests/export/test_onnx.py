"""The exported ONNX file is self-contained and predicts as torch does."""

import onnx
import pytest

from export import onnx as export_onnx
from export.parity import Settings as ParitySettings
from export.parity import main as show_parity
from hand.errors import UserError
from runtime.engines.parity import compare, probe, reference_predictions
from runtime.networks.graph import INPUT
from runtime.networks.network import MapNetwork


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    to = tmp_path_factory.mktemp("export") / "net.onnx"
    export_onnx.main(export_onnx.Settings(to=to))
    return to


def test_file_passes_the_onnx_checker_and_embeds_its_weights(file):
    model = onnx.load(file, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert [value.name for value in model.graph.input] == [INPUT]
    assert tuple(value.name for value in model.graph.output) == MapNetwork.outputs
    assert not any(node.op_type == "BatchNormalization" for node in model.graph.node)


def test_file_predicts_as_torch(file, shipped):
    network, _ = shipped
    images = probe(64)
    assert compare(export_onnx.file_engine(file)(images), reference_predictions(network, images)).largest_mm < 0.05


def test_parity_command_passes_a_good_file_and_fails_a_broken_one(file, tmp_path, capsys):
    assert show_parity(ParitySettings(file=file)) == 0
    model = onnx.load(file)
    broken = next(tensor for tensor in model.graph.initializer if tensor.name == "network.fuse.0.bias")
    broken.raw_data = bytes(len(broken.raw_data))
    onnx.save(model, tmp_path / "broken.onnx")
    assert show_parity(ParitySettings(file=tmp_path / "broken.onnx")) == 1
    assert "refused: largest mm" in capsys.readouterr().out


def test_a_file_that_is_no_model_is_named_in_the_error(tmp_path):
    (tmp_path / "net.onnx").write_text("no model")
    with pytest.raises(UserError, match="net.onnx cannot be run"):
        export_onnx.file_engine(tmp_path / "net.onnx")
