"""AssemblyHands' annotation files, written; `adapt.datasets.assembly_annotations` has the layout."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from adapt.datasets.assembly_annotations import OURS_FROM_ASSEMBLY, SIDES, annotation_names
from hand.errors import UserError
from hand.files import write_atomically
from hand.joints import JOINT_NAMES, JOINTS, PARENTS


@dataclass(frozen=True, slots=True)
class AnnotationFiles:
    """The contents of the three files, by their own keys."""

    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    calibration: dict[str, dict[str, Any]] = field(default_factory=dict)
    joints: dict[str, dict[str, Any]] = field(default_factory=dict)

    def save(self, folder: Path, split: str) -> None:
        """Write them. Raises UserError where that may not be."""
        data = {"images": self.images, "annotations": self.annotations}
        contents = data, {"calibration": self.calibration}, {"annotations": self.joints}
        for name, content in zip(annotation_names(split), contents, strict=True):
            save(folder / "annotations" / split / name, msgspec.json.encode(content))
        save(folder / "annotations" / "skeleton.txt", _skeleton().encode())


def assembly_order(values: np.ndarray) -> np.ndarray:
    """(42, ...) as AssemblyHands orders joints, of values (2, 21, ...) in our order."""
    ordered = np.empty_like(values)
    ordered[:, list(OURS_FROM_ASSEMBLY)] = values
    return ordered.reshape(-1, *values.shape[2:])


def _skeleton() -> str:
    """`skeleton.txt`: name, number and parent of each joint."""
    lines = ["# name number parent"]
    for side, hand in enumerate(SIDES):
        numbers = [side * JOINTS + number for number in OURS_FROM_ASSEMBLY]
        for joint in np.argsort(OURS_FROM_ASSEMBLY).tolist():
            parent = numbers[PARENTS[joint]] if joint else -1
            lines.append(f"{hand[0]}_{JOINT_NAMES[joint]} {numbers[joint]} {parent}")
    return "\n".join(lines) + "\n"


def save(file: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises UserError where that may not be."""
    try:
        write_atomically(file, data)
    except OSError as error:
        raise UserError(f"cannot write {file}: {error}: give a folder that may be written to") from error
