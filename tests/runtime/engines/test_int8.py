"""Int8 quantisation: which layers, how many bits, and plans that do not fit the graph."""

from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest

from hand.errors import UserError
from runtime.engines.int8 import (
    Plan,
    convolutions,
    int8_saturates,
    load_plan,
    measure_ranges,
    plan_file,
    quantisable,
    quantize,
    save_plan,
)
from runtime.engines.parity import probe
from runtime.networks.graph import SHIPPED, fill_weights, graph_of, weights_of
from runtime.networks.weights import DEFAULT_WEIGHTS


@pytest.fixture(scope="module")
def model(shipped) -> onnx.ModelProto:
    network, manifest = shipped
    weights = weights_of(network)
    return fill_weights(graph_of(manifest, weights), weights, manifest)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return load_plan(DEFAULT_WEIGHTS, "detnet-lite")


def test_all_that_stands_between_convolutions_may_be_int8():
    """Values that return to float between two convolutions cost more than eight bits save."""
    graph = onnx.load(SHIPPED["mediapipe-landmarks-lite"], load_external_data=False)
    between = [node.op_type for node in graph.graph.node if node.op_type in ("Conv", "Add", "MaxPool")]
    found = [node.op_type for node in quantisable(graph)]
    assert [kind for kind in found if kind != "Clip"] == between and found.count("Clip") == 31


@pytest.mark.parametrize(("bits", "most"), [(7, 64), (8, 127)])
def test_weights_are_signed_and_use_the_requested_bits(model, plan, bits, most):
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in quantize(model, plan, bits).graph.initializer}
    filters = [value for value in stored.values() if value.dtype == np.int8 and value.ndim == 4]
    assert len(filters) == len(convolutions(model)) - len(plan.float_convolutions)
    assert max(int(np.abs(value.astype(int)).max()) for value in filters) == most
    scales = [stored[name] for name in stored if name.endswith("weight_scale")]
    assert all(scale.ndim == 1 and len(scale) > 1 for scale in scales), "one for each channel"
    assert {value.dtype for name, value in stored.items() if name.endswith("_zero_point") and value.ndim == 0} == {
        np.dtype("uint8")
    }


def test_decoding_nodes_are_not_quantised(model):
    chosen = {node.name for node in quantisable(model)}
    last = max(number for number, node in enumerate(model.graph.node) if node.op_type == "Conv")
    assert chosen and not chosen & {node.name for node in model.graph.node[last + 1 :]}


def test_all_detnet_convolutions_and_no_shape_nodes_are_quantisable():
    graph = onnx.load(SHIPPED["detnet"], load_external_data=False)
    kinds = {value.name: value.type.tensor_type.elem_type for value in graph.graph.value_info}
    chosen = quantisable(graph)
    assert sum(node.op_type == "Conv" for node in chosen) == len(convolutions(graph)) == 50
    assert {kinds[node.output[0]] for node in chosen} == {onnx.TensorProto.FLOAT}


def test_float_convolutions_of_the_plan_stay_float(model, plan):
    kept = [node for node in quantize(model, plan, 7).graph.node if node.op_type == "Conv" and node.input[1].endswith(".weight")]
    assert sorted(convolutions_of(kept)) == sorted(plan.float_convolutions)


def convolutions_of(nodes: list[onnx.NodeProto]) -> list[str]:
    return [node.input[1].removesuffix(".weight").removeprefix("network.") for node in nodes]


def test_ranges_of_more_crops_contain_those_of_fewer(model):
    few, more = measure_ranges(model, probe(64)[:4]), measure_ranges(model, probe(64))
    assert few.keys() == more.keys()
    assert all(more[name][0] <= low <= high <= more[name][1] for name, (low, high) in few.items())


def test_a_plan_of_another_graph_raises(model, plan):
    other = msgspec.structs.replace(plan, ranges={"elsewhere": (0.0, 1.0)})
    with pytest.raises(UserError, match="knows no range of"):
        quantize(model, other)


def test_a_plan_next_to_its_weights_precedes_the_shipped_one(plan, tmp_path):
    weights = tmp_path / "net.safetensors"
    assert load_plan(weights, "detnet-lite") == plan
    own = msgspec.structs.replace(plan, calibrated_on="one crop")
    save_plan(own, plan_file(weights))
    assert load_plan(weights, "detnet-lite") == own


@pytest.mark.parametrize(
    ("content", "architecture", "message"),
    [
        (b"{", "detnet-lite", "no plan for int8"),
        (None, "detnet", "calibrate it once"),
        (None, "mediapipe-3d", "none of a mediapipe-3d ships: .*move by 4.2 mm on average.*--engine onnx"),
        (b'{"ranges": {}}', "detnet-lite", "no plan"),
    ],
)
def test_unusable_plans_raise_a_one_line_error(content, architecture, message, tmp_path):
    weights = tmp_path / "net.safetensors"
    if content is not None:
        plan_file(weights).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        load_plan(weights, architecture)
    assert "\n" not in str(caught.value) and str(weights) in str(caught.value)


def test_int8_saturates_exactly_without_vnni():
    flags = Path("/proc/cpuinfo")
    if not flags.is_file() or "avx2" not in flags.read_text():
        pytest.skip("not an x86 processor with AVX2 under Linux")
    words = set(flags.read_text().split())
    assert int8_saturates() == (not words & {"avx512_vnni", "avx_vnni"})
