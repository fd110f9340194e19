"""Given calibrations, right ones and wrong ones, and the hands that cameras see."""

from dataclasses import replace

import numpy as np

from capture.views import PerView
from hand.joints import DEFAULT_HAND_SIZE_MM
from hand.rotations import from_vector
from runtime.calibration.bundle import Keypoints
from runtime.calibration.hypotheses import GivenCalibration
from runtime.calibration.keyframes import Keyframe, KeyframeBuffer
from runtime.geometry.lens import Lens
from tools.evaluate.motion import sample_motion
from tools.evaluate.two_views import SIZE_PX, Observed, observe, sample_rig


def seen(seed: int, angle_deg: float | None = None, seconds: float = 2.0) -> Observed:
    """Hands with the errors of a network before a rig of its own."""
    rng = np.random.default_rng(seed)
    rig = sample_rig(rng, angle_deg)
    return observe(rng, rig, sample_motion(rng, seconds, fps=15), noise_px=rng.uniform(2, 6), outliers=0.1, fps=15)


def keyframes_of(observed: Observed) -> KeyframeBuffer[Keyframe]:
    buffer: KeyframeBuffer[Keyframe] = KeyframeBuffer(PerView(SIZE_PX[0], SIZE_PX[0]))
    for captured_ns, pair in zip(observed.captured_ns.tolist(), observed.pairs, strict=True):
        keyframe = None if pair is None else Keyframe.of(captured_ns, pair)
        if keyframe is not None:
            buffer.add(keyframe)
    return buffer


def keypoints_of(observed: Observed) -> PerView[Keypoints]:
    cameras = observed.rig.geometry.cameras
    return keyframes_of(observed).keypoints(cameras.map(lambda camera: np.array(camera.centre_px)))


def right_calibration(observed: Observed, hand_mm: float = DEFAULT_HAND_SIZE_MM) -> GivenCalibration:
    """The rig's, the hand before it being so large."""
    calibration = GivenCalibration.of(observed.rig.geometry)
    return replace(calibration, t_right_from_left_mm=calibration.t_right_from_left_mm * hand_mm / DEFAULT_HAND_SIZE_MM)


def calibrated_roughly(calibration: GivenCalibration, seed: int) -> GivenCalibration:
    """As somebody calibrates: 1.5° and 2 % of the focal length off, 5 % of the baseline."""
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=3)
    turn = from_vector(axis / np.linalg.norm(axis) * np.radians(1.5))
    factor = 1 + rng.choice([-0.02, 0.02])
    lenses = calibration.lenses.map(lambda lens: replace(lens, focal_px=(lens.focal_px[0] * factor, lens.focal_px[1] * factor)))
    return GivenCalibration(
        lenses, turn @ calibration.R_right_from_left, calibration.t_right_from_left_mm * (1 + rng.choice([-0.05, 0.05]))
    )


def placed(calibration: GivenCalibration, R: np.ndarray, t_mm: np.ndarray) -> GivenCalibration:
    return replace(calibration, R_right_from_left=R, t_right_from_left_mm=t_mm)


def of_frames(calibration: GivenCalibration, scale: float) -> GivenCalibration:
    """With the lenses of frames that are `scale` times as large."""

    def scaled(lens: Lens) -> Lens:
        (fx, fy), (cx, cy) = lens.focal_px, lens.centre_px
        return replace(lens, focal_px=(fx * scale, fy * scale), centre_px=((cx + 0.5) * scale - 0.5, (cy + 0.5) * scale - 0.5))

    return replace(calibration, lenses=calibration.lenses.map(scaled))


def cropped(calibration: GivenCalibration, left_px: int, top_px: int) -> GivenCalibration:
    """With the lenses of frames from which these are cut off at the left and the top."""

    def uncropped(lens: Lens) -> Lens:
        return replace(lens, centre_px=(lens.centre_px[0] + left_px, lens.centre_px[1] + top_px))

    return replace(calibration, lenses=calibration.lenses.map(uncropped))
