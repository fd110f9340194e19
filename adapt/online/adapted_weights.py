"""Adapted weights of a camera pair, kept between runs: one file with the weights, their origin and their validation metrics.

A file is written whole or not at all. Each placement of the cameras has its own: when one was moved, a new file is begun, and the
newest is loaded at the next start.
"""

import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from adapt.online.promotion import ValidationRound
from hand.errors import UserError
from hand.files import write_atomically
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest, build_network, fill

SUFFIX = ".safetensors"
KEY = "duohand"
"""Of the file's metadata."""


class AdaptationRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Origin and metrics of the weights; stored in the file's metadata."""

    version: int = 1
    saved_at: str
    """ISO 8601."""
    base: str
    """sha256 of the weights that were adapted."""
    manifest: Manifest
    steps: int
    figures: dict[str, float]
    """Validation metrics of these weights (`adapt.online.validation.ValidationMetrics`)."""
    before: dict[str, float]
    """Of the weights that were in use before."""


@dataclass(frozen=True, slots=True)
class AdaptedWeights:
    """Adapted weights."""

    tensors: dict[str, Tensor]
    record: AdaptationRecord

    @classmethod
    def of(cls, network: HandNetwork, manifest: Manifest, validation: ValidationRound) -> "AdaptedWeights":
        """`manifest` is that of the weights that were adapted."""
        text = f"{manifest.training_data}; adapted to two cameras live"
        record = AdaptationRecord(
            saved_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            base=manifest.sha256,
            manifest=msgspec.structs.replace(manifest, training_data=text, accuracy={}, sha256=""),
            steps=validation.steps,
            figures=asdict(validation.candidate),
            before=asdict(validation.serving),
        )
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.network.state_dict().items()}
        return cls(tensors, record)

    def network(self) -> HandNetwork:
        """The network, on the CPU. Raises UserError for weights that do not fit their manifest."""
        network = build_network(self.record.manifest)
        fill(network.network, self.tensors, Path("adapted weights"))
        return network.eval()


@dataclass(slots=True)
class AdaptedWeightsFile:
    """The files of one camera pair."""

    folder: Path
    name: str
    """Of the pair of cameras, or as the user calls it."""
    base: str
    """sha256 of the weights that are adapted: files of others are ignored."""
    _number: int | None = field(default=None)
    """Of this placement; found when it is first needed."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.name) or self.name.startswith("."):
            raise UserError(f"the profile's name is {self.name!r}: expected letters, digits, '.', '_' and '-', such as desk")

    def newest(self) -> AdaptedWeights | None:
        """The latest weights of the same base; None where there are none. Raises UserError for a file that cannot be used."""
        found = [
            (adapted.record.saved_at, number, adapted) for number, adapted in self._all() if adapted.record.base == self.base
        ]
        if not found:
            return None
        _, self._number, adapted = max(found, key=lambda one: one[:2])
        return adapted

    @property
    def exists(self) -> bool:
        """Whether there is a file, of any base."""
        return bool(self._numbers())

    def begin_new_file(self) -> None:
        """A camera was moved: earlier files stay as they are."""
        self._number = self._next_number()

    def save(self, adapted: AdaptedWeights) -> Path:
        """Write, whole or not at all. Raises UserError where that cannot be."""
        if self._number is None:
            self._number = self._next_number()
        file = self._file(self._number)
        data = save(adapted.tensors, {KEY: msgspec.json.encode(adapted.record).decode()})
        try:
            write_atomically(file, data)
        except OSError as error:
            raise UserError(f"cannot save adapted weights to {file}: {error.strerror}; make room or rights for it") from error
        return file

    def _all(self) -> list[tuple[int, AdaptedWeights]]:
        return [(number, read_adapted_weights(self._file(number))) for number in self._numbers()]

    def _numbers(self) -> list[int]:
        found = (re.fullmatch(rf"{re.escape(self.name)}~(\d+)", file.stem) for file in self.folder.glob(f"*{SUFFIX}"))
        return sorted(int(match[1]) for match in found if match)

    def _next_number(self) -> int:
        return max(self._numbers(), default=0) + 1

    def _file(self, number: int) -> Path:
        return self.folder / f"{self.name}~{number}{SUFFIX}"


def read_adapted_weights(file: Path) -> AdaptedWeights:
    """Raises UserError for a file that is damaged, or none of ours."""
    try:
        with safe_open(file, "pt") as stored:
            text = (stored.metadata() or {}).get(KEY)
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (it is no dictionary)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file} is damaged ({error}): delete it, and its cameras are adapted to anew") from error
    if text is None:
        raise UserError(f"{file} holds no weights of live adaptation: move it elsewhere, or give another --profile")
    try:
        record = msgspec.json.decode(text, type=AdaptationRecord)
    except msgspec.DecodeError as error:
        raise UserError(f"{file} cannot be understood ({error}): delete it, and its cameras are adapted to anew") from error
    return AdaptedWeights(tensors, record)
