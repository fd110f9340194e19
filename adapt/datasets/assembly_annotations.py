"""Annotations of one split of AssemblyHands as arrays: hands, joints, cameras and images.

The layout, and where each fact of it comes from. [T] the toolkit's README and loader (github.com/facebookresearch/
assemblyhands-toolkit), [S] S2DHand's loader (github.com/ut-vision/S2DHand), [C] converters of others that checked the real files:

- `annotations/<split>/assemblyhands_<split>_{ego_data,ego_calib,joint_3d}_v1-1.json`; splits train, val, test [T].
- ego_data, in COCO's manner: `images` with id, file_name, seq_name, camera, frame_idx, width, height; `annotations` with
  image_id, `bbox` {"right", "left"}: [x0, y0, x1, y1] px or null, and `joint_valid` of 42 joints [T].
- joint_3d: `annotations[sequence]["000123"]["world_coord"]`, 42 × 3, mm [T].
- ego_calib: `calibration[sequence]`: `intrinsics[camera]` 3 × 3, `extrinsics["000123"][camera]` 3 × 4 [R t], x_camera = R x_world
  + t; the key of a camera is its name in ego_data and `_mono10bit` [T]; pixel = K x_camera to 2e-5 px of the 2D annotation [C].
- Pictures are `images/<file_name>`: `ego_images_rectified/<split>/<sequence>/<camera>_mono10bit/000123.jpg` [T], [C]; rectified,
  so pinhole, 636 × 480 [C].
- The order of joints: 0 to 20 right hand, 21 to 41 left; of each the thumb's tip, IP, MCP, CMC, the index finger's tip, DIP, PIP,
  MCP and so on; the wrist last [T], [S].
- The headsets' cameras and their numbers, and so what `--setup` and `--pair` mean [S].
- `annotations/<split>/invalid_<split>_ego.txt`: a line `<file_name>,<0 right, 1 left>` for each hand that must not be used: fewer
  than ten valid joints, or a picture that cannot be read [T], [S].

Not verified, for want of the data: what exactly makes a joint valid; whether boxes have a margin; whether pixel (0, 0) is the top
left pixel's centre, as here, or its corner; that pixels are square, which is checked when a hand is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from hand.errors import UserError
from hand.joints import JOINTS
from hand.orders import ASSEMBLYHANDS
from runtime.types import Side

VERSION = "v1-1"
CAMERA_SUFFIX = "_mono10bit"
HEADSETS = (
    ("HMC_21176875", "HMC_21176623", "HMC_21110305", "HMC_21179183"),
    ("HMC_84346135", "HMC_84347414", "HMC_84355350", "HMC_84358933"),
)
"""Cameras of each `--setup`, as `--pair` numbers them."""
CAMERAS = len(HEADSETS[0])
SIDES: tuple[Side, Side] = ("right", "left")
"""In the order of the annotations."""
OURS_FROM_ASSEMBLY: tuple[int, ...] = tuple(np.argsort(ASSEMBLYHANDS.ours).tolist())
"""AssemblyHands' number of each of our joints, within a hand."""
FEWEST_JOINTS = 10
"""Valid joints without which a hand is not used."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Annotations:
    """A split's M moments (one frame number of one sequence), with up to four pictures C and two hands each."""

    sequence: np.ndarray
    """(M,) int32, number of the sequence."""
    frame: np.ndarray
    """(M,) int32."""
    headset: np.ndarray
    """(M,) int8, index into `HEADSETS`."""
    joints_mm: np.ndarray
    """(M, 2, 21, 3) float32, world axes; hands as in `SIDES`, joints in our order. NaN where a moment has none."""
    world_to_camera: np.ndarray
    """(M, C, 3, 4) float32 [R_camera_from_world, t in mm]; NaN where there is no picture."""
    folder: np.ndarray
    """(M, C) int32, number of the picture's folder; -1 where there is no picture."""
    size_px: np.ndarray
    """(M, C, 2) int16, width and height."""
    box_px: np.ndarray
    """(M, 2, C, 4) float32 x0, y0, x1, y1; NaN where the hand is not in the picture."""
    valid: np.ndarray
    """(M, 2, C, 21) bool, joints in our order."""
    intrinsics: np.ndarray
    """(sequences, C, 3, 3) float32 K."""
    sequences: tuple[str, ...]
    folders: tuple[str, ...]
    """Relative to `images`."""

    def picture(self, moment: int, camera: int) -> str:
        """The `file_name` of a picture."""
        return f"{self.folders[self.folder[moment, camera]]}/{self.frame[moment]:06d}.jpg"


def annotation_names(split: str) -> tuple[str, str, str]:
    """File names of pictures and hands, cameras, joints."""
    data, calib, joints = (f"assemblyhands_{split}_{kind}_{VERSION}.json" for kind in ("ego_data", "ego_calib", "joint_3d"))
    return data, calib, joints


def annotation_files(root: Path, split: str) -> tuple[Path, Path, Path]:
    """Of pictures and hands, cameras, joints. Raises UserError where one is missing."""
    data, calib, joints = (root / "annotations" / split / name for name in annotation_names(split))
    for file in (data, calib, joints):
        if not file.is_file():
            raise UserError(f"{file} is not there: give the folder of AssemblyHands that holds `annotations` and `images`")
    return data, calib, joints


def read_annotations(root: Path, split: str) -> Annotations:
    """Read a split's three files, one after the other. Raises UserError where one is missing or not what it should be."""
    data_file, calib_file, joints_file = annotation_files(root, split)
    data = _read(data_file, _Data)
    annotations = _Moments(data, data_file).annotations()
    names = annotations.sequences
    for number, calib in _of_sequences(calib_file, _Calibrations, "calibration", names, _Calibration):
        _add_cameras(annotations, number, calib, calib_file)
    for number, joints in _of_sequences(joints_file, _Joints3D, "annotations", names, dict[str, _Joints]):
        _add_joints(annotations, number, joints, joints_file)
    return annotations


class _Image(msgspec.Struct):
    id: int
    file_name: str
    seq_name: str
    camera: str
    frame_idx: int
    width: int
    height: int


class _Annotation(msgspec.Struct):
    image_id: int
    bbox: dict[str, list[float] | None]
    joint_valid: list[Any]


class _Data(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]


class _Calibrations(msgspec.Struct):
    calibration: dict[str, msgspec.Raw]


class _Calibration(msgspec.Struct):
    intrinsics: dict[str, list[list[float]]]
    extrinsics: dict[str, dict[str, list[list[float]]]]


class _Joints3D(msgspec.Struct):
    annotations: dict[str, msgspec.Raw]


class _Joints(msgspec.Struct):
    world_coord: list[list[float]]


class _Moments:
    """Rows in the making: pictures of one moment come together; sequences are numbered as the file first names them."""

    def __init__(self, data: _Data, file: Path):
        self._data, self._file = data, file
        self._place = {name: (headset, camera) for headset, names in enumerate(HEADSETS) for camera, name in enumerate(names)}
        self._sequences: dict[str, int] = {}
        self._folders: dict[str, int] = {}
        self._rows: dict[tuple[int, int, int], int] = {}
        self._of_image: dict[int, tuple[int, int]] = {}

    def annotations(self) -> Annotations:
        pictures = [self._picture(image) for image in self._data.images if image.camera in self._place]
        # The order in which the published evaluation takes them, where files tell of frames in ascending order.
        keys = sorted(self._rows)
        order = np.argsort([self._rows[key] for key in keys])
        m = len(keys)
        found = Annotations(
            sequence=np.array([key[0] for key in keys], np.int32),
            frame=np.array([key[1] for key in keys], np.int32),
            headset=np.array([key[2] for key in keys], np.int8),
            joints_mm=np.full((m, len(SIDES), JOINTS, 3), np.nan, np.float32),
            world_to_camera=np.full((m, CAMERAS, 3, 4), np.nan, np.float32),
            folder=np.full((m, CAMERAS), -1, np.int32),
            size_px=np.zeros((m, CAMERAS, 2), np.int16),
            box_px=np.full((m, len(SIDES), CAMERAS, 4), np.nan, np.float32),
            valid=np.zeros((m, len(SIDES), CAMERAS, JOINTS), bool),
            intrinsics=np.full((len(self._sequences), CAMERAS, 3, 3), np.nan, np.float32),
            sequences=tuple(self._sequences),
            folders=tuple(self._folders),
        )
        for row, camera, folder, size_px in pictures:
            found.folder[order[row], camera] = folder
            found.size_px[order[row], camera] = size_px
        for annotation in self._data.annotations:
            if annotation.image_id in self._of_image:
                row, camera = self._of_image[annotation.image_id]
                self._hands(annotation, found, int(order[row]), camera)
        return found

    def _picture(self, image: _Image) -> tuple[int, int, int, tuple[int, int]]:
        folder, _, name = image.file_name.rpartition("/")
        if name != f"{image.frame_idx:06d}.jpg":
            raise UserError(
                f"{self._file}: picture {image.file_name!r} is of frame {image.frame_idx}: expected its name to be that number, "
                f"{image.frame_idx:06d}.jpg, as AssemblyHands {VERSION} has it"
            )
        headset, camera = self._place[image.camera]
        sequence = self._sequences.setdefault(image.seq_name, len(self._sequences))
        row = self._rows.setdefault((sequence, image.frame_idx, headset), len(self._rows))
        self._of_image[image.id] = row, camera
        return row, camera, self._folders.setdefault(folder, len(self._folders)), (image.width, image.height)

    def _hands(self, annotation: _Annotation, found: Annotations, row: int, camera: int) -> None:
        valid = _array(annotation.joint_valid, (-1,), f"{self._file}: image {annotation.image_id}: joint_valid")
        if valid.size != len(SIDES) * JOINTS:
            raise UserError(f"{self._file}: image {annotation.image_id} has {valid.size} joint_valid, expected 42")
        for side, name in enumerate(SIDES):
            box = annotation.bbox.get(name)
            if box is not None:
                found.box_px[row, side, camera] = _array(box, (4,), f"{self._file}: image {annotation.image_id}: bbox")
                found.valid[row, side, camera] = valid.reshape(len(SIDES), JOINTS)[side, list(OURS_FROM_ASSEMBLY)] > 0


def _add_cameras(found: Annotations, sequence: int, calib: _Calibration, file: Path) -> None:
    for row in np.flatnonzero(found.sequence == sequence):
        where = f"{file}: {found.sequences[sequence]}"
        frame = f"{found.frame[row]:06d}"
        for camera in np.flatnonzero(found.folder[row] >= 0):
            name = HEADSETS[found.headset[row]][camera] + CAMERA_SUFFIX
            if name not in calib.intrinsics or name not in calib.extrinsics.get(frame, {}):
                raise UserError(f"{where}: camera {name} is missing for frame {frame}: expected one for every picture")
            found.intrinsics[sequence, camera] = _array(calib.intrinsics[name], (3, 3), f"{where}: intrinsics of {name}")
            extrinsics = calib.extrinsics[frame][name]
            found.world_to_camera[row, camera] = _array(extrinsics, (3, 4), f"{where}: extrinsics of {name}, frame {frame}")


def _add_joints(found: Annotations, sequence: int, joints: dict[str, _Joints], file: Path) -> None:
    for row in np.flatnonzero(found.sequence == sequence):
        frame = f"{found.frame[row]:06d}"
        if frame in joints:
            where = f"{file}: {found.sequences[sequence]}, frame {frame}: world_coord"
            world = _array(joints[frame].world_coord, (len(SIDES) * JOINTS, 3), where).reshape(len(SIDES), JOINTS, 3)
            found.joints_mm[row] = world[:, list(OURS_FROM_ASSEMBLY)]


def _of_sequences(file: Path, kind: type, key: str, names: tuple[str, ...], part: type[T]) -> Iterator[tuple[int, T]]:
    """Each sequence's number and its part of a file, one by one: as text a file fits into memory, as objects it may not."""
    parts: dict[str, msgspec.Raw] = getattr(_read(file, kind), key)
    for number, name in enumerate(names):
        if name not in parts:
            raise UserError(f"{file}: sequence {name} is missing: expected all that are in the other files")
        try:
            yield number, msgspec.json.decode(parts[name], type=part)
        except msgspec.DecodeError as error:
            raise UserError(f"{file}: sequence {name}: {error}: expected AssemblyHands {VERSION}") from error


def _read(file: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}: expected AssemblyHands {VERSION}; download it again") from error


def _array(values: list[Any], shape: tuple[int, ...], where: str) -> np.ndarray:
    try:
        return np.asarray(values, float).reshape(shape)
    except (TypeError, ValueError) as error:
        expected = " x ".join(map(str, shape)) if shape != (-1,) else "a row of"
        raise UserError(f"{where} is not {expected} numbers: expected AssemblyHands {VERSION}") from error
