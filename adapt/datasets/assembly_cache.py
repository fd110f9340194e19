"""Files made once for a split of AssemblyHands and kept: its index, and the list of hands that must not be used.

Both are kept next to the annotations, or in a folder that is given: `index_<split>_ego.safetensors`, ours, made anew when the
annotations change; and `invalid_<split>_ego.txt`, the published list, which may also be downloaded, and is made anew when it is
deleted.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tqdm import tqdm

from adapt.datasets.assembly_annotations import FEWEST_JOINTS, SIDES, Annotations, annotation_files, read_annotations
from hand.errors import UserError

_VERSION = 1
"""Of the index."""
_CHECKED_AT_ONCE = 1024
_NAMES = ("sequences", "folders")
_ARRAYS = tuple(part.name for part in fields(Annotations) if part.name not in _NAMES)


def open_index(root: Path, split: str, cache: Path | None = None) -> Annotations:
    """A split's annotations. Raises UserError where they are missing or damaged, or the index cannot be kept."""
    stats = [file.stat() for file in annotation_files(root, split)]
    made_of = f"{_VERSION}: " + ", ".join(f"{stat.st_size} {stat.st_mtime_ns}" for stat in stats)
    file = _folder(root, split, cache) / f"index_{split}_ego.safetensors"
    index = _load_index(file, made_of) if file.is_file() else None
    if index is None:
        index = read_annotations(root, split)
        _save_index(index, file, made_of)
    return index


def usable_hands(root: Path, split: str, index: Annotations, cache: Path | None = None) -> np.ndarray:
    """(M, 2, C) bool: the hand is annotated there, in enough joints, and the list of invalid hands does not name it.

    Makes the list where there is none. Raises UserError where pictures are missing, or the list cannot be kept.
    """
    usable = _enough(index) & np.all(np.isfinite(index.joints_mm), axis=(2, 3))[:, :, None]
    file = _folder(root, split, cache) / f"invalid_{split}_ego.txt"
    if not file.is_file():
        text = "".join(f"{line}\n" for line in _find_invalid(root / "images", split, index))
        _write(file, lambda part: part.write_text(text))
    listed = {line.strip() for line in file.read_text().splitlines()}
    for moment, side, camera in np.argwhere(usable) if listed else ():
        usable[moment, side, camera] = f"{index.picture(moment, camera)},{side}" not in listed
    return usable


def _find_invalid(images: Path, split: str, index: Annotations) -> list[str]:
    """Hands of too few joints, and those of pictures that are not whole. Raises UserError where pictures are missing."""
    places = np.argwhere(index.folder >= 0)
    names = [index.picture(moment, camera) for moment, camera in places]
    whole: list[bool | None] = []
    with (
        ThreadPoolExecutor() as pool,
        tqdm(desc=f"checking the pictures of {split}, once", unit="picture", total=len(names)) as bar,
    ):
        for start in range(0, len(names), _CHECKED_AT_ONCE):
            some = names[start : start + _CHECKED_AT_ONCE]
            whole += pool.map(lambda name: _is_whole(images / name), some)
            bar.update(len(some))
    missing = [name for name, readable in zip(names, whole, strict=True) if readable is None]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(names)} pictures are not in {images}, the first is {missing[0]}: download them, or leave "
            "their sequences out of the annotations"
        )
    enough = _enough(index)
    return [
        f"{name},{side}"
        for (moment, camera), name, readable in zip(places, names, whole, strict=True)
        for side in range(len(SIDES))
        if np.isfinite(index.box_px[moment, side, camera]).all() and not (readable and enough[moment, side, camera])
    ]


def _enough(index: Annotations) -> np.ndarray:
    """(M, 2, C) bool: a picture, a box and enough valid joints."""
    boxed = np.isfinite(index.box_px).all(-1) & (index.folder >= 0)[:, None]
    return boxed & (index.valid.sum(-1) >= FEWEST_JOINTS)


def _is_whole(file: Path) -> bool | None:
    """Whether a JPEG can be read to its end; None where there is none."""
    try:
        data = np.fromfile(file, np.uint8)
    except FileNotFoundError:
        return None
    # Decoders fill in what is missing at the end without an error.
    ends = data[-64:].tobytes().rstrip(b"\0").endswith(b"\xff\xd9")
    return ends and cv2.imdecode(data, cv2.IMREAD_REDUCED_GRAYSCALE_8) is not None


def _folder(root: Path, split: str, cache: Path | None) -> Path:
    return cache or root / "annotations" / split


def _save_index(index: Annotations, file: Path, made_of: str) -> None:
    names = {name: msgspec.json.encode(getattr(index, name)).decode() for name in _NAMES}
    arrays = {name: getattr(index, name) for name in _ARRAYS}
    _write(file, lambda part: save_file(arrays, part, metadata={"made_of": made_of, **names}))


def _load_index(file: Path, made_of: str) -> Annotations | None:
    """The index kept there; None where it is of other annotations, or damaged."""
    try:
        with safe_open(file, "np") as opened:
            metadata = opened.metadata() or {}
            if metadata.get("made_of") != made_of:
                return None
            parts: dict[str, Any] = {name: opened.get_tensor(name) for name in _ARRAYS}
            parts.update({name: msgspec.json.decode(metadata[name], type=tuple[str, ...]) for name in _NAMES})
            return Annotations(**parts)
    except SafetensorError:
        return None


def _write(file: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all; `write` is given the path to write to. Raises UserError where that may not be."""
    part = file.with_suffix(f".{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        part.replace(file)
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot write {file}: {error}: give another folder as the cache, one that may be written to") from error
