"""TensorRT as far as it can be tested without a GPU: exported program, compile arguments, engine cache."""

import msgspec
import numpy as np
import pytest
import torch

from runtime.engines.parity import probe
from runtime.engines.tensorrt_engine import (
    MAX_CROPS,
    Stamp,
    compile_arguments,
    engine_file,
    input_shapes,
    is_built_here,
    program_of,
)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_exported_program_takes_one_to_eight_crops_and_predicts_as_the_network(shipped, precision):
    network, manifest = shipped
    program = program_of(network, precision, "cpu").module()
    for count in (1, MAX_CROPS):
        images = torch.from_numpy(probe(manifest.crop_size)[:count])
        with torch.inference_mode():
            expected, answer = network(images), program(images)
        assert [value.dtype for value in answer] == [torch.float32] * 4
        np.testing.assert_allclose(answer[0], expected[0], atol=1e-4 if precision == "fp32" else 0.05)


def test_compile_arguments_are_refittable_and_explicitly_typed():
    arguments = compile_arguments()
    assert arguments["immutable_weights"] is False and arguments["use_explicit_typing"] and arguments["disable_tf32"]
    assert "enabled_precisions" not in arguments, "its dynamo path ignores them"
    shapes = input_shapes(64)
    assert [shapes[name][0] for name in ("min_shape", "opt_shape", "max_shape")] == [1, 2, 8]
    assert {shape[1:] for shape in shapes.values()} == {(64, 64, 3)}


@pytest.mark.parametrize(
    "change", [{"gpu": "another sm_90 driver 1"}, {"versions": {}}, {"precision": "fp16"}, {"network": "other"}]
)
def test_a_cached_engine_of_another_machine_or_version_is_not_used(shipped, tmp_path, monkeypatch, change):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    network, manifest = shipped
    stamp = Stamp.of(network, manifest, "fp32")
    file = engine_file(stamp)
    assert not is_built_here(file, stamp)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"engine")
    file.with_suffix(".json").write_bytes(msgspec.json.encode(stamp))
    assert is_built_here(file, stamp) and not is_built_here(file, msgspec.structs.replace(stamp, **change))
    file.with_suffix(".json").write_text("{")
    assert not is_built_here(file, stamp)
