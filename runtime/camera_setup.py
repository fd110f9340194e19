"""Camera setup: what a run knows of its two cameras before it sees a hand, and the profile that it saves for the next run."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from capture.frames import Frame, FramePair
from capture.sources.registry import parse_source
from capture.views import VIEWS, PerView, View
from hand.camera import DEFAULT_FOV_DEG, PinholeCamera
from hand.errors import UserError
from runtime.calibration.calibration_files import read_calibration
from runtime.calibration.camera_profile import CameraPair, Profile, default_folder, load_profile, profile_file, save_profile
from runtime.calibration.formats.calibration import Calibration
from runtime.calibration.recordings.known_cameras import KnownCalibrator, KnownCameras
from runtime.calibration.self_calibrator import CalibrationState, SelfCalibrator
from runtime.geometry.lens import Lens, Undistorter
from runtime.geometry.two_view import TwoViewGeometry
from runtime.loop import PairSource
from runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class CameraSetup:
    """Both cameras, as far as they are known at the start."""

    cameras: PerView[PinholeCamera]
    """Initial intrinsics."""
    fov_deg: PerView[float | None]
    """Horizontal fields of view from the user or the feed."""
    given: TwoViewGeometry | None
    """Geometry of the user's calibration."""
    undistorters: PerView[Undistorter] | None
    """For the lenses of the user's calibration, whether it gives the geometry or not."""
    file: Path | None
    """The pair's profile; None for recordings and synthetic cameras, whose placement differs each time."""
    pair: CameraPair
    remembered: Profile | None
    fix: bool = False
    """Whether the user's calibration is corrected where hands show a usual mistake in it."""
    found: KnownCameras | None = None
    """What a first pass over the recording has found."""

    @classmethod
    def of(cls, settings: Settings, first: FramePair, remembered: Profile | None = None) -> "CameraSetup":
        """From the settings and the first pair of frames; `remembered` is the profile of the recorded run, for a replay.

        Raises UserError for a calibration or a profile that cannot be used.
        """
        sizes_px = PerView.of(lambda view: _size_px(first[view]))
        pair = CameraPair.of(settings.sources, sizes_px)
        if settings.calibration:
            calibration = read_calibration(*settings.calibration)
            sizes_px = PerView.of(lambda view: _calibrated_size_px(first[view], calibration.lenses[view]))
            undistorters = calibration.undistorters(sizes_px)
            cameras = undistorters.map(lambda undistorter: undistorter.camera)
            if not isinstance(calibration, Calibration):
                # The lenses' fields of view are known, the cameras' places are found on the hand.
                return cls(cameras, cameras.map(lambda camera: camera.fov_deg), None, undistorters, None, pair, None)
            return cls(
                cameras,
                PerView(None, None),
                calibration.geometry(cameras),
                undistorters,
                None,
                pair,
                None,
                settings.calibration_fix,
            )
        fov_deg = PerView.of(lambda view: settings.fovs_deg[view] or first[view].fov_deg)

        def camera(view: View) -> PinholeCamera:
            width, height = sizes_px[view]
            return PinholeCamera.from_fov(width, height, fov_deg[view] or DEFAULT_FOV_DEG)

        cameras = PerView.of(camera)
        live = all(parse_source(source, secured=True).physical for source in settings.sources)
        file = profile_file(pair, default_folder()) if live and settings.remember else None
        return cls(cameras, fov_deg, None, None, file, pair, load_profile(file) if file else remembered)

    def with_found(self, found: KnownCameras | None) -> "CameraSetup":
        """The same with the cameras of a first pass, if they are of such frames."""
        geometry = found and found.state.geometry
        if geometry is None or geometry.cameras.map(lambda camera: camera.size_px) != self.cameras.map(lambda c: c.size_px):
            return self
        return replace(self, cameras=geometry.cameras, found=found)

    def calibrator(self, hand_size_mm: float) -> SelfCalibrator | KnownCalibrator:
        """The self-calibrator for what is not known."""
        if self.found is not None:
            return KnownCalibrator(self.found)
        sizes_px = self.cameras.map(lambda camera: camera.size_px)
        remembered = self.remembered.geometry(hand_size_mm) if self.remembered else None
        lenses = self.undistorters.map(lambda undistorter: undistorter.lens) if self.undistorters else None
        return SelfCalibrator(
            sizes_px, self.fov_deg, hand_size_mm, remembered=remembered, given=self.given, lenses=lenses, fix=self.fix
        )

    def save_profile(self, state: CalibrationState, hand_size_mm: float) -> None:
        """Save the calibration as the pair's profile, if it has one. Raises UserError where it cannot be written."""
        uncertainty = state.uncertainty
        if self.file is None or state.geometry is None or uncertainty is None:
            return
        profile = Profile.of(
            self.pair,
            state.geometry,
            hand_size_mm=hand_size_mm,
            rotation_deg=uncertainty.rotation_deg,
            baseline_deg=uncertainty.baseline_deg,
            focal_percent=uncertainty.focal_percent,
            focal_given=self.fov_deg.map(lambda fov: fov is not None),
            pairs=state.pairs,
            saved_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        save_profile(self.file, profile)


def _size_px(frame: Frame) -> tuple[int, int]:
    height, width = frame.image.shape[:2]
    return width, height


def _calibrated_size_px(frame: Frame, lens: Lens) -> tuple[int, int]:
    """The size of a frame; where it stands in for a camera that has not come and its size cannot be, the calibration's."""
    if frame.absent and lens.size_px is not None:
        try:
            lens.at(_size_px(frame))
        except UserError:
            return lens.size_px
    return _size_px(frame)


class UndistortedPairs:
    """Pairs with undistorted frames, as ideal pinhole cameras would take them."""

    def __init__(self, pairs: PairSource, undistorters: PerView[Undistorter]):
        self.undistorters = undistorters
        """May be replaced between two pairs."""
        self.corrected: Callable[[], PerView[Lens] | None] = lambda: None
        """Lenses that replace those of `undistorters` from the next pair on, once the calibration is corrected."""
        self._pairs = pairs

    @property
    def ended(self) -> bool:
        return self._pairs.ended

    def next_pair(self, timeout_s: float) -> FramePair | None:
        pair = self._pairs.next_pair(timeout_s)
        return None if pair is None else self.undistort(pair)

    def undistort(self, pair: FramePair) -> FramePair:
        """A pair with undistorted images."""
        lenses = self.corrected()
        if lenses is not None and any(lenses[view] is not self.undistorters[view].lens for view in VIEWS):
            self.undistorters = lenses.map(Undistorter)

        def frame(view: View) -> Frame:
            undistorter = self.undistorters[view]
            if pair[view].absent:
                # It is black, whatever its size.
                width, height = undistorter.camera.size_px
                image = np.zeros((height, width, 3), np.uint8)
            else:
                image = undistorter(pair[view].image)
            image.flags.writeable = False
            return replace(pair[view], image=image)

        return replace(pair, left=frame("left"), right=frame("right"))
