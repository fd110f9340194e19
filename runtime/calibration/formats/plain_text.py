"""Plain text calibrations of scripts around `cv2.stereoCalibrate`: `intrinsic:`, `distortion:`, `R:` and `T:` over numbers."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from hand.errors import UserError
from runtime.calibration.formats.calibration import (
    Calibration,
    LensCalibration,
    lenses_only,
    read_lens,
    read_place,
    read_rotation,
    read_unit_mm,
    unit_assumed,
)
from runtime.calibration.formats.entries import Entry
from runtime.calibration.formats.side import assign_views
from runtime.geometry.lens import Lens

NEAREST_MM = 20.0
"""Nearer cameras say that the unit is not the millimetre: it is that of the board, and the file does not say which."""
_NAMES = {
    "matrix": ("intrinsic", "intrinsics", "camera matrix", "k"),
    "coefficients": ("distortion", "distortions", "dist", "d"),
    "R": ("r", "rotation"),
    "T": ("t", "translation"),
    "unit_mm": ("unit_mm",),
}
_HEADER = re.compile(rf"^({'|'.join(name for names in _NAMES.values() for name in names)})\s*:\s*$", re.MULTILINE | re.IGNORECASE)
_CAMERA = re.compile(r"(?:camera|cam|c)[_ -]?(\d+)|(left|right)", re.IGNORECASE)
"""Which camera a file's name says that it is of."""


def is_plain_text(text: str) -> bool:
    """Whether a text begins with one of the headers."""
    return bool(_HEADER.match(text.lstrip()))


_NAME = re.compile(r"^([A-Za-z]\w*)\s*[:=]\s*$", re.MULTILINE)
_ROWS = re.compile(r"[\s\d.,;eE+\[\]()-]+|nan|inf")


def named_values(path: Path, text: str) -> list[tuple[str, Any]] | None:
    """Values of a text that has a name such as `K1:` over each, or only numbers, whose name is the file's; None for others."""
    first, *sections = _NAME.split(text)
    if not all(_ROWS.fullmatch(body) for body in (first if first.strip() else "0", *sections[1::2])):
        return None
    if sections and not first.strip():
        return [(name, _numbers(body)) for name, body in zip(sections[::2], sections[1::2], strict=True)]
    return None if sections or not first.strip() else [(path.stem, _numbers(first))]


def read_plain_texts(texts: dict[Path, str]) -> LensCalibration:
    """Of several files, such as camera0_intrinsics.dat, camera1_intrinsics.dat, camera0_rot_trans.dat, camera1_rot_trans.dat.

    R and T place a camera in a common frame, x_camera = R x_world + T; without those of the left camera, that frame is its own.
    Without any, only the lenses are known. Raises UserError.
    """
    cameras: dict[str, dict[str, Entry]] = {}
    for path, text in texts.items():
        match = _CAMERA.search(path.stem)
        camera = (match[1] or match[2]).casefold() if match else path.stem
        cameras.setdefault(camera, {}).update(_entries(path, text))
    files = " and ".join(map(str, texts))
    if len(cameras) != 2:
        raise UserError(
            f"{files}: plain text of {len(cameras)} camera(s) ({', '.join(cameras)}): expected the files of both, as in "
            "--calibration camera0_intrinsics.dat camera0_rot_trans.dat camera1_intrinsics.dat camera1_rot_trans.dat"
        )
    order = assign_views(list(cameras))
    views = order.views.map(lambda index: list(cameras.items())[index])
    lenses = views.map(lambda named: _lens(files, *named))
    left, right = views.map(lambda named: named[1])
    names = [f"camera {name} of {files}" for name in cameras]
    findings = order.findings(names, "give the files the other way round")
    if "R" not in right or "T" not in right:
        return LensCalibration(lenses, findings=(*findings, lenses_only(f"{files} hold no `R:` and `T:` of the right camera")))
    R_left, t_left = (read_rotation(left["R"]), left["T"].array((3,), flat=True)) if {"R", "T"} <= left.keys() else _ORIGIN
    R = read_rotation(right["R"]) @ R_left.T
    unit = right.get("unit_mm") or left.get("unit_mm")
    t_mm = (right["T"].array((3,), flat=True) - R @ t_left) * read_unit_mm(unit)
    advice = "add lines `unit_mm:` and 10 for centimetres, 1000 for metres or the millimetres of a board's square"
    t_mm = read_place(right["T"].where, t_mm, "" if unit else f"; if its unit is not mm, {advice}", NEAREST_MM)
    if unit is None:
        findings += (unit_assumed(right["T"].where, t_mm, advice),)
    return Calibration(lenses, R, t_mm, findings=findings)


_ORIGIN = np.eye(3), np.zeros(3)


def _entries(path: Path, text: str) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    _, *sections = _HEADER.split(text)
    for header, body in zip(sections[::2], sections[1::2], strict=True):
        [name] = [name for name, headers in _NAMES.items() if header.casefold() in headers]
        found[name] = Entry(f"{path}: `{header}:`", _numbers(body))
    return found


def _numbers(body: str) -> Any:
    """Rows of numbers as they stand; a single row or number without its outer list."""
    rows: list[Any] = [re.findall(r"[^\s,;\[\]]+", line) for line in body.splitlines() if line.strip()]
    if len(rows) == 1:
        rows = rows[0]
    return rows[0] if len(rows) == 1 else rows


def _lens(files: str, camera: str, entries: dict[str, Entry]) -> Lens:
    for name, header in (("matrix", "intrinsic:"), ("coefficients", "distortion:")):
        if name not in entries:
            raise UserError(f"{files}: camera {camera} has no `{header}`: expected the files of both cameras; give that one too")
    # Plain scripts use OpenCV's plain model.
    return read_lens(entries["matrix"], "radtan", entries["coefficients"], None)
