"""Without a GPU the TensorRT export prints the trtexec command and raises."""

from pathlib import Path

import pytest
import torch

from export import tensorrt
from hand.errors import UserError


def test_trtexec_line_has_the_batch_sizes_of_the_engine():
    line = tensorrt.trtexec_line(Path("out/net.onnx"), 64)
    assert line.startswith("trtexec --onnx=out/net.onnx --saveEngine=out/net.engine --fp16")
    assert "--minShapes=images:1x64x64x3 --optShapes=images:2x64x64x3 --maxShapes=images:8x64x64x3" in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_command_without_gpu_raises_and_prints_the_trtexec_line(capsys):
    with pytest.raises(UserError, match="no NVIDIA GPU"):
        tensorrt.main(tensorrt.Settings())
    assert "trtexec --onnx" in capsys.readouterr().out
