"""Calibrations of camera pairs, kept between runs: one JSON file a pair."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from capture.sources.registry import parse_source
from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.files import write_atomically
from hand.folders import data_folder
from hand.rotations import project_to_rotation
from runtime.geometry.two_view import TwoViewGeometry

_Row = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class CameraPair:
    """Which cameras, in which mode, on which side. Cameras that change places are another pair."""

    sources: PerView[str]
    """Each camera's own name: a device's path, a file's absolute one, a feed's address."""
    sizes_px: PerView[tuple[int, int]]
    """Frames' (width, height)."""

    @classmethod
    def of(cls, sources: PerView[str], sizes_px: PerView[tuple[int, int]]) -> "CameraPair":
        """From sources as the user writes them (`0` is /dev/video0); raises UserError for what is none."""
        return cls(sources.map(_camera_name), sizes_px)


class CameraProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One camera."""

    source: str
    size_px: tuple[int, int]
    centre_px: tuple[float, float]
    focal_px: float
    focal_percent: float
    """Standard deviation of the focal length; 0 where it was given."""
    focal_given: bool
    """By the user or by the camera, not found."""

    def __post_init__(self) -> None:
        _expect(self, lambda number: np.isfinite(number), "finite numbers", "centre_px")
        _expect(self, lambda number: 0 < number < np.inf, "numbers above 0", "size_px", "focal_px")
        _expect(self, lambda number: 0 <= number < np.inf, "0 or more", "focal_percent")


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pair of cameras and where they are to each other: x_right = R_right_from_left x_left + t_right_from_left_mm."""

    version: Literal[1] = 1
    saved_at: str
    """ISO 8601."""
    left: CameraProfile
    right: CameraProfile
    R_right_from_left: tuple[_Row, _Row, _Row]
    t_right_from_left_mm: _Row
    hand_size_mm: float
    """The hand's size (wrist to middle knuckle) that gave t its length."""
    rotation_deg: float
    """Standard deviation of the rotation."""
    baseline_deg: float
    """Standard deviation of t's direction."""
    pairs: int
    """Pairs of hands that it was found from."""

    def __post_init__(self) -> None:
        R = np.array(self.R_right_from_left)
        if not np.abs(R - project_to_rotation(R)).max() < 1e-6:
            raise ValueError("R_right_from_left is no rotation")
        _expect(self, lambda number: 0 < number < np.inf, "a number above 0", "hand_size_mm")
        _expect(self, lambda number: 0 <= number < np.inf, "0 or more", "rotation_deg", "baseline_deg", "pairs")
        if not 0 < np.linalg.norm(self.t_right_from_left_mm) < np.inf:
            raise ValueError(f"t_right_from_left_mm is {list(self.t_right_from_left_mm)}: expected a finite length above 0")

    @classmethod
    def of(
        cls,
        pair: CameraPair,
        geometry: TwoViewGeometry,
        *,
        hand_size_mm: float,
        rotation_deg: float,
        baseline_deg: float,
        focal_percent: PerView[float],
        focal_given: PerView[bool],
        pairs: int,
        saved_at: str,
    ) -> "Profile":
        """What was found of `pair`; `saved_at`: the time, ISO 8601. Raises ValueError for numbers that are none."""
        assert pair.sizes_px == geometry.cameras.map(lambda camera: camera.size_px), (pair, geometry.cameras)

        def camera(view: View) -> CameraProfile:
            x, y = geometry.cameras[view].centre_px
            return CameraProfile(
                source=pair.sources[view],
                size_px=pair.sizes_px[view],
                centre_px=(float(x), float(y)),
                focal_px=float(geometry.cameras[view].focal_px),
                focal_percent=float(focal_percent[view]),
                focal_given=bool(focal_given[view]),
            )

        r0, r1, r2 = (_row(row) for row in geometry.R_right_from_left)
        return cls(
            saved_at=saved_at,
            left=camera("left"),
            right=camera("right"),
            R_right_from_left=(r0, r1, r2),
            t_right_from_left_mm=_row(geometry.t_right_from_left_mm),
            hand_size_mm=float(hand_size_mm),
            rotation_deg=float(rotation_deg),
            baseline_deg=float(baseline_deg),
            pairs=int(pairs),
        )

    @property
    def cameras(self) -> PerView[CameraProfile]:
        return PerView(self.left, self.right)

    def geometry(self, hand_size_mm: float | None = None) -> TwoViewGeometry:
        """Both cameras and the right one's place; for a hand of `hand_size_mm`, or of the size that it was saved with."""
        scale = 1.0 if hand_size_mm is None else hand_size_mm / self.hand_size_mm
        cameras = self.cameras.map(lambda camera: PinholeCamera(camera.focal_px, camera.centre_px, camera.size_px))
        return TwoViewGeometry(cameras, np.array(self.R_right_from_left), np.array(self.t_right_from_left_mm) * scale)


def default_folder() -> Path:
    """Where profiles are kept."""
    return data_folder("cameras")


def profile_file(pair: CameraPair, folder: Path) -> Path:
    """The file of a pair, named for people and, by a hash, for no other pair."""
    key = msgspec.json.encode((*pair.sources, *pair.sizes_px))
    names = (f"{_short(source)}-{width}x{height}" for source, (width, height) in zip(pair.sources, pair.sizes_px, strict=True))
    return folder / f"{'_'.join(names)}_{hashlib.sha256(key).hexdigest()[:10]}.json"


def save_profile(file: Path, profile: Profile) -> None:
    """Write `profile`, whole or not at all; folders are made. Raises UserError where it cannot be written."""
    content = msgspec.json.format(msgspec.json.encode(profile), indent=2) + b"\n"
    try:
        write_atomically(file, content)
    except OSError as error:
        raise UserError(
            f"cannot keep what is known of the cameras in {file}: {error.strerror}; make room or rights for it"
        ) from error


def load_profile(file: Path) -> Profile | None:
    """The profile in `file`; None where there is no such file. Raises UserError for one that cannot be used."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read what is known of the cameras in {file}: {error.strerror}") from error
    try:
        return msgspec.json.decode(content, type=Profile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is no profile of two cameras ({error}): delete it, and it is made anew") from error


def _expect(struct: msgspec.Struct, holds: Callable[[float], bool], what: str, *names: str) -> None:
    """Raise ValueError unless every number of those fields passes."""
    for name in names:
        value = getattr(struct, name)
        if not all(holds(number) for number in np.ravel(value)):
            raise ValueError(f"{name} is {value}: expected {what}")


def _camera_name(source: str) -> str:
    return parse_source(source, secured=True).name or source


def _short(source: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", Path(source).name).strip("-")[:24] or "camera"


def _row(numbers: np.ndarray) -> _Row:
    x, y, z = (float(number) for number in numbers)
    return x, y, z
