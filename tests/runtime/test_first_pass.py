"""A pass over clips finds their cameras, by which every hand is given from the first pair on; live runs and replays refuse it."""

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from capture.views import PerView, View
from hand.errors import UserError
from hand.rotations import angle_deg
from runtime.calibration.recordings.known_cameras import KnownCalibrator, KnownCameras
from runtime.calibration.recordings.whole_recording import DIVERSE, EVEN, RecordingKeyframes
from runtime.calibration.solver_process import InlineSolver, Solver
from runtime.calibration.status import CalibrationPhase
from runtime.camera_setup import CameraSetup
from runtime.first_pass import find_cameras, reads_first
from runtime.loop import StopFlag
from runtime.pipeline import Pipeline
from runtime.settings import Settings
from tests.adapt.recordings import Eyes, pairs_of
from tests.runtime.scenes import R_RIGHT_FROM_LEFT, SIZES_PX, Scene

PAIRS = 90


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Settings:
    """Two clips of a scene's frames; its hand is in the numbers of the frames, not in the pictures."""
    folder = tmp_path_factory.mktemp("clips")

    def write(view: View) -> str:
        path = folder / f"{view}.mp4"
        width, height = SIZES_PX[view]
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (width, height))
        for _ in range(PAIRS):
            writer.write(np.full((height, width, 3), 60 if view == "left" else 120, np.uint8))
        writer.release()
        return str(path)

    return Settings(left=write("left"), right=write("right"), every_pair=True, fov_deg=(65, 80))


def make(setup: CameraSetup, solver: Solver | None) -> Pipeline:
    return Pipeline(Eyes(Scene()), setup.cameras, calibrator=setup.calibrator(90.0), solver=solver)


@pytest.fixture(scope="module")
def found(clips) -> KnownCameras:
    first = find_cameras(clips, make, StopFlag())
    assert first is not None and first.known is not None and first.doubt is None
    return first.known


def test_every_hand_has_the_cameras_of_the_whole_recording(clips, found):
    scene = Scene()
    pairs = list(pairs_of(scene, 12))
    setup = CameraSetup.of(clips, pairs[0]).with_found(found)
    pipeline = make(setup, InlineSolver())
    for pair in pairs:
        (hand,) = pipeline.step(pair)
        assert hand.geometry is not None and hand.R_right_from_left is not None and hand.wrist_mm is not None
        assert angle_deg(hand.R_right_from_left, R_RIGHT_FROM_LEFT) < 2
        assert hand.rotation_uncertainty_deg == found.rotation_deg
    status = pipeline.calibration_status
    assert status is not None and status.phase is CalibrationPhase.CALIBRATED and status.progress == 1


def test_cameras_come_back_from_a_recording_to_the_last_bit(found):
    again = msgspec.json.decode(msgspec.json.encode(found), type=KnownCameras)
    assert again == found
    known, read = KnownCalibrator(found).state, KnownCalibrator(again).state
    assert known.geometry is not None and read.geometry is not None
    np.testing.assert_array_equal(known.geometry.t_right_from_left_mm, read.geometry.t_right_from_left_mm)


def test_a_recording_that_does_not_calibrate_gives_no_cameras(clips):
    def still(setup: CameraSetup, solver: Solver | None) -> Pipeline:
        scene = Scene()
        scene.hidden.add("right")
        return Pipeline(Eyes(scene), setup.cameras, calibrator=setup.calibrator(90.0), solver=solver)

    found = find_cameras(clips, still, StopFlag())
    assert found is not None and found.doubt is not None and f"0 of {PAIRS} pairs show the hand to both" in found.doubt.text
    assert found.known is None and (found.pairs, found.seen, found.both) == (PAIRS, PerView(PAIRS, 0), 0)


def test_cameras_of_other_frames_are_not_used(found):
    pair = next(pairs_of(Scene(), 1))
    setup = CameraSetup.of(Settings(left="synthetic", right="synthetic"), pair)
    other = msgspec.structs.replace(found, left=found.right)
    assert setup.with_found(other) is setup and setup.with_found(None) is setup


def test_memory_is_bounded_and_keyframes_are_of_all_times():
    scene, keyframes = Scene(), RecordingKeyframes(PerView(640, 320))
    eyes, count = Eyes(scene), 400
    for pair in pairs_of(scene, count):
        left, right = eyes(pair, SIZES_PX)  # pyright: ignore[reportArgumentType] (it looks at no camera)
        assert left is not None and right is not None
        keyframes.add(pair.left.captured_ns, PerView(left, right))
    kept = keyframes.keyframes.pairs
    assert EVEN < len(kept) <= DIVERSE + EVEN
    times = np.array([pair.captured_ns for pair in kept]) / pairs_end(count)
    assert np.all(np.diff(times) > 0) and np.histogram(times, 10, (0, 1))[0].min() >= 2


def pairs_end(count: int) -> int:
    scene = Scene()
    scene.seq = count
    return scene.pair().left.captured_ns


def test_clips_are_read_first_where_that_is_asked_for_and_can_be(clips, tmp_path):
    def with_(**fields: object) -> Settings:
        return msgspec.structs.replace(clips, **fields)

    assert reads_first(with_(calibrate="first")) and reads_first(with_(calibrate="first", seconds=1.0))
    assert not reads_first(clips) and not reads_first(with_(calibrate="first", merge="rotation"))
    live = ({"every_pair": False}, {"left": "0"}, {"right": "tcp://127.0.0.1:5601"}, {"left": "synthetic"})
    for fields in live:
        with pytest.raises(UserError, match="reads a recording twice"):
            reads_first(with_(calibrate="first", **fields))
    replay = Settings(replay=Path("session.mcap"), every_pair=True)
    assert not reads_first(replay)
    with pytest.raises(UserError, match="--left session.mcap#left"):
        reads_first(msgspec.structs.replace(replay, calibrate="first"))
