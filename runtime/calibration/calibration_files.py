"""A calibration that the user brings, read from the files of whatever program made it: what a file is, its content tells."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hand.errors import UserError
from hand.files import is_stream
from runtime.calibration.formats import kalibr, opencv, plain_text, plain_yaml, ros, toml
from runtime.calibration.formats.calibration import LensCalibration
from runtime.calibration.formats.choice import calibration_file, chosen_cameras

FORMATS = (
    "OpenCV's YAML, XML or JSON, NumPy's .npz of the same values, Kalibr's camchain with cam0 and cam1, the TOML of Anipose, "
    "freemocap, Caliscope or Pose2Sim, ROS camera_info of both cameras, or plain text with intrinsic: and distortion:"
)
MAX_BYTES = 64_000_000
"""Undistortion maps beside the numbers make files of some megabytes; a larger one is a clip or a recording."""
_FOREIGN = (
    (b"MATLAB 5.0", "is MATLAB's .mat: write the values of stereoParametersToOpenCV to a file of a known format"),
    (b"\x89HDF", "is MATLAB's .mat or another HDF5: write the values of stereoParametersToOpenCV to a file of a known format"),
    (b"\x80", "is a Python pickle, which can run any program: save the arrays with numpy.savez(FILE, K1=..., D1=..., ...)"),
)


def read_calibration(*paths: Path) -> LensCalibration:
    """The calibration in a file, or in several together; a `Calibration` unless only the lenses are known.

    OpenCV (FileStorage: YAML, XML or JSON), other JSON or YAML, NumPy (.npz, .npy): camera 1 is the left one; several files are
    read as one, such as intrinsics.yml and extrinsics.yml of OpenCV's stereo_calib sample. Keys in any case, with or without
    underscores, in many spellings (`runtime.calibration.formats.opencv`):

    - `M1`, `K1`, `mtx1` or `camera_matrix_1`: (3, 3), and `D1`, `dist_1`, `dist_coeffs_1` or `distortion_coefficients_1`:
      4, 5, 8, 12 or 14 numbers; 2 for the right camera; left and right, or L and R, may stand for 1 and 2, and before the name
    - `R` or `rotation`: (3, 3), or a rotation vector, and `T` or `translation`: 3 numbers, with x_2 = R x_1 + T
    - `unit_mm`: T's unit. Without it T is in mm, and refused where it is too short for that: no file says whether its board was
      measured in mm, in metres or in squares, and a guess would be wrong without anyone noticing
    - `fisheye_model`: 1 for `cv::fisheye`'s model, 0 for the plain one; needed with 4 coefficients, as both can have so many
    - `image_width` and `image_height`, or `image_size`, of both cameras; without them, of the frames that come

    Kalibr (camchain YAML of two cameras): cam0 is the left one. Pinhole with radtan, equidistant or no distortion; T_cn_cnm1 in
    metres, as Kalibr writes it.

    TOML of Anipose, freemocap, Caliscope or Pose2Sim: a table a camera; `FILE#NAME,NAME` names the left and the right one where
    there are more than two, or where they are the other way round. `unit_mm` as above.

    ROS camera_info, a file a camera: the place from rectification and projection, in metres.

    Plain text (`intrinsic:`, `distortion:`, `R:`, `T:`), the files of both cameras; or OpenCV's names over their numbers (`K1:`),
    or a file of numbers for each value, as `numpy.savetxt` writes them (K1.txt).

    Raises UserError naming file, key, what is there and what is expected.
    """
    choices = {calibration_file(path): chosen_cameras(path) for path in paths}
    texts: dict[Path, str] = {}
    entries: dict[Path, Sequence[tuple[str, Any]]] = {}
    for path in choices:
        content = _content(path)
        if opencv.is_numpy(content):
            entries[path] = opencv.read_numpy(path)
            continue
        texts[path] = _text(path, content)
    for path, text in texts.items():
        alone = "Kalibr's" if re.search(r"^cam\d:", text, re.MULTILINE) else "TOML" if toml.is_toml(text) else None
        if alone and len(choices) > 1:
            raise UserError(f"{path} is {alone}: expected it alone, as it holds the whole calibration")
        if alone == "Kalibr's":
            return kalibr.read_camchain(path, text)
        if alone == "TOML":
            return toml.read_toml(path, text, choices[path])
    if texts and not entries and all(map(ros.is_camera_info, texts.values())):
        return ros.read_camera_infos(texts)
    if texts and not entries and all(map(plain_text.is_plain_text, texts.values())):
        return plain_text.read_plain_texts(texts)
    for path, text in texts.items():
        if opencv.is_storage(text):
            values = list(opencv.read_storage(path, text))
        else:
            # YAML first: its dashes would be a text's numbers.
            values = plain_yaml.read_yaml(path, text) or plain_text.named_values(path, text)
        if values is None:
            raise UserError(f"{path} is no calibration: expected {FORMATS}")
        entries[path] = values
    return opencv.read_entries({path: entries[path] for path in choices})


def _content(path: Path) -> bytes:
    try:
        if is_stream(path):
            raise UserError(f"the calibration {path} is a device or a pipe, and it is read more than once: give a file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read the calibration {path}: {error.strerror}; give a file that can be read") from error
    if len(content) > MAX_BYTES:
        raise UserError(f"{path} is no calibration, it has more than {MAX_BYTES // 1_000_000} MB: expected {FORMATS}")
    return content


def _text(path: Path, content: bytes) -> str:
    for begin, what in _FOREIGN:
        if content.startswith(begin):
            raise UserError(f"{path} {what}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text in UTF-8: expected {FORMATS}; if it is text, save it as UTF-8") from error
