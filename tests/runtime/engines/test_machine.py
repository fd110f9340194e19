"""A GPU that torch cannot use is found, whatever the driver calls it."""

import pytest
import torch

from runtime.engines.machine import unused_gpu


def nvidia_smi(tmp_path, monkeypatch, script: str) -> None:
    """Put a program of this name first on the path."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


@pytest.fixture(autouse=True)
def no_gpu():
    if torch.cuda.is_available():
        pytest.skip("torch uses the GPU of this machine")


def test_a_gpu_that_torch_cannot_use_is_named_with_the_reason(tmp_path, monkeypatch):
    nvidia_smi(tmp_path, monkeypatch, 'echo "GPU 0: NVIDIA T4 (UUID: GPU-1)"')
    assert (unused_gpu() or "").startswith("GPU 0: NVIDIA T4 is there, but torch ")


@pytest.mark.parametrize("script", ["exit 9", "true"])
def test_a_driver_without_a_gpu_is_none(tmp_path, monkeypatch, script):
    nvidia_smi(tmp_path, monkeypatch, script)
    assert unused_gpu() is None
