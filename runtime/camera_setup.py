"""What a run knows of its two cameras before it sees a hand, and what it keeps for the next one."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from capture.frames import Frame, FramePair
from capture.sources.registry import Device, Feed, LeRobot, parse_source
from capture.views import PerView, View
from hand.camera import DEFAULT_FOV_DEG, PinholeCamera
from runtime.calibration.calibration_files import read_calibration
from runtime.calibration.camera_profile import CameraPair, Profile, default_folder, load_profile, profile_file, save_profile
from runtime.calibration.self_calibrator import CalibrationState, SelfCalibrator
from runtime.geometry.lens import Undistorter
from runtime.geometry.two_view import TwoViewGeometry
from runtime.loop import Pairs
from runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class CameraSetup:
    """Both cameras, as far as they are known."""

    cameras: PerView[PinholeCamera]
    """To begin with."""
    fov_deg: PerView[float | None]
    """Horizontal fields of view that the user or the camera told."""
    given: TwoViewGeometry | None
    """A user's calibration."""
    straighteners: PerView[Undistorter] | None
    """What its lenses need."""
    file: Path | None
    """Where the pair's profile is kept; None for recordings and drawn cameras, which have a new place each time."""
    pair: CameraPair
    remembered: Profile | None

    @classmethod
    def of(cls, settings: Settings, first: FramePair, remembered: Profile | None = None) -> "CameraSetup":
        """From the settings and the first pair of frames; `remembered` is what a recorded run knew, that is run again.

        Raises UserError for a calibration or a profile that cannot be used.
        """
        sizes_px = PerView.of(lambda view: _size_px(first[view]))
        pair = CameraPair.of(settings.sources, sizes_px)
        if settings.calibration:
            calibration = read_calibration(*settings.calibration)
            straighteners = calibration.straighteners(sizes_px)
            cameras = straighteners.map(lambda straightener: straightener.camera)
            return cls(cameras, PerView(None, None), calibration.geometry(cameras), straighteners, None, pair, None)
        fov_deg = PerView.of(lambda view: settings.fovs_deg[view] or first[view].fov_deg)

        def camera(view: View) -> PinholeCamera:
            width, height = sizes_px[view]
            return PinholeCamera.from_fov(width, height, fov_deg[view] or DEFAULT_FOV_DEG)

        cameras = PerView.of(camera)
        live = all(isinstance(parse_source(source, secured=True), Device | Feed | LeRobot) for source in settings.sources)
        file = profile_file(pair, default_folder()) if live and settings.remember else None
        return cls(cameras, fov_deg, None, None, file, pair, load_profile(file) if file else remembered)

    def calibrator(self, hand_size_mm: float) -> SelfCalibrator:
        """What finds out the rest."""
        sizes_px = self.cameras.map(lambda camera: camera.size_px)
        remembered = self.remembered.geometry(hand_size_mm) if self.remembered else None
        return SelfCalibrator(sizes_px, self.fov_deg, hand_size_mm, remembered=remembered, given=self.given)

    def keep(self, state: CalibrationState, hand_size_mm: float) -> None:
        """Save what was found, where there is a place for it. Raises UserError where it cannot be written."""
        told = state.uncertainty
        if self.file is None or state.geometry is None or told is None:
            return
        profile = Profile.of(
            self.pair,
            state.geometry,
            hand_size_mm=hand_size_mm,
            rotation_deg=told.rotation_deg,
            baseline_deg=told.baseline_deg,
            focal_percent=told.focal_percent,
            focal_given=self.fov_deg.map(lambda fov: fov is not None),
            pairs=state.pairs,
            saved_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        save_profile(self.file, profile)


def _size_px(frame: Frame) -> tuple[int, int]:
    height, width = frame.image.shape[:2]
    return width, height


class UndistortedPairs:
    """Pairs whose frames are made those of ideal cameras."""

    def __init__(self, pairs: Pairs, straighteners: PerView[Undistorter]):
        self._pairs = pairs
        self._straighteners = straighteners

    @property
    def ended(self) -> bool:
        return self._pairs.ended

    def next_pair(self, timeout_s: float) -> FramePair | None:
        pair = self._pairs.next_pair(timeout_s)
        return None if pair is None else self.straight(pair)

    def straight(self, pair: FramePair) -> FramePair:
        """A pair with straight images."""

        def frame(view: View) -> Frame:
            image = self._straighteners[view](pair[view].image)
            image.flags.writeable = False
            return replace(pair[view], image=image)

        return replace(pair, left=frame("left"), right=frame("right"))
