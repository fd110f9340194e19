"""A real stereo pair with its calibration: it is read as it is, and what an estimator sees lies near its epipolar lines."""

import json

import cv2
import numpy as np
import pytest

from capture.frames import Frame, FramePair
from capture.views import PerView, View
from hand.joints import JOINTS
from runtime.calibration.calibration_files import read_calibration
from runtime.estimators.estimator import FollowSettings, Roi
from runtime.estimators.registry import EstimatorOptions, load_estimator
from runtime.geometry.two_view import TwoViewGeometry
from tests.paths import SHARED
from tools.evaluate.streams.landmarks import Landmarks
from tools.evaluate.windows import true_geometry

PAIR = SHARED / "real/stb_pair"
SIZE_PX: PerView[tuple[int, int]] = PerView((640, 480), (640, 480))
pytestmark = pytest.mark.skipif(not PAIR.is_dir(), reason="needs the stereo pair of ../shared/real/stb_pair")


@pytest.fixture(scope="module")
def reference() -> dict:
    return json.loads((PAIR / "reference.json").read_text())["frames"][0]


@pytest.fixture(scope="module")
def geometry(reference: dict, tmp_path_factory) -> TwoViewGeometry:
    """Written as OpenCV names it, and read as a user's calibration."""
    file = tmp_path_factory.mktemp("stb") / "calibration.json"
    left, right = reference["left"], reference["right"]
    zero = [0.0] * 5
    values = {"K1": left["K"], "D1": zero, "K2": right["K"], "D2": zero, "R": right["R"], "T": right["t"]}
    file.write_text(json.dumps(values | {"image_width": 640, "image_height": 480}))
    assert read_calibration(file).lenses.left.focal_px[0] == pytest.approx(left["K"][0][0])
    return true_geometry(file, SIZE_PX)


def test_the_calibration_projects_the_true_joints_to_their_pixels(reference: dict, geometry: TwoViewGeometry):
    joints = np.array(reference["left"]["joints_3d_mm"])
    seen = geometry.project(joints)
    for view in ("left", "right"):
        np.testing.assert_allclose(seen[view], reference[view]["keypoints_2d"], atol=0.1)
    np.testing.assert_allclose(geometry.in_view_axes(joints).right, reference["right"]["joints_3d_mm"], atol=0.01)
    met = geometry.triangulate(seen, PerView(np.ones(JOINTS), np.ones(JOINTS)))
    np.testing.assert_allclose(met, joints, atol=0.1)


def test_an_estimators_joints_have_small_residuals_at_the_true_cameras(reference: dict, geometry: TwoViewGeometry):
    def frame(view: View) -> Frame:
        picture = cv2.imread(str(PAIR / reference[view]["file"]))
        assert picture is not None
        return Frame(view, 0, 1_000_000_000, 1_000_000_000, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))

    def around(view: View) -> Roi:
        joints = np.array(reference[view]["keypoints_2d"])
        x, y = ((joints.min(0) + joints.max(0)) / 2).tolist()
        return x, y, 1.5 * float(np.ptp(joints, axis=0).max())

    # Where the hand is, is given: whether the locator finds it is another question.
    options = EstimatorOptions(engine="onnx", threads=1, follow=FollowSettings("left", PerView.of(around)))
    estimator = load_estimator("detnet", options).make(SIZE_PX)
    hands = estimator(FramePair(frame("left"), frame("right")), geometry.cameras)
    landmarks = Landmarks.of("detnet", np.array([1_000_000_000]), SIZE_PX, [hands])
    (pair,) = landmarks.pairs
    assert pair is not None and pair.left.side == "left"
    pixels = PerView(pair.left.pixels, pair.right.pixels)
    # Joint 0 is the middle of the palm in this data set.
    off = [np.linalg.norm(pixels[view] - np.array(reference[view]["keypoints_2d"]), axis=1)[1:] for view in ("left", "right")]
    hand_px = geometry.cameras.left.focal_px * 90 / np.median(np.array(reference["left"]["joints_3d_mm"])[:, 2])
    assert np.median(off) < 0.25 * hand_px
    assert np.median(np.abs(geometry.sampson_px(pixels))) < 0.15 * hand_px
