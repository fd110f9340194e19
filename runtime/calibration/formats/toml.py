"""The TOML calibrations of Anipose, freemocap, Caliscope and Pose2Sim: a table a camera, with its place in a common frame."""

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from capture.views import PerView
from hand.errors import UserError
from hand.findings import Finding
from runtime.calibration.formats.calibration import (
    Calibration,
    read_lens,
    read_place,
    read_rotation,
    read_size,
    read_unit_mm,
    unit_assumed,
)
from runtime.calibration.formats.entries import Entry
from runtime.calibration.formats.side import assign_views
from runtime.geometry.lens import Lens

NEAREST_MM = 20.0
"""Nearer cameras say that the file's unit is not the millimetre: it is that of the board, and the file does not say which."""


def is_toml(text: str) -> bool:
    """Whether a text has the table of a camera in TOML."""
    return bool(
        re.search(r"^\s*\[[^\[\]\n]+\]\s*(#.*)?$", text, re.MULTILINE) and re.search(r"^\s*matrix\s*=", text, re.MULTILINE)
    )


def read_toml(path: Path, text: str, choice: tuple[str, ...] | None) -> Calibration:
    """`choice`: the left and the right camera's name, where the user gave them.

    A camera's table has `matrix` (3, 3), `distortions` (4 to 14 numbers, of `cv::fisheye` if `fisheye` is true), `rotation` (a
    rotation vector or a matrix) and `translation`: x_camera = R x_world + t, as in `cv2.projectPoints`. A key `unit_mm`, at
    the top or in `[metadata]`, says the unit of translations. Raises UserError.
    """
    try:
        tables = msgspec.toml.decode(text)
    except msgspec.DecodeError as error:
        raise UserError(f"{path} is not TOML: {error}; write the calibration again") from error
    nested = tables.get("cameras")
    cameras = {key: table for key, table in (nested if isinstance(nested, dict) else tables).items() if _is_camera(table)}
    left, right, findings = _chosen(path, cameras, choice)
    lenses = PerView(_lens(path, left, cameras[left]), _lens(path, right, cameras[right]))
    poses = [_pose(path, key, cameras[key]) for key in (left, right)]
    (R_left, t_left), (R_right, t_right) = poses
    R = R_right @ R_left.T
    unit = _unit(path, tables)
    t_mm = (t_right - R @ t_left) * read_unit_mm(unit)
    where = f"{path}: key `translation` of {left} and {right}"
    hint = "" if unit else "; if its unit is not mm, add `unit_mm` under [metadata], such as 1000 for metres"
    t_mm = read_place(where, t_mm, hint, NEAREST_MM)
    if unit is None:
        findings += (unit_assumed(str(path), t_mm, "add `unit_mm` under [metadata], such as 1000 for metres"),)
    return Calibration(lenses, R, t_mm, findings=findings)


def _is_camera(table: Any) -> bool:
    return isinstance(table, dict) and "matrix" in table


def _chosen(
    path: Path, cameras: dict[str, dict[str, Any]], choice: tuple[str, ...] | None
) -> tuple[str, str, tuple[Finding, ...]]:
    """Keys of the left and the right camera, and what was taken for granted."""
    by_name = {str(table.get("name", key)): key for key, table in cameras.items()} | {key: key for key in cameras}
    names = ", ".join(cameras)
    if choice is not None:
        for name in choice:
            if name not in by_name:
                raise UserError(f"{path} has no camera {name!r}: expected two of {names}, such as {_example(path, cameras)}")
        if len(choice) != 2 or by_name[choice[0]] == by_name[choice[1]]:
            raise UserError(
                f"{path}#{','.join(choice)} does not name two cameras: expected the left and the right one of {names}"
            )
        return by_name[choice[0]], by_name[choice[1]], ()
    if len(cameras) < 2:
        raise UserError(f"{path} holds {len(cameras)} calibrated camera(s): expected both; calibrate them together")
    if len(cameras) > 2:
        raise UserError(
            f"{path} holds {len(cameras)} cameras ({names}): say which are the left and the right one, such as "
            f"--calibration {_example(path, cameras)}"
        )
    keys = list(cameras)
    order = assign_views([str(cameras[key].get("name", key)) for key in keys])
    left, right = order.views.map(lambda index: keys[index])
    return left, right, order.findings(keys, f"give {path}#{right},{left}")


def _example(path: Path, cameras: dict[str, dict[str, Any]]) -> str:
    return f"{path}#{','.join(list(cameras)[:2])}"


def _entry(path: Path, camera: str, table: dict[str, Any], *keys: str) -> Entry:
    """Raises UserError where none of the keys is there."""
    for key in keys:
        if key in table:
            return Entry(f"{path}: key `{camera}.{key}`", table[key])
    raise UserError(f"{path}: there is no key `{camera}.{keys[0]}`: expected a calibrated camera; calibrate again")


def _lens(path: Path, camera: str, table: dict[str, Any]) -> Lens:
    size = table.get("size", table.get("resolution"))
    size_px = None
    if size is not None:
        entry = Entry(f"{path}: key `{camera}.size`", size)
        size_px = read_size(entry.where, entry.array((2,)).tolist())
    coefficients = _entry(path, camera, table, "distortions", "distortion", "dist_coeffs")
    distortion = "equidistant" if table.get("fisheye") in (True, "true", "True") else "radtan"
    return read_lens(_entry(path, camera, table, "matrix"), distortion, coefficients, size_px)


def _pose(path: Path, camera: str, table: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """R_camera_from_world (3, 3) and t (3,) in the file's unit."""
    translation = _entry(path, camera, table, "translation")
    return read_rotation(_entry(path, camera, table, "rotation")), translation.array((3,), flat=True)


def _unit(path: Path, tables: dict[str, Any]) -> Entry | None:
    metadata = tables.get("metadata")
    for name, table in (("unit_mm", tables), ("metadata.unit_mm", metadata)):
        if isinstance(table, dict) and "unit_mm" in table:
            return Entry(f"{path}: key `{name}`", table["unit_mm"])
    return None
