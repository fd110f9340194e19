"""The engine that runs a network in TensorRT, by torch-tensorrt: half or full floats, up to 8 crops, refitted for new weights.

What was built is kept in the user's cache together with the GPU, driver and versions that it was built by and for; on another
it is built anew. There are two of it, one in use and one idle: TensorRT must not refit an engine that runs.
"""

import hashlib
import logging
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from hand.folders import cache_folder
from runtime.engines.engine import Predictions, check_images
from runtime.engines.machine import gpu, versions
from runtime.engines.parity import check
from runtime.engines.refused import EngineRefused
from runtime.networks.network import HandNetwork, fuse_batch_norms
from runtime.networks.weights import Manifest

log = logging.getLogger(__name__)

MAX_CROPS = 8
"""Crops a run; more are run in parts."""
_USUAL_CROPS = 2
TensorRTPrecision = Literal["fp16", "fp32"]
_TYPES = {"fp16": torch.float16, "fp32": torch.float32}


class ShortNetwork(nn.Module):
    """A hand network that computes its raw output with half floats, and reads hands from that with full ones.

    torch-tensorrt takes the types of the weights: it ignores what precisions it is told to enable.
    """

    def __init__(self, network: HandNetwork, precision: TensorRTPrecision):
        """`network` stays as it is."""
        super().__init__()
        folded = fuse_batch_norms(deepcopy(network))
        self.crop_size = folded.crop_size
        self.raw_type = _TYPES[precision]
        self.network = folded.network.to(self.raw_type)

    def forward(self, images: Tensor) -> Any:
        raw = self.network(self.network.normalise(images).to(self.raw_type))
        full = type(raw)(*(None if values is None else values.float() for values in raw))
        return self.network.hands(full, self.crop_size)


class Stamp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an engine was built by and for; JSON next to it."""

    gpu: str
    versions: dict[str, str]
    network: str
    """Architecture, and hash of the names and shapes of its weights."""
    precision: TensorRTPrecision

    @classmethod
    def of(cls, network: HandNetwork, manifest: Manifest, precision: TensorRTPrecision) -> "Stamp":
        """Of this machine, now."""
        shapes = [(name, tuple(value.shape)) for name, value in network.state_dict().items()]
        digest = hashlib.sha256(repr((manifest.crop_size, shapes)).encode()).hexdigest()[:12]
        return cls(gpu=gpu(), versions=versions(), network=f"{manifest.architecture}-{digest}", precision=precision)


class TensorRTEngine:
    """Runs one network; checked against torch when it is made."""

    def __init__(self, network: HandNetwork, manifest: Manifest, *, precision: TensorRTPrecision = "fp16"):
        """Built, or taken from the cache and refitted; building takes a minute. `network` stays as it is.

        Raises EngineRefused where there is no GPU or no torch-tensorrt, or where it fails the parity check.
        """
        self.manifest = manifest
        self.precision: TensorRTPrecision = precision
        self.description = f"tensorrt in {precision} on {gpu() or 'no GPU'}"
        self._outputs = network.network.outputs
        self._module, self._idle = load_or_build(network, manifest, precision), load_or_build(network, manifest, precision)
        check(self, precision, network, manifest.crop_size, self.description)

    def __call__(self, images: np.ndarray) -> Predictions:
        check_images(images, self.manifest.crop_size)
        with torch.inference_mode():
            parts = [self._module(part.cuda()) for part in torch.from_numpy(images).split(MAX_CROPS)]
        values = (torch.cat(values).cpu().numpy() for values in zip(*parts, strict=True))
        return Predictions.of(dict(zip(self._outputs, values, strict=True)))

    def refitted(self, network: HandNetwork, manifest: Manifest) -> "TensorRTEngine":
        """As every engine's; takes a second or two. The idle engine is refitted, so only the newest one may be renewed."""
        engine = object.__new__(TensorRTEngine)
        engine.manifest, engine.precision, engine.description = manifest, self.precision, self.description
        engine._outputs = self._outputs
        engine._module, engine._idle = refit(self._idle, network, self.precision), self._module
        check(engine, self.precision, network, manifest.crop_size, self.description)
        return engine


def compile_arguments() -> dict[str, Any]:
    """Options of torch-tensorrt's compiler."""
    return {
        # Refittable.
        "immutable_weights": False,
        # Types are those of the weights.
        "use_explicit_typing": True,
        # Full floats are to be full.
        "disable_tf32": True,
        "truncate_double": True,
        "min_block_size": 1,
    }


def input_shapes(size: int) -> dict[str, tuple[int, int, int, int]]:
    """The batches that an engine is built for."""
    counts = {"min_shape": 1, "opt_shape": _USUAL_CROPS, "max_shape": MAX_CROPS}
    return {name: (count, size, size, 3) for name, count in counts.items()}


def program_of(network: HandNetwork, precision: TensorRTPrecision, device: str = "cuda") -> torch.export.ExportedProgram:
    """The network as a program of torch's, for 1 to `MAX_CROPS` crops; it stays as it is."""
    size = network.crop_size
    images = torch.zeros(_USUAL_CROPS, size, size, 3, dtype=torch.uint8, device=device)
    count = torch.export.Dim("n", min=1, max=MAX_CROPS)
    return torch.export.export(ShortNetwork(network, precision).eval().to(device), (images,), dynamic_shapes=({0: count},))


def load_or_build(network: HandNetwork, manifest: Manifest, precision: TensorRTPrecision) -> Any:
    """The compiled network: from the cache, refitted, where it was built by and for this machine; else built, and kept.

    Raises EngineRefused where there is no GPU or no torch-tensorrt.
    """
    library = tensorrt_library()
    try:
        return _load_or_build(library, network, manifest, precision)
    except EngineRefused:
        raise
    except Exception as error:
        # Whatever torch-tensorrt, TensorRT or CUDA raise; their errors share no type.
        why = str(error).strip().splitlines()[:1]
        raise EngineRefused(f"torch-tensorrt could not build this network ({' '.join(why)}): use another --engine") from error


def _load_or_build(library: ModuleType, network: HandNetwork, manifest: Manifest, precision: TensorRTPrecision) -> Any:
    stamp = Stamp.of(network, manifest, precision)
    file = engine_file(stamp)
    if is_built_here(file, stamp):
        return refit(library.load(str(file)).module(), network, precision)
    log.info(f"building {stamp.network} in {precision} for {stamp.gpu}, once: a minute or so")
    shapes = library.Input(**input_shapes(manifest.crop_size), dtype=torch.uint8)
    program = program_of(network, precision)
    compiled = library.dynamo.compile(program, arg_inputs=[shapes], **compile_arguments())
    file.parent.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(_USUAL_CROPS, *input_shapes(manifest.crop_size)["opt_shape"][1:], dtype=torch.uint8, device="cuda")
    library.save(compiled, str(file), arg_inputs=[example])
    file.with_suffix(".json").write_bytes(msgspec.json.encode(stamp))
    return compiled


def refit(compiled: Any, network: HandNetwork, precision: TensorRTPrecision) -> Any:
    """The compiled network with other weights; it must not be in use."""
    size = network.crop_size
    images = torch.zeros(_USUAL_CROPS, size, size, 3, dtype=torch.uint8, device="cuda")
    program = program_of(network, precision)
    return tensorrt_library().dynamo.refit_module_weights(compiled, program, arg_inputs=(images,), in_place=True)


def is_built_here(file: Path, stamp: Stamp) -> bool:
    """Whether `file` holds an engine of this very stamp."""
    try:
        return file.is_file() and msgspec.json.decode(file.with_suffix(".json").read_bytes(), type=Stamp) == stamp
    except (OSError, msgspec.DecodeError):
        return False


def engine_file(stamp: Stamp) -> Path:
    """Where the engine of a network is kept; one file for all machines that share the folder, its stamp says whose it is."""
    return cache_folder("tensorrt") / f"{stamp.network}-{stamp.precision}.ep"


def tensorrt_library() -> ModuleType:
    """torch-tensorrt. Raises EngineRefused where it, or a GPU, is not there."""
    if not torch.cuda.is_available():
        raise EngineRefused("there is no NVIDIA GPU that torch can use, which --engine tensorrt needs: use --engine auto")
    try:
        import torch_tensorrt  # pyright: ignore[reportMissingImports] (extra "tensorrt")
    except (ImportError, OSError) as error:
        minor = ".".join(torch.__version__.split(".")[:2])
        raise EngineRefused(
            f"--engine tensorrt needs torch-tensorrt {minor}, as torch is ({error}): pip install 'torch-tensorrt=={minor}.*'"
        ) from error
    return torch_tensorrt
