"""How networks are stored: safetensors with a manifest next to it, or a published `.pth` checkpoint."""

import hashlib
import importlib
from pathlib import Path
from typing import Literal

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from hand.errors import UserError
from hand.files import saving
from runtime.networks.network import CropNetwork, HandNetwork

ASSETS = Path(__file__).parents[1] / "assets"
DEFAULT_WEIGHTS = ASSETS / "detnet_lite.safetensors"

ARCHITECTURES = {
    "detnet": ("runtime.networks.detnet", "DetNet"),
    "detnet-lite": ("runtime.networks.detnet_lite", "DetNetLite"),
    "mediapipe-landmarks": ("runtime.networks.mediapipe_landmarks", "MediaPipeLandmarks"),
    "mediapipe-landmarks-lite": ("runtime.networks.mediapipe_landmarks", "MediaPipeLandmarksLite"),
    "mediapipe-3d": ("runtime.networks.mediapipe_3d", "MediaPipe3D"),
}
"""Name in a manifest → module and class; imported when asked for."""
_BASES = ("runtime.networks.mediapipe_base", "base_tensors")
"""Module and function that give the tensors of a fetched model by its SHA-256; it needs this module."""

PUBLISHED_ROOTS = {"ckp_detnet_37": 0, "ckp_detnet_68": 9}
"""File names of the published checkpoints, which carry no manifest, and the roots that they were trained with."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a weights file holds; stored as JSON next to it."""

    architecture: str
    """A key of `ARCHITECTURES`, or "locator"."""
    root: int
    """Joint that its joints are relative to."""
    crop_size: int
    """Side of the network's input in px."""
    map_size: int = 0
    """Side of its maps in cells; 0 for a network without maps."""
    axes: Literal["crop", "frame"]
    """Whose axes the joints are in: the turned camera's of the crop, or the frame camera's."""
    upright: bool = False
    """Whether crops are to be rolled so that the fingers' knuckles stand above the wrist."""
    options: dict[str, int] = {}
    """Further arguments of the architecture's constructor."""
    training_data: str
    source: str = ""
    """Where weights that are not ours come from, and their licence."""
    base: str = ""
    """SHA-256 of the fetched model that these weights are added to; empty for whole networks."""
    seed: int | None = None
    images_seen: int | None = None
    accuracy: dict[str, float] = {}
    """Figures by name, with their unit in the name, such as `held_out_dual_mm`."""
    sha256: str = ""
    """Of the weights file; `save_tensors` fills it in."""


def network_class(architecture: str) -> type[CropNetwork]:
    """The class of an architecture's networks. Raises UserError for an architecture that this version does not know."""
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise UserError(f"the weights' architecture is {architecture!r}, expected one of {known}: update the program")
    module, name = ARCHITECTURES[architecture]
    return getattr(importlib.import_module(module), name)


def build_network(manifest: Manifest) -> HandNetwork:
    """An untrained network of the manifest's architecture.

    Raises UserError for an architecture that this version does not know.
    """
    network = network_class(manifest.architecture)(root=manifest.root, **manifest.options)
    return HandNetwork(network, manifest.crop_size)


def load_network(path: Path) -> tuple[HandNetwork, Manifest]:
    """The network stored at `path`, in evaluation mode and float32, and its manifest.

    Raises UserError where the file is missing, damaged, or not what its manifest says.
    """
    tensors, manifest = _load_published(path) if path.suffix == ".pth" else load_tensors(path)
    hand_network = build_network(manifest)
    if manifest.base:
        tensors = _on_base(tensors, _base_tensors(manifest, hand_network.network), path)
    fill(hand_network.network, tensors, path)
    return hand_network.eval(), manifest


def save_network(path: Path, hand_network: HandNetwork, manifest: Manifest) -> Manifest:
    """Write the network as fp16 with its manifest; returns the manifest with its sha256.

    Of one that stands on a fetched model, what it adds to that model alone.
    """
    state = hand_network.network.state_dict()
    if manifest.base:
        base = _base_tensors(manifest, hand_network.network)
        added = {name: value.cpu() - base[name] if name in base else value for name, value in state.items()}
        state = {name: value for name, value in added.items() if name not in base or value.any()}
    return save_tensors(path, state, manifest)


def architecture_of(path: Path) -> str:
    """The architecture of a weights file, by its manifest alone. Raises UserError where there is none to be read."""
    published = path.suffix == ".pth" and not path.with_suffix(".json").exists()
    return "detnet" if published else read_manifest(path).architecture


def load_tensors(path: Path) -> tuple[dict[str, Tensor], Manifest]:
    """Tensors by name, half floats widened, and their manifest; the hash is checked. Raises UserError."""
    manifest = read_manifest(path)
    data = _read(path)
    _check_digest(path, data, manifest)
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise UserError(f"{path} is not a safetensors file ({error}): fetch it again") from error
    return {name: _widened(tensor) for name, tensor in tensors.items()}, manifest


def save_tensors(path: Path, tensors: dict[str, Tensor], manifest: Manifest) -> Manifest:
    """Write tensors and manifest; returns the manifest with its sha256. Raises UserError where they cannot be written.

    Filters are stored as fp16. Vectors stay as they are: running variances can leave fp16's range, and they are small.
    """
    stored = {
        name: (tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor).cpu().contiguous()
        for name, tensor in tensors.items()
    }
    data = save(stored)
    manifest = msgspec.structs.replace(manifest, sha256=hashlib.sha256(data).hexdigest())
    # Both are whole before either takes its place: weights whose manifest is another's are refused.
    with saving(path.with_suffix(".json")) as manifest_part, saving(path) as part:
        part.write_bytes(data)
        manifest_part.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    return manifest


def _base_tensors(manifest: Manifest, network: CropNetwork) -> dict[str, Tensor]:
    """The tensors of the model that the network stands on, and those that begin as copies of them."""
    module, function = _BASES
    base = getattr(importlib.import_module(module), function)(manifest.base)
    return base | {name: base[source] for name, source in network.copies().items()}


def _on_base(added: dict[str, Tensor], base: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """A base's tensors with what is added to them, and new ones beside them. Raises UserError where shapes differ."""
    wrong = [name for name, value in added.items() if name in base and base[name].shape != value.shape]
    if wrong:
        raise UserError(f"{path} does not fit the model that it stands on: {wrong[0]} is of another shape; fetch both again")
    return base | {name: base[name] + value if name in base else value for name, value in added.items()}


def fill(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Load `tensors` into `network`; `path` is named where they do not fit. Raises UserError."""
    expected = network.state_dict()
    wrong = sorted(
        expected.keys() ^ tensors.keys()
        | {key for key in expected.keys() & tensors.keys() if expected[key].shape != tensors[key].shape}
    )
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        name = type(network).__name__
        raise UserError(f"{path} does not hold a {name}: {wrong[0]}{more} missing, unexpected or of another shape")
    network.load_state_dict(tensors)


def _load_published(path: Path) -> tuple[dict[str, Tensor], Manifest]:
    data = _read(path)
    if path.with_suffix(".json").exists():
        manifest = read_manifest(path)
        if manifest.sha256:
            _check_digest(path, data, manifest)
    elif path.stem in PUBLISHED_ROOTS:
        manifest = Manifest(
            architecture="detnet",
            root=PUBLISHED_ROOTS[path.stem],
            crop_size=128,
            map_size=32,
            axes="frame",
            training_data="published with S2DHand",
            sha256=hashlib.sha256(data).hexdigest(),
        )
    else:
        raise UserError(
            f"{path} has no manifest: its root joint is unknown; name it like a published checkpoint "
            f"({' or '.join(PUBLISHED_ROOTS)}) or write {path.with_suffix('.json').name} beside it"
        )
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch raises many types here: pickle, zip, runtime, end of file.
        raise UserError(f"{path} is not a readable checkpoint of tensors: fetch it again ({type(error).__name__})") from error
    if isinstance(stored, dict) and isinstance(stored.get("state_dict"), dict):
        stored = stored["state_dict"]
    if not isinstance(stored, dict) or not all(isinstance(value, Tensor) for value in stored.values()):
        raise UserError(f"{path} holds {type(stored).__name__}, expected named tensors: is it a DetNet checkpoint?")
    return {name.removeprefix("module."): _widened(tensor) for name, tensor in stored.items()}, manifest


def read_manifest(weights: Path) -> Manifest:
    """The manifest beside a weights file. Raises UserError where there is none, or it is none."""
    path = weights.with_suffix(".json")
    data = _read(path)
    try:
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise UserError(f"{path} is not a weights manifest: {error}") from error


def _check_digest(path: Path, data: bytes, manifest: Manifest) -> None:
    digest = hashlib.sha256(data).hexdigest()
    if digest != manifest.sha256:
        raise UserError(
            f"{path} has sha256 {digest[:12]}…, its manifest expects {manifest.sha256[:12] or 'none'}…: "
            "the file is damaged or not the one described, fetch both again"
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read weights {path}: {error.strerror}; give the path of a .safetensors or .pth file") from error


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
