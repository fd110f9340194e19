"""What a user may set: a TOML file's keys (`runtime.settings_file`), which are the command line's options too."""

import logging
import math
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
import tyro

from capture.clip_timing import ClipTiming
from capture.sources.base import DeviceMode
from capture.views import PerView
from hand.errors import UserError
from hand.joints import DEFAULT_HAND_SIZE_MM
from hand.logs import Level
from runtime.engines.names import EngineName
from runtime.estimators.registry import AdaptableName, EstimatorName, EstimatorSetting
from runtime.types import Side

log = logging.getLogger(__name__)

Box = tuple[float, float, float]
"""Centre x, centre y and side length of a square in the frame, px."""

_Source = Annotated[str | None, tyro.conf.arg(metavar="SOURCE")]
_Roi = Annotated[Box | None, tyro.conf.arg(metavar="X Y SIZE")]
_Name = Annotated[str | None, tyro.conf.arg(metavar="NAME")]
_File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]


HAND_SIZES_MM = 30, 150
"""From a toddler's hand to more than any person's."""
NARROWEST_FOV_DEG = 5.0
"""Of a long telephoto lens; numbers below are radians, mostly."""

DECIDES_HANDS = (
    "estimator",
    "engine",
    "weights",
    "roi_left",
    "roi_right",
    "fov_deg",
    "hand_size_mm",
    "hand_side",
    "calibration",
    "calibration_fix",
    "merge",
    "merge_rule",
    "smooth",
)
"""Settings that a replay takes over from the recorded run, unless it is given others."""


OUTPUT_FILES: dict[str, tuple[str, ...]] = {
    "save": (),
    "video": (".mp4",),
    "picture": (".png", ".jpg"),
    "record": (),
    "stats": (),
}
"""Settings that name a file to write, and what its name may end in; empty: anything."""


ESTIMATOR_OF_ENGINE: dict[str, EstimatorName] = {"mediapipe": "mediapipe", "mediapipe-lite": "mediapipe-lite"}
"""Estimators that older command lines, files and recordings name as engines."""

HAVE_ENGINES: frozenset[EstimatorSetting] = frozenset({"auto", "detnet", "mediapipe-3d"})
"""Estimators whose network runs in an engine; the others' run in LiteRT."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One live 3D hand from two cameras."""

    left: _Source = None
    """Left camera: a device (0, /dev/video2), a file (clip.mp4), pictures (a folder, frames/%05d.png), a network camera
    (rtsp://host/path, http://host:port/video), a feed (tcp://host:port, ipc://path) or "synthetic"."""
    right: _Source = None
    """Right camera, as --left."""
    camera_size: Annotated[tuple[int, int], tyro.conf.arg(metavar="WIDTH HEIGHT")] = (640, 480)
    """What devices are asked for, px; a camera that gives something else is reported."""
    camera_fps: float = 30.0
    """Frames a second that devices are asked for."""
    sequence_fps: Annotated[float | None, tyro.conf.arg(metavar="N", aliases=["--fps"])] = None
    """Pictures a second of image sequences, which do not say it; none: 30."""
    exposure: Annotated[float | None, tyro.conf.arg(metavar="TIME")] = None
    """Exposure that devices are asked for, in the driver's unit (mostly 100 us); none: the camera's own."""
    keys: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Keys for feeds and hands over TCP (python -m tools.keys makes them); none: they stay on this host."""
    offset: Annotated[float | Literal["auto"], tyro.conf.arg(metavar="auto|SECONDS")] = 0.0
    """Clips: by how much later than the left one the right one began to record; at 0.5 the right clip's first frame meets that of
    the left clip at 0.5 s, and at -0.5 the other way round; auto finds it from the hand's motion in both, before the run."""
    rate: Annotated[float | Literal["auto"], tyro.conf.arg(metavar="auto|FACTOR")] = 1.0
    """Clips: how many times slower than the left one the right one plays, such as 8 for 240 frames a second stored as 30; auto
    finds it as --offset auto does."""
    every_pair: bool = False
    """Files: take every pair in order and drop none; else the newest pair wins."""
    replay: _File = None
    """A recording in place of cameras: the pairs that its run took, by its settings, give the same hands, bit for bit on the same
    machine; in its own time, or with --every-pair as fast as they can. (--left FILE#left --right FILE#right pairs all anew.)"""
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
    record: _File = None
    """Record what the cameras send, and the hands, to this new MCAP file (opens in Foxglove; see tools.session)."""
    record_format: Literal["sent", "jpeg"] = "sent"
    """Recorded images: as they were sent, or as JPEG, which is far smaller and no longer replays bit for bit."""
    publish: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS")] = None
    """Send each hand to other programs from this address, such as tcp://127.0.0.1:5570 (see tools.listen)."""
    output: Annotated[tuple[str, ...], tyro.conf.arg(metavar="URL [URL ...]")] = ()
    """Send each hand to other programs as they want it: ws://127.0.0.1:8765 (WebSocket, JSON or msgpack), openxr+ws://127.0.0.1:8766
    (OpenXR's 26 joints), osc://127.0.0.1:9000 (OSC over UDP); see docs/outputs.md."""
    overwrite: bool = False
    """Replace outputs that are there already, once the new ones are whole; in a settings file, those that it names itself."""
    stats: _File = None
    """Write the run's figures to this JSON file: the time of every stage, skew, drops by reason."""
    log_level: Level = "info"
    """What to log, from this level on; --record also writes it to a file of the recording's name that ends in .log."""
    estimator: EstimatorSetting = "auto"
    """What finds the joints: our small network (detnet), MediaPipe's with depth of ours (mediapipe-3d), or MediaPipe's models as
    they are; auto: mediapipe-3d, which sees real hands best, unless it cannot be had or does not keep up with the cameras."""
    fetch: bool = True
    """Fetch MediaPipe's models (36 MB, once) where the estimator needs them and they are not there; else auto takes detnet."""
    engine: EngineName = "auto"
    """What runs the network of detnet or mediapipe-3d; auto: the fastest that passes the parity check on this machine, measured
    once and remembered."""
    weights: _File = None
    """Weights of that network (.safetensors with its manifest, or a published .pth), which decide what auto takes; none: those
    that ship with DuoHand."""
    roi_left: _Roi = None
    """The hand's first box in the left view, px: centre and side length of a square; none: the locator finds it."""
    roi_right: _Roi = None
    """The hand's first box in the right view."""
    fov_deg: Annotated[tuple[float, float] | None, tyro.conf.arg(metavar="LEFT RIGHT", aliases=["--fov"])] = None
    """Horizontal field of view of the left and the right camera; none: what a feed says of itself, else 60."""
    hand_size_mm: float = DEFAULT_HAND_SIZE_MM
    """Length from the wrist to the middle finger's knuckle; gives the hand its scale."""
    hand_side: Literal["auto", "left", "right"] = "auto"
    """Which hand of the person to follow."""
    calibration: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE [FILE ...]")] = ()
    """Calibration of both cameras, in one file or several (OpenCV, NumPy, Kalibr, Anipose, freemocap, Caliscope, Pose2Sim, ROS,
    plain text; file.toml#cam_0,cam_2 names the left and the right camera of many); none: they calibrate themselves on a hand."""
    calibration_fix: bool = False
    """Correct the calibration where hands show that it was written down by a usual mistake (R and T the wrong way round, cameras
    exchanged, another unit or size of frames); else it is used as it is, and the run ends with exit code 1."""
    calibrate: Literal["first", "stream"] = "stream"
    """When cameras are calibrated: while the run goes on (stream), or, for clips and recordings with --every-pair, in a pass over
    all of it before the run, whose cameras give every hand from the first pair on (first)."""
    remember: bool = True
    """Keep what was found of two live cameras for their next run."""
    merge: Literal["auto", "geometry", "rotation"] = "auto"
    """By what two views become one hand: the cameras' full geometry, their rotation alone, or (auto) the geometry once it is
    known, unless the rotation proves clearly better."""
    merge_rule: Literal["softmax", "max", "mean"] = "softmax"
    """By rotation, how sure views share a joint."""
    smooth: bool = True
    """Smooth the hand over time."""
    adapt: Literal["off", "on", "frozen"] = "off"
    """Adapt the network to these cameras while it streams; frozen: use what was learnt before and learn nothing more."""
    adapt_labels: Literal["both", "geometry", "s2dhand"] = "both"
    """What teaches: where both views' rays meet, what the views agree on (S2DHand), or both."""
    profile: _Name = None
    """Name under which what is learnt is kept and found again; none: the cameras' own, and none for recordings."""

    @property
    def sources(self) -> PerView[str]:
        """Both cameras, those of a recording if that is replayed; raises UserError where one is missing."""
        if self.replay:
            return PerView(f"{self.replay}#left", f"{self.replay}#right")
        for view, source in (("left", self.left), ("right", self.right)):
            if not source:
                raise UserError(
                    f"there is no camera for the {view} view: give --{view} SOURCE (0, /dev/video2, clip.mp4, "
                    "tcp://127.0.0.1:5601, ipc:///path or synthetic), or a file with both, such as --config configs/demo.toml"
                )
        assert self.left and self.right
        return PerView(self.left, self.right)

    @property
    def estimator_name(self) -> EstimatorName:
        """The estimator; that of `auto` is chosen before a run (`runtime.estimator_setup`)."""
        name = self.estimator
        assert name != "auto", "what auto stands for is chosen before a run"
        return name

    @property
    def offset_s(self) -> float | None:
        """The offset of two clips, s; None where none is given."""
        assert self.offset != "auto", "what auto stands for is found before a run"
        return self.offset if self.clip_timing else None

    @property
    def clip_timing(self) -> PerView[ClipTiming] | None:
        """Of two clips; None where each is to keep its own times."""
        assert self.offset != "auto" and self.rate != "auto", "what auto stands for is found before a run"
        return None if (self.offset, self.rate) == (0, 1) else ClipTiming.of(self.offset, self.rate)

    @property
    def camera_mode(self) -> DeviceMode:
        return DeviceMode(*self.camera_size, self.camera_fps, self.exposure, self.sequence_fps)

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


def with_estimator(values: dict[str, Any]) -> dict[str, Any]:
    """A file's keys and values, those of before there was the key `estimator` as they are written now."""
    engine = values.get("engine")
    if isinstance(engine, str) and engine in ESTIMATOR_OF_ENGINE:
        return {**values, "estimator": ESTIMATOR_OF_ENGINE[engine], "engine": "auto"}
    return values


def check(settings: Settings) -> Settings:
    """The same settings; raises UserError for a number that cannot be."""
    for key in ("seconds", "camera_fps", "sequence_fps", "exposure"):
        value = getattr(settings, key)
        if value is not None and not value > 0:
            raise UserError(f"{key} is {value}: expected a number above 0")
    if not HAND_SIZES_MM[0] <= settings.hand_size_mm <= HAND_SIZES_MM[1]:
        raise UserError(
            f"hand_size_mm is {settings.hand_size_mm:g}: expected {HAND_SIZES_MM[0]} to {HAND_SIZES_MM[1]}, the length from the "
            "wrist to the middle finger's knuckle in mm"
        )
    if settings.adapt != "off" and settings.estimator not in ("auto", *get_args(AdaptableName)):
        learning = " and ".join(get_args(AdaptableName))
        raise UserError(
            f"adapt is {settings.adapt} with estimator {settings.estimator}: only the networks of {learning} learn, leave out "
            "one of both"
        )
    if settings.adapt == "on" and settings.merge == "rotation":
        raise UserError("adapt is on with merge rotation: it learns from where the cameras are, so use merge auto or geometry")
    if settings.replay and (settings.left or settings.right):
        raise UserError(f"there are cameras and a recording: give --left and --right, or --replay {settings.replay}, not both")
    if settings.offset != "auto" and not math.isfinite(settings.offset):
        raise UserError(f"offset is {settings.offset}: expected seconds, or auto")
    if settings.rate != "auto" and not 0.01 <= settings.rate <= 100:
        raise UserError(f"rate is {settings.rate}: expected a factor between 0.01 and 100, or auto")
    if settings.replay and (settings.offset != 0 or settings.rate != 1):
        raise UserError(f"{settings.replay} has the times of its run: leave out --offset and --rate, which are for two clips")
    if settings.replay and settings.record:
        raise UserError(
            f"{settings.replay} is a recording already: leave --record out, or cut a part with python -m tools.session cut"
        )
    if not min(settings.camera_size) > 0:
        raise UserError(f"camera_size is {settings.camera_size}: expected a width and a height above 0, in px")
    for fov in settings.fov_deg or ():
        if not NARROWEST_FOV_DEG <= fov < 180:
            hint = f" ({fov:g} rad are {math.degrees(fov):.0f} degrees)" if 0 < fov < math.pi else ""
            raise UserError(
                f"fov_deg is {fov:g}: expected degrees between {NARROWEST_FOV_DEG:g} and 180, the camera's horizontal field of "
                f"view{hint}"
            )
    for view, roi in settings.rois.items():
        if roi and not roi[2] > 0:
            raise UserError(f"roi_{view} has the size {roi[2]}: expected x, y and a size above 0, in px")
    return settings
