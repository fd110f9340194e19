"""ROS' calibration: the `camera_info` YAML of each camera, whose rectification and projection hold the place of the right one."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hand.errors import UserError
from runtime.calibration.formats.calibration import (
    Calibration,
    LensCalibration,
    lenses_only,
    nearest_rotation,
    read_lens,
    read_place,
    read_size,
)
from runtime.calibration.formats.entries import Entry
from runtime.calibration.formats.side import assign_views
from runtime.geometry.lens import Distortion, Lens

_MODELS: dict[str, Distortion] = {
    "plumb_bob": "radtan",
    "rational_polynomial": "radtan",
    "equidistant": "equidistant",
    "fisheye": "equidistant",
}
_KEYS = {"k": "camera_matrix", "d": "distortion_coefficients", "r": "rectification_matrix", "p": "projection_matrix"}
"""What a message calls the values of a file."""


@dataclass(frozen=True, slots=True)
class _Camera:
    name: str
    lens: Lens
    rectification: Entry
    """(3, 3) x_rectified = R x."""
    projection: Entry
    """(3, 4) of the rectified image; its fourth column is the translation in metres times the focal lengths."""

    @property
    def offset_m(self) -> np.ndarray:
        """(3,) where the common frame's origin is in the rectified camera."""
        P = self.projection.array((3, 4))
        return np.array([P[0, 3] / P[0, 0], P[1, 3] / P[1, 1], 0.0])


def is_camera_info(text: str) -> bool:
    """Whether a text is a file of `camera_calibration_parsers`, or a `CameraInfo` message as `topic echo` prints it."""
    return bool(
        re.search(r"^distortion_model\s*:", text, re.MULTILINE)
        and re.search(r"^(camera_matrix|[Kk])\s*:", text, re.MULTILINE)
        # Those are OpenCV's.
        and not text.lstrip().startswith("{")
        and "!!opencv-matrix" not in text
    )


def read_camera_infos(texts: dict[Path, str]) -> LensCalibration:
    """Of two files, one a camera: left and right by their names, or by their order.

    Cameras that were calibrated one by one, with no baseline in their projections, give their lenses alone. Raises UserError.
    """
    paths = list(texts)
    if len(paths) != 2:
        raise UserError(
            f"{' and '.join(map(str, paths))}: ROS camera_info of {len(paths)} camera(s): expected two files, as in "
            "--calibration left.yaml right.yaml"
        )
    read = [_camera(path, text) for path, text in texts.items()]
    order = assign_views([camera.name for camera in read])
    if not order.named:
        order = assign_views([path.stem for path in paths])
    cameras = order.views.map(lambda index: read[index])
    lenses = cameras.map(lambda camera: camera.lens)
    findings = order.findings(paths, "give them the other way round")
    offset_m = cameras.right.offset_m - cameras.left.offset_m
    R_left, R_right = cameras.map(lambda camera: nearest_rotation(camera.rectification, camera.rectification.array((3, 3))))
    if not offset_m.any():
        alone = lenses_only("the camera_info files hold no baseline (each camera was calibrated alone)")
        return LensCalibration(lenses, findings=(*findings, alone))
    # Rectified axes are common to both: R_right x_right = R_left x_left + offset.
    t_mm = read_place(cameras.right.projection.where, R_right.T @ offset_m * 1000, "; ROS' unit is the metre")
    return Calibration(lenses, R_right.T @ R_left, t_mm, findings=findings)


def _camera(path: Path, text: str) -> _Camera:
    # A message as printed ends with a line of three dashes.
    document = re.sub(r"\A(%YAML.*\n)?---.*\n", "", text.lstrip()).split("\n---")[0]
    try:
        values = msgspec.yaml.decode(document, strict=False)
    except msgspec.DecodeError as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    values = {_KEYS.get(str(key).casefold(), str(key)): value for key, value in values.items()}

    def entry(key: str) -> Entry:
        if key not in values:
            raise UserError(f"{path}: there is no key `{key}`: expected ROS camera_info; calibrate again with camera_calibration")
        value = values[key]
        return Entry(f"{path}: key `{key}`", value.get("data") if isinstance(value, dict) else value)

    def matrix(key: str, rows: int, columns: int) -> Entry:
        flat = entry(key)
        return Entry(flat.where, flat.array((rows * columns,), (rows, columns)).reshape(rows, columns))

    model = str(values["distortion_model"])
    coefficients = entry("distortion_coefficients")
    if model not in _MODELS and np.any(coefficients.value or []):
        raise UserError(
            f"{path}: key `distortion_model` is {model or 'empty'}: expected one of {', '.join(_MODELS)}; calibrate again"
        )
    distortion = _MODELS.get(model, "none")
    size_px = _size(path, values)
    coefficients = coefficients if distortion != "none" else Entry(coefficients.where, [])
    return _Camera(
        str(values.get("camera_name", path.stem)),
        read_lens(matrix("camera_matrix", 3, 3), distortion, coefficients, size_px),
        matrix("rectification_matrix", 3, 3),
        matrix("projection_matrix", 3, 4),
    )


def _size(path: Path, values: dict[str, Any]) -> tuple[int, int] | None:
    width, height = (values.get(f"image_{name}", values.get(name)) for name in ("width", "height"))
    if width is None or height is None:
        return None
    entry = Entry(f"{path}: key `image_width`", [width, height])
    return read_size(entry.where, entry.array((2,)).tolist())
