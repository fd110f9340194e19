"""Which processor, GPU and libraries this machine has: selections and compiled engines are valid for these alone."""

import os
import platform
import shutil
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

import torch

_LIBRARIES = ("torch", "onnxruntime", "onnxruntime-gpu", "torch-tensorrt", "tensorrt")


def machine() -> str:
    """The processor, how many of its cores there are, and the GPU."""
    return f"{platform.machine()} {_processor_says('model name') or platform.processor()} x{os.cpu_count()} {gpu()}".strip()


@cache
def gpu() -> str:
    """The first GPU's name, kind and driver; empty where torch has none."""
    if not torch.cuda.is_available():
        return ""
    major, minor = torch.cuda.get_device_capability()
    asked = shutil.which("nvidia-smi")
    command = [asked or "nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    driver = subprocess.run(command, capture_output=True, text=True).stdout.split() if asked else []
    return f"{torch.cuda.get_device_name()} sm_{major}{minor} driver {driver[0] if driver else 'unknown'}"


def unused_gpu() -> str | None:
    """An NVIDIA GPU that the driver lists and torch cannot use, in words with the reason; None where there is none."""
    tool = None if torch.cuda.is_available() else shutil.which("nvidia-smi")
    if tool is None:
        return None
    listed = subprocess.run([tool, "--list-gpus"], capture_output=True, text=True)
    names = listed.stdout.split("\n")[0].partition(" (UUID")[0].strip()
    if listed.returncode or not names:
        return None
    built = torch.version.cuda
    why = f"is built for CUDA {built}, which this driver may not know" if built else "is built without CUDA"
    return f"{names} is there, but torch {torch.__version__} {why}"


def versions() -> dict[str, str]:
    """Of the libraries that engines are made of, where they are installed."""
    found: dict[str, str] = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def has_bf16() -> bool:
    """Whether the processor multiplies bf16 itself; in software it is slower than float32."""
    return bool({"avx512_bf16", "amx_bf16"} & set(_processor_says("flags").split()))


def _processor_says(key: str) -> str:
    """A value of /proc/cpuinfo for the first processor; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
