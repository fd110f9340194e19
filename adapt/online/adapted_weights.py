"""What was learnt of two cameras, kept between runs: one file with weights, where they come from, and how good they were.

A file is written whole or not at all. Each placement of the cameras has its own: when one was moved, a new file is begun, and the
newest is taken up at the next start.
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
    """What a file says of its weights; stored in its metadata."""

    version: int = 1
    saved_at: str
    """ISO 8601."""
    base: str
    """sha256 of the weights that were adapted."""
    manifest: Manifest
    steps: int
    figures: dict[str, float]
    """Evidence on hands held out, of these weights; `adapt.online.validation` says what each means."""
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
        told = f"{manifest.training_data}; adapted to two cameras live"
        record = AdaptationRecord(
            saved_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            base=manifest.sha256,
            manifest=msgspec.structs.replace(manifest, training_data=told, accuracy={}, sha256=""),
            steps=validation.steps,
            figures=asdict(validation.candidate),
            before=asdict(validation.serving),
        )
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.network.state_dict().items()}
        return cls(tensors, record)

    def network(self) -> HandNetwork:
        """The network, on the CPU. Raises UserError for weights that are not what they are said to be."""
        network = build_network(self.record.manifest)
        fill(network.network, self.tensors, Path("what was learnt"))
        return network.eval()


@dataclass(slots=True)
class AdaptedWeightsFile:
    """Where what is learnt of one pair of cameras is kept."""

    folder: Path
    name: str
    """Of the pair of cameras, or as the user calls it."""
    base: str
    """sha256 of the weights that are adapted: what was learnt from others is left alone."""
    _number: int | None = field(default=None)
    """Of this placement; found when it is first needed."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.name) or self.name.startswith("."):
            raise UserError(f"the profile's name is {self.name!r}: expected letters, digits, '.', '_' and '-', such as desk")

    def newest(self) -> AdaptedWeights | None:
        """What was last learnt from the same weights; None where nothing was. Raises UserError for a file that cannot be used."""
        found = [(learnt.record.saved_at, number, learnt) for number, learnt in self._all() if learnt.record.base == self.base]
        if not found:
            return None
        _, self._number, learnt = max(found, key=lambda one: one[:2])
        return learnt

    @property
    def exists(self) -> bool:
        """Whether anything was learnt, from whichever weights."""
        return bool(self._numbers())

    def begin_anew(self) -> None:
        """The cameras stand otherwise now: what was learnt before stays as it is."""
        self._number = self._next_number()

    def save(self, learnt: AdaptedWeights) -> Path:
        """Write, whole or not at all. Raises UserError where that cannot be."""
        if self._number is None:
            self._number = self._next_number()
        file = self._file(self._number)
        data = save(learnt.tensors, {KEY: msgspec.json.encode(learnt.record).decode()})
        try:
            write_atomically(file, data)
        except OSError as error:
            raise UserError(f"cannot keep what was learnt in {file}: {error.strerror}; make room or rights for it") from error
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
            told = (stored.metadata() or {}).get(KEY)
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (it is no dictionary)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file} is damaged ({error}): delete it, and its cameras are adapted to anew") from error
    if told is None:
        raise UserError(f"{file} holds no weights that were learnt live: move it elsewhere, or give another --profile")
    try:
        record = msgspec.json.decode(told, type=AdaptationRecord)
    except msgspec.DecodeError as error:
        raise UserError(f"{file} cannot be understood ({error}): delete it, and its cameras are adapted to anew") from error
    return AdaptedWeights(tensors, record)
