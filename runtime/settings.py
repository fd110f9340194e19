"""What a user may set: a TOML file's keys, which are the command line's options too; the command line wins."""

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
import tyro

from capture.views import PerView
from hand.errors import UserError
from runtime.types import Side

Box = tuple[float, float, float]
"""Centre x, centre y and side length of a square in the frame, px."""

_Source = Annotated[str | None, tyro.conf.arg(metavar="SOURCE")]
_Roi = Annotated[Box | None, tyro.conf.arg(metavar="X Y SIZE")]
_File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One live 3D hand from two cameras."""

    left: _Source = None
    """Left camera: a device (0, /dev/video2), a file (clip.mp4), a feed (tcp://host:port, ipc://path) or "synthetic"."""
    right: _Source = None
    """Right camera, as --left."""
    every_pair: bool = False
    """Files: take every pair in order and drop none; else the newest pair wins."""
    seconds: Annotated[float | None, tyro.conf.arg(metavar="N")] = None
    """Stop this long after the first pair."""
    headless: bool = False
    """Open no window."""
    video: _File = None
    """Write what the viewer shows to this MP4 file."""
    picture: _File = None
    """Write the viewer's last picture to this PNG file."""
    save: _File = None
    """Write one JSON line for each hand to this file."""
    engine: Literal["auto", "torch", "onnx", "onnx-int8", "tensorrt", "mediapipe", "mediapipe-lite"] = "auto"
    """What finds the joints: our network, run by what is named (auto: the fastest that answers rightly on this machine, measured
    once and remembered), or MediaPipe's models (python -m tools.get_mediapipe)."""
    weights: _File = None
    """Network weights (.safetensors with its manifest, or a published .pth); none: those that ship with DuoHand."""
    roi_left: _Roi = None
    """The hand's first box in the left view, px: centre and side length of a square; none: the locator finds it."""
    roi_right: _Roi = None
    """The hand's first box in the right view."""
    fov_deg: Annotated[tuple[float, float] | None, tyro.conf.arg(metavar="LEFT RIGHT", aliases=["--fov"])] = None
    """Horizontal field of view of the left and the right camera; none: what a feed says of itself, else 60."""
    hand_size_mm: float = 90.0
    """Length from the wrist to the middle finger's knuckle; gives the hand its scale."""
    hand_side: Literal["auto", "left", "right"] = "auto"
    """Which hand of the person to follow."""
    calibration: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE [FILE ...]")] = ()
    """Calibration of both cameras (OpenCV's or Kalibr's YAML, one file or several); none: they calibrate themselves on a hand."""
    remember: bool = True
    """Keep what was found of two live cameras for their next run."""
    merge: Literal["auto", "geometry", "rotation"] = "auto"
    """By what two views become one hand: the cameras' full geometry, their rotation alone, or whichever proves better."""
    merge_rule: Literal["softmax", "max", "mean"] = "softmax"
    """By rotation, how sure views share a joint."""
    smooth: bool = True
    """Smooth the hand over time."""

    @property
    def sources(self) -> PerView[str]:
        """Both cameras; raises UserError where one is missing."""
        for view, source in (("left", self.left), ("right", self.right)):
            if not source:
                raise UserError(
                    f"there is no camera for the {view} view: give --{view} SOURCE (0, /dev/video2, clip.mp4, "
                    "tcp://127.0.0.1:5601, ipc:///path or synthetic), or a file with both, such as --config configs/demo.toml"
                )
        assert self.left and self.right
        return PerView(self.left, self.right)

    @property
    def rois(self) -> PerView[Box | None]:
        return PerView(self.roi_left, self.roi_right)

    @property
    def fovs_deg(self) -> PerView[float | None]:
        return PerView(*self.fov_deg) if self.fov_deg else PerView(None, None)

    @property
    def side(self) -> Side | None:
        """The hand to follow; None leaves it to the locator."""
        return None if self.hand_side == "auto" else self.hand_side


class _CommandLine(Settings, frozen=True, kw_only=True):
    config: _File = None
    """Settings file (TOML); options given here win over it."""


def read_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Settings from command line `arguments` (the program's own by default) over the file that `--config` names.

    Raises UserError for a file or a value that is wrong; exits with 2 for an unknown option, with 0 for --help.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    first.add_argument("--config", type=Path)
    try:
        config = first.parse_known_args(arguments)[0].config
    except argparse.ArgumentError:
        config = None  # tyro, below, says what is wrong with it
    defaults = read_file(config) if config else Settings()
    settings = tyro.cli(
        _CommandLine,
        prog="stream.py",
        description=Settings.__doc__,
        args=arguments,
        default=_CommandLine(**msgspec.structs.asdict(defaults), config=config),
    )
    return check(settings)


def read_file(path: Path) -> Settings:
    """Settings of a TOML file; raises UserError naming file, key and expectation."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the settings file {path}: {error.strerror}; configs/ has examples") from error
    try:
        return check(msgspec.toml.decode(content, type=Settings, dec_hook=_decode_path))
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {_explain(str(error))}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not TOML: {error}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def check(settings: Settings) -> Settings:
    """The same settings; raises UserError for a number that cannot be."""
    for key in ("seconds", "hand_size_mm"):
        value = getattr(settings, key)
        if value is not None and not value > 0:
            raise UserError(f"{key} is {value}: expected a number above 0")
    for fov in settings.fov_deg or ():
        if not 0 < fov < 180:
            raise UserError(f"fov_deg is {fov}: expected degrees between 0 and 180, the camera's horizontal field of view")
    for view, roi in settings.rois.items():
        if roi and not roi[2] > 0:
            raise UserError(f"roi_{view} has the size {roi[2]}: expected x, y and a size above 0, in px")
    return settings


def _decode_path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"Expected `str`, got `{type(value).__name__}`")


def _explain(message: str) -> str:
    """msgspec's message with the key in front and, for an unknown key, the nearest known one."""
    if unknown := re.search(r"unknown field `(.*?)`", message):
        key = unknown[1]
        near = difflib.get_close_matches(key, Settings.__struct_fields__, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"expected one of {', '.join(Settings.__struct_fields__)}"
        return f"unknown key `{key}`; {hint}"
    expectation, _, place = message.partition(" - at `$.")
    key = place.rstrip("`")
    if expectation.startswith("Invalid enum value"):
        expectation += f", expected one of {', '.join(get_args(Settings.__annotations__[key]))}"
    return f"key `{key}`: {expectation[:1].lower()}{expectation[1:]}" if key else message
