"""Without a GPU the way there is told, and nothing is made."""

from pathlib import Path

import pytest
import torch

from export import tensorrt
from hand.errors import UserError


def test_trtexec_is_told_the_batches_that_our_own_engine_takes():
    line = tensorrt.trtexec_line(Path("out/net.onnx"), 64)
    assert line.startswith("trtexec --onnx=out/net.onnx --saveEngine=out/net.engine --fp16")
    assert "--minShapes=images:1x64x64x3 --optShapes=images:2x64x64x3 --maxShapes=images:8x64x64x3" in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_command_says_so(capsys):
    with pytest.raises(UserError, match="no NVIDIA GPU"):
        tensorrt.main(tensorrt.Settings())
    assert "trtexec --onnx" in capsys.readouterr().out
