"""Which engine was the fastest, kept between runs: one small JSON file a machine, in the user's cache."""

import hashlib
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec
import platformdirs
import torch

from runtime.weights import Manifest

_LIBRARIES = ("torch", "onnxruntime", "onnxruntime-gpu", "torch-tensorrt", "tensorrt")


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An engine that was chosen."""

    engine: Literal["torch", "onnx", "onnx-int8", "tensorrt"]
    why: str
    """What each engine took."""

    @staticmethod
    def key(manifest: Manifest, threads: int | None) -> str:
        """What a choice holds for: this machine, these libraries, these weights, so many threads."""
        parts = (machine(), sorted(versions().items()), manifest.architecture, manifest.sha256, threads)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def machine() -> str:
    """The processor, how many of its cores there are, and the GPU with its driver's CUDA."""
    gpu = ""
    if torch.cuda.is_available():
        major, minor = torch.cuda.get_device_capability()
        gpu = f"{torch.cuda.get_device_name()} sm_{major}{minor} CUDA {torch.version.cuda}"
    return f"{platform.machine()} {_processor_says('model name') or platform.processor()} x{os.cpu_count()} {gpu}".strip()


def versions() -> dict[str, str]:
    """Of the libraries that engines are made of, where they are installed."""
    found: dict[str, str] = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def recall_choice(key: str) -> Choice | None:
    """What was chosen; None where nothing was, or it cannot be read: then it is chosen anew."""
    try:
        return msgspec.json.decode(_file(key).read_bytes(), type=Choice)
    except (OSError, msgspec.DecodeError):
        return None


def remember_choice(key: str, choice: Choice) -> None:
    """Keep it where the cache can be written; else the next start chooses anew."""
    file = _file(key)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(msgspec.json.encode(choice))
        beside.replace(file)
    except OSError:
        beside.unlink(missing_ok=True)


def forget_choice(key: str) -> None:
    _file(key).unlink(missing_ok=True)


def _file(key: str) -> Path:
    return platformdirs.user_cache_path("duohand") / "engines" / f"{key}.json"


def multiplies_bf16() -> bool:
    """Whether the processor multiplies bf16 itself; in software it is slower than float32."""
    return bool({"avx512_bf16", "amx_bf16"} & set(_processor_says("flags").split()))


def _processor_says(key: str) -> str:
    """What Linux tells of the first processor; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
