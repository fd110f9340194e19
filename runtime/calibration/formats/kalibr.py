"""Kalibr's calibration: the camchain YAML of two cameras."""

from pathlib import Path
from typing import Any, cast

import msgspec

from capture.views import PerView
from hand.errors import UserError
from runtime.calibration.formats.calibration import Calibration, lens_of, nearest_rotation, read_place, read_size
from runtime.calibration.formats.entries import Entry
from runtime.geometry.lens import COEFFICIENTS, Distortion, Lens


class _KalibrCamera(msgspec.Struct):
    camera_model: str
    intrinsics: list[float]
    distortion_model: str
    distortion_coeffs: list[float]
    resolution: tuple[int, int]
    T_cn_cnm1: list[list[float]] | None = None


class _Camchain(msgspec.Struct):
    cam0: _KalibrCamera
    cam1: _KalibrCamera
    cam2: Any = None


def read_camchain(path: Path, text: str) -> Calibration:
    """cam0 is the left camera; T_cn_cnm1 is in metres, as Kalibr writes it. Raises UserError."""
    try:
        # YAML 1.1 takes 1e-05 for text.
        chain = msgspec.yaml.decode(text, type=_Camchain, strict=False)
    except msgspec.ValidationError as error:
        what, _, key = str(error).replace("Object missing required", "missing").partition(" - at `$.")
        raise UserError(f"{path}: {f'key `{key}: ' if key else ''}{what[:1].lower()}{what[1:]} in Kalibr's camchain") from error
    except msgspec.DecodeError as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if chain.cam2 is not None:
        raise UserError(f"{path} has a cam2: expected two cameras; keep cam0 (left) and cam1 (right)")
    lenses = PerView(_lens(f"{path}: key `cam0.", chain.cam0), _lens(f"{path}: key `cam1.", chain.cam1))
    entry = Entry(f"{path}: key `cam1.T_cn_cnm1`", chain.cam1.T_cn_cnm1)
    T = entry.array((4, 4))
    if T[3].tolist() != [0, 0, 0, 1]:
        raise UserError(f"{entry.where} ends with the row {T[3].tolist()}: expected [0, 0, 0, 1]")
    t_mm = read_place(entry.where, T[:3, 3] * 1000, "; Kalibr's unit is the metre")
    return Calibration(lenses, nearest_rotation(entry, T[:3, :3]), t_mm)


def _lens(where: str, camera: _KalibrCamera) -> Lens:
    if camera.camera_model != "pinhole":
        raise UserError(
            f"{where}camera_model` is {camera.camera_model}: expected pinhole; calibrate anew on the same images with "
            "--models pinhole-radtan pinhole-radtan, or pinhole-equi for wide lenses"
        )
    if camera.distortion_model not in COEFFICIENTS:
        raise UserError(f"{where}distortion_model` is {camera.distortion_model}: expected one of {', '.join(COEFFICIENTS)}")
    intrinsics = Entry(f"{where}intrinsics`", camera.intrinsics)
    return lens_of(
        intrinsics.where,
        intrinsics.array((4,)).tolist(),
        cast(Distortion, camera.distortion_model),
        Entry(f"{where}distortion_coeffs`", camera.distortion_coeffs),
        read_size(f"{where}resolution`", camera.resolution),
    )
