"""MediaPipe's landmark models as weights of `MediaPipeLandmarks`: read once from the fetched TFLite files, kept in the cache."""

import os
from pathlib import Path

from torch import Tensor, nn

from hand.errors import UserError
from runtime.networks.mediapipe_files import LANDMARKS, SHA256, VERSION, MediaPipeName, folder, model_file
from runtime.networks.mediapipe_landmarks import INPUT_PX, MediaPipeLandmarks, SameConv2d
from runtime.networks.tflite_layers import Layer, read_layers
from runtime.networks.weights import Manifest, load_tensors, network_class, save_tensors

ARCHITECTURE_OF: dict[MediaPipeName, str] = {"mediapipe": "mediapipe-landmarks", "mediapipe-lite": "mediapipe-landmarks-lite"}
_VERSION_OF_FILE = 1
"""Raised whenever names or shapes of the network's weights change."""
_HEADS = {"right": "conv_handedness", "presence": "conv_handflag", "screen": "conv_landmarks", "world": "conv_world_landmarks"}
"""The network's heads, and how the files call them."""


def base_weights(name: MediaPipeName) -> Path:
    """The weights file of a fetched model, made if it is not there.

    Raises ModelsNotFetched where the model was not fetched, UserError where LiteRT's package, which reads it, is not installed.
    """
    stem = Path(LANDMARKS[name]).stem
    file = folder() / f"{stem}-{_VERSION_OF_FILE}.safetensors"
    if file.is_file() and file.with_suffix(".json").is_file():
        return file
    source = model_file(LANDMARKS[name])
    manifest = Manifest(
        architecture=ARCHITECTURE_OF[name],
        root=0,
        crop_size=INPUT_PX,
        axes="crop",
        upright=True,
        training_data="Google's own pictures and renderings (Zhang et al. 2020); not public",
        source=f"{source.name} (sha256 {SHA256[source.name]}) of PyPI's mediapipe {VERSION}, Apache-2.0",
    )
    tensors = tensors_of(read_layers(source), manifest.architecture, source)
    part = file.with_name(f".{file.stem}.{os.getpid()}.safetensors")
    try:
        save_tensors(part, tensors, manifest)
        for suffix in (".safetensors", ".json"):
            part.with_suffix(suffix).replace(file.with_suffix(suffix))
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}; set XDG_CACHE_HOME to a folder that can be written") from error
    return file


def base_tensors(sha256: str) -> dict[str, Tensor]:
    """The tensors of the fetched model whose TFLite file has this hash.

    Raises UserError where this version does not know such a model, and as `base_weights` does.
    """
    for name, file in LANDMARKS.items():
        if SHA256[file] == sha256:
            return load_tensors(base_weights(name))[0]
    raise UserError(
        f"the weights stand on a model of sha256 {sha256[:12]}…, which this version does not know: update the program"
    )


def tensors_of(layers: list[Layer], architecture: str, source: Path) -> dict[str, Tensor]:
    """The layers of a TFLite file as the architecture's state. Raises UserError where they are not those of such a network."""
    network = network_class(architecture)()
    assert isinstance(network, MediaPipeLandmarks)
    trunk = [layer for layer in layers if layer.kind != "linear"]
    # Modules are declared in the order in which they run.
    convolutions = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    linear = {layer.name.split("/")[-2]: layer for layer in layers if layer.kind == "linear"}
    fit = len(trunk) == len(convolutions) and linear.keys() == set(_HEADS.values())
    pairs = [
        *zip(convolutions, trunk, strict=False),
        *(((head, getattr(network, head)), linear.get(n)) for head, n in _HEADS.items()),
    ]
    state: dict[str, Tensor] = {}
    for (name, module), layer in pairs:
        fit = fit and layer is not None and _fits(name, module, layer)
        if not fit or layer is None:
            raise UserError(f"{source} is not the landmark model that {architecture} was written for: use --estimator detnet")
        state |= {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}
    return state


def _fits(name: str, module: nn.Module, layer: Layer) -> bool:
    """Whether a module computes what the layer does."""
    if isinstance(module, nn.Linear):
        return module.weight.shape == layer.weight.shape and not layer.relu6
    assert isinstance(module, nn.Conv2d)
    cut = not name.endswith(("project", "stem.4"))
    stride = 2 if isinstance(module, SameConv2d) else 1
    same = module.weight.shape == layer.weight.shape and (module.groups > 1) == (layer.kind == "depthwise")
    return same and layer.stride == stride and layer.relu6 == cut
