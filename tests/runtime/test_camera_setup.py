"""What a run knows of its cameras at the start: the profile of live cameras, or a given calibration."""

from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from capture.frames import Frame, FramePair
from capture.views import VIEWS, PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.rotations import from_vector
from runtime.calibration.camera_profile import default_folder
from runtime.calibration.self_calibrator import CalibrationState
from runtime.calibration.status import Uncertainty
from runtime.camera_setup import CameraSetup, UndistortedPairs
from runtime.geometry.lens import Lens, ideal_camera
from runtime.geometry.two_view import TwoViewGeometry
from runtime.settings import Settings

SIZES = PerView((640, 480), (320, 240))
R = from_vector(np.array([0.05, 1.1, -0.2]))
T_MM = np.array([-412.5, 18.25, 160.0])
LIVE = Settings(left="0", right="/dev/video2")
LENS = Lens((520.0, 520.0), (318.0, 241.0), "radtan", (-0.25, 0.05, 0.0, 0.0), (640, 480))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Profiles are stored in a temporary folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


UNKNOWN: PerView[float | None] = PerView(None, None)


def first(fov_deg: PerView[float | None] = UNKNOWN, images: PerView[np.ndarray] | None = None) -> FramePair:
    def frame(view: View) -> Frame:
        width, height = SIZES[view]
        image = images[view] if images else np.zeros((height, width, 3), np.uint8)
        return Frame(view, 7, 100, 200, image, fov_deg[view])

    return FramePair(frame("left"), frame("right"))


def calibrated_state(setup: CameraSetup) -> CalibrationState:
    """State of a calibration that was accepted with these cameras."""
    cameras = setup.cameras.map(lambda camera: replace(camera, focal_px=camera.focal_px * 1.1))
    geometry = TwoViewGeometry(cameras, R, T_MM)
    return CalibrationState(geometry, np.ones(20), Uncertainty(0.8, 1.1, PerView(2.0, 3.0)), 3, 0, 48)


def test_a_profile_is_remembered_for_the_same_live_cameras_only():
    setup = CameraSetup.of(LIVE, first())
    assert setup.remembered is None and setup.given is None
    setup.save_profile(calibrated_state(setup), 90.0)
    again = CameraSetup.of(LIVE, first())
    assert again.remembered is not None and again.remembered.pairs == 48
    geometry = again.remembered.geometry(81.0)
    np.testing.assert_array_equal(geometry.R_right_from_left, R)
    np.testing.assert_allclose(geometry.t_right_from_left_mm, T_MM * 0.9)
    assert geometry.cameras == calibrated_state(setup).geometry.cameras  # pyright: ignore[reportOptionalMemberAccess]
    for other in (Settings(left="/dev/video2", right="0"), Settings(left="0", right="1")):
        assert CameraSetup.of(other, first()).remembered is None


def test_no_profile_is_saved_before_calibration():
    setup = CameraSetup.of(LIVE, first())
    setup.save_profile(CalibrationState(), 90.0)
    assert CameraSetup.of(LIVE, first()).remembered is None and not default_folder().exists()


@pytest.mark.parametrize(
    "settings",
    [
        Settings(left="left.mp4", right="right.mp4"),
        Settings(left="synthetic", right="synthetic"),
        Settings(left="0", right="right.mp4"),
        Settings(left="0", right="/dev/video2", remember=False),
    ],
)
def test_no_profile_for_recordings_synthetic_cameras_or_remember_off(
    settings: Settings, home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(home)
    for name in ("left.mp4", "right.mp4"):
        (home / name).touch()
    live = CameraSetup.of(LIVE, first())
    live.save_profile(calibrated_state(live), 90.0)
    before = sorted(default_folder().iterdir())
    setup = CameraSetup.of(settings, first())
    assert setup.remembered is None
    setup.save_profile(calibrated_state(setup), 90.0)
    assert sorted(default_folder().iterdir()) == before


def test_a_feed_is_a_live_camera():
    settings = Settings(left="tcp://127.0.0.1:5601", right="tcp://127.0.0.1:5602")
    setup = CameraSetup.of(settings, first())
    setup.save_profile(calibrated_state(setup), 90.0)
    assert CameraSetup.of(settings, first()).remembered is not None


def test_a_damaged_profile_raises_a_user_error():
    setup = CameraSetup.of(LIVE, first())
    setup.save_profile(calibrated_state(setup), 90.0)
    (file,) = default_folder().iterdir()
    file.write_text("{}")
    with pytest.raises(UserError, match="delete it"):
        CameraSetup.of(LIVE, first())


def test_field_of_view_precedence_is_user_then_camera_then_default():
    setup = CameraSetup.of(LIVE, first(PerView(70.0, None)))
    assert setup.fov_deg == PerView(70.0, None)
    half = np.tan(np.radians([35.0, 30.0]))
    assert [camera.focal_px for camera in setup.cameras] == pytest.approx([320 / half[0], 160 / half[1]])
    told = CameraSetup.of(Settings(left="0", right="1", fov_deg=(80.0, 50.0)), first(PerView(70.0, None)))
    assert told.fov_deg == PerView(80.0, 50.0)
    setup.save_profile(calibrated_state(setup), 90.0)
    remembered = CameraSetup.of(LIVE, first()).remembered
    assert remembered is not None and remembered.left.focal_given and not remembered.right.focal_given


def calibrated(folder: Path, distortion: tuple[float, ...] = LENS.coefficients) -> Settings:
    """Settings with a calibration file as OpenCV writes it; both cameras have one lens."""
    storage = cv2.FileStorage(str(folder / "stereo.yml"), cv2.FILE_STORAGE_WRITE)
    for number in (1, 2):
        storage.write(f"M{number}", LENS.matrix)
        storage.write(f"D{number}", np.array([[*distortion, 0.0]]))
    storage.write("R", R)
    storage.write("T", T_MM.reshape(3, 1))
    storage.write("image_width", 640)
    storage.write("image_height", 480)
    storage.release()
    return Settings(left="0", right="/dev/video2", calibration=(folder / "stereo.yml",))


def test_a_given_calibration_replaces_profile_and_fields_of_view(home: Path):
    live = CameraSetup.of(LIVE, first())
    live.save_profile(calibrated_state(live), 90.0)
    before = [file.read_bytes() for file in default_folder().iterdir()]
    setup = CameraSetup.of(calibrated(home), first(PerView(70.0, 70.0)))
    assert setup.remembered is None and setup.given is not None and setup.undistorters is not None
    np.testing.assert_allclose(setup.given.R_right_from_left, R, atol=1e-12)
    np.testing.assert_allclose(setup.given.t_right_from_left_mm, T_MM)
    assert setup.given.cameras == setup.cameras == setup.undistorters.map(lambda one: one.camera)
    assert setup.cameras.map(lambda camera: camera.size_px) == SIZES
    # Frames of half the size show the same with half the focal length.
    assert setup.cameras.right.focal_px == pytest.approx(setup.cameras.left.focal_px / 2)
    state = setup.calibrator(90.0).state
    assert state.geometry is setup.given and state.version == 1
    setup.save_profile(state, 90.0)
    assert [file.read_bytes() for file in default_folder().iterdir()] == before


def test_lenses_alone_leave_the_place_to_self_calibration(home: Path):
    paths = []
    for view in VIEWS:
        storage = cv2.FileStorage(str(home / f"{view}.yml"), cv2.FILE_STORAGE_WRITE)
        storage.write("camera_matrix", LENS.matrix)
        storage.write("distortion_coefficients", np.array([[*LENS.coefficients, 0.0]]))
        storage.write("image_width", 640)
        storage.write("image_height", 480)
        storage.release()
        paths.append(home / f"{view}.yml")
    points = np.array([[x, y, 1.0] for x in (-0.3, 0, 0.3) for y in (-0.2, 0, 0.2)])
    pair = first(PerView(70.0, 70.0), dotted(points))
    setup = CameraSetup.of(Settings(left="0", right="/dev/video2", calibration=tuple(paths)), pair)
    assert setup.given is None and setup.undistorters is not None and setup.file is None
    undistorted = UndistortedPairs(ListedPairs(), setup.undistorters).undistort(pair)
    for view, camera in setup.cameras.items():
        # What the self-calibrator makes of the fields of view is the camera that frames are undistorted for.
        made = PinholeCamera.from_fov(*SIZES[view], setup.fov_deg[view])  # pyright: ignore[reportArgumentType]
        assert made.focal_px == pytest.approx(camera.focal_px) and made.centre_px == camera.centre_px
        for x, y in camera.project(points).round().astype(int):
            assert undistorted[view].image[y, x].min() > 100
    state = setup.calibrator(90.0).state
    assert state.geometry is None


def test_a_calibration_of_another_aspect_ratio_raises_a_user_error(home: Path):
    with pytest.raises(UserError, match="left camera.*aspect"):
        tall = PerView(np.zeros((640, 480, 3), np.uint8), np.zeros((240, 320, 3), np.uint8))
        CameraSetup.of(calibrated(home), first(images=tall))


class ListedPairs:
    """A source of the given pairs."""

    def __init__(self, *pairs: FramePair | None):
        self._pairs = list(pairs)

    @property
    def ended(self) -> bool:
        return not self._pairs

    def next_pair(self, timeout_s: float) -> FramePair | None:
        return self._pairs.pop(0)


@pytest.mark.parametrize(("partner_px", "expected_px"), [((320, 240), (320, 240)), ((480, 480), (640, 480))])
def test_a_camera_that_has_not_come_has_a_size_that_its_calibration_can_have(home: Path, partner_px, expected_px):
    left = replace(first().left, image=np.ones((480, 640, 3), np.uint8))
    stand_in = Frame.before_first("right", left, partner_px, None)
    setup = CameraSetup.of(calibrated(home), FramePair(left, stand_in))
    assert setup.cameras.right.size_px == expected_px and setup.undistorters is not None
    undistorted = UndistortedPairs(ListedPairs(), setup.undistorters).undistort(FramePair(left, stand_in)).right
    assert undistorted.absent and undistorted.image.shape == (*expected_px[::-1], 3) and not undistorted.image.any()


def dotted(points: np.ndarray) -> PerView[np.ndarray]:
    """Pictures of points (N, 3) as the lens shows them."""

    def image(view: View) -> np.ndarray:
        (width, height), image = SIZES[view], np.zeros((*SIZES[view][::-1], 3), np.uint8)
        for x, y in LENS.at((width, height)).project(points).round().astype(int):
            cv2.circle(image, (int(x), int(y)), 3, (255, 255, 255), -1)
        return image

    return PerView.of(image)


def test_undistorted_pairs_match_the_ideal_cameras(home: Path):
    points = np.array([[x, y, 1.0] for x in (-0.4, 0, 0.4) for y in (-0.3, 0, 0.3)])
    pair = first(images=dotted(points))
    setup = CameraSetup.of(calibrated(home), pair)
    assert setup.undistorters is not None
    pairs = UndistortedPairs(ListedPairs(pair, None), setup.undistorters)
    assert not pairs.ended
    undistorted = pairs.next_pair(1.0)
    assert undistorted is not None and pairs.next_pair(1.0) is None and pairs.ended
    bent = 0
    for view, camera in setup.cameras.items():
        frame, raw = undistorted[view], pair[view]
        assert replace(frame, image=raw.image) == raw and frame.image.shape == raw.image.shape
        assert not frame.image.flags.writeable
        for x, y in camera.project(points).round().astype(int):
            assert frame.image[y, x].min() > 100
            bent += raw.image[y, x].max() == 0
    assert bent > 4


def test_corrected_lenses_replace_the_given_ones(home: Path):
    """From the next pair on frames are as the corrected lenses' ideal cameras see them."""
    points = np.array([[x, y, 1.0] for x in (-0.4, 0, 0.4) for y in (-0.3, 0, 0.3)])
    pair = first(images=dotted(points))
    setup = CameraSetup.of(calibrated(home, (0.1, 0.0, 0.0, 0.0)), pair)
    assert setup.undistorters is not None
    pairs = UndistortedPairs(ListedPairs(), setup.undistorters)
    pairs.undistort(pair)
    lenses = PerView.of(lambda view: LENS.at(SIZES[view]))
    pairs.corrected = lambda: lenses
    undistorted = pairs.undistort(pair)
    for view, lens in lenses.items():
        for x, y in ideal_camera(lens).project(points).round().astype(int):
            assert undistorted[view].image[y, x].min() > 100


def test_whether_a_calibration_is_corrected_is_the_users_choice(home: Path):
    settings = calibrated(home)
    assert not CameraSetup.of(settings, first()).fix
    assert CameraSetup.of(msgspec.structs.replace(settings, calibration_fix=True), first()).fix


def test_pairs_without_distortion_are_unchanged(home: Path):
    images = PerView.of(lambda view: np.full((*SIZES[view][::-1], 3), 90, np.uint8))
    setup = CameraSetup.of(calibrated(home, (0.0,) * 4), first(images=images))
    assert setup.undistorters is not None
    undistorted = UndistortedPairs(ListedPairs(), setup.undistorters).undistort(first(images=images))
    assert all(np.array_equal(undistorted[view].image, images[view]) for view in ("left", "right"))
