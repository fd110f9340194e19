"""Windows of a recording: orders tell the same pairs, answers come back into its axes, figures are what was done to them."""

from dataclasses import replace

import numpy as np
import pytest

from capture.views import VIEWS, PerView
from hand.errors import UserError
from hand.rotations import angle_deg, from_vector
from runtime.calibration.status import Uncertainty
from runtime.types import ViewHand
from tests.paths import SHARED
from tools.evaluate.geometry import Settings, synthetic_stream
from tools.evaluate.streams.landmarks import NO_HAND, Landmarks, Truth
from tools.evaluate.streams.orders import ORDERS, part
from tools.evaluate.streams.windows import Answer, Window, answer, apart_deg, middle, report, windows
from tools.evaluate.windows import true_geometry
from tools.report.windows_page import draw_windows_page

FORWARDS = ORDERS[0]
CLIP = SHARED / "clips/two_webcams"


@pytest.fixture(scope="module")
def landmarks() -> Landmarks:
    """Of drawn motion: 80 pairs, true pixels."""
    observed = synthetic_stream(Settings(seconds=2.7, noise_px=0.3, outliers=0.0, assumed_fov=None), 3)
    rig = observed.rig
    hands: list[PerView[ViewHand | None]] = [
        PerView(pair.left, pair.right) if pair else PerView(None, None) for pair in observed.pairs
    ]
    truth = Truth(rig, observed.joints_mm, rig.geometry.project(observed.joints_mm), PerView(0.0, 0.0), "right")
    return Landmarks.of("drawn", observed.captured_ns, observed.sizes_px, hands, truth)


def answered(degrees: float, claim_deg: float, landmarks: Landmarks, *, sure: bool = True, order=FORWARDS) -> Answer:
    assert landmarks.truth is not None
    true = landmarks.truth.rig.geometry
    turn = from_vector(np.array([0, np.radians(degrees), 0]))
    geometry = replace(true, R_right_from_left=turn @ true.R_right_from_left)
    return Answer(Window(0, 80, order), geometry, Uncertainty(claim_deg, 1.0, PerView(2.0, 2.0)), sure)


def test_windows_are_all_that_were_asked_for():
    found = windows(189, 80, 10, None)
    assert len({(one.start, one.stop, one.order.name) for one in found}) == len(found)
    assert len(found) == len(ORDERS) * len({(one.start, one.stop) for one in found})
    assert all(one.stop - one.start >= 80 and one.start % 10 == 0 for one in found)
    assert {one.stop for one in found} == {*range(80, 190, 10), 189}
    assert all(one.stop - one.start == 80 for one in windows(189, 80, 10, 80)) and not windows(79, 80, 10, None)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.name)
def test_a_stream_told_twice_in_an_order_is_the_stream(order, landmarks: Landmarks):
    twice = order.told(order.told(landmarks))
    np.testing.assert_array_equal(twice.captured_ns, landmarks.captured_ns)
    assert twice.sizes_px == landmarks.sizes_px and twice.truth is None
    for view in VIEWS:
        np.testing.assert_array_equal(twice.side[view], landmarks.side[view])
        np.testing.assert_allclose(twice.pixels[view], landmarks.pixels[view], atol=1e-9)
        np.testing.assert_allclose(twice.joints[view], landmarks.joints[view])


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.name)
def test_what_a_told_stream_shows_fits_the_cameras_that_come_back(order, landmarks: Landmarks):
    assert landmarks.truth is not None
    true = landmarks.truth.rig.geometry
    told = order.told(landmarks)
    # Going there and back are the same, so the told stream's cameras are those of the true ones.
    cameras = order.back(true)
    both = np.array([pair is not None for pair in told.pairs])
    pixels = told.pixels.map(lambda of_view: of_view[both])
    assert np.median(np.abs(cameras.sampson_px(pixels))) < 1
    back = order.back(cameras)
    assert angle_deg(back.R_right_from_left, true.R_right_from_left) < 1e-6
    np.testing.assert_allclose(back.t_right_from_left_mm, true.t_right_from_left_mm)
    assert back.cameras == true.cameras


def test_times_of_a_window_told_backwards_rise(landmarks: Landmarks):
    times = part(landmarks, np.array([7, 4, 3])).captured_ns
    assert (np.diff(times) > 0).all()
    step = landmarks.captured_ns[1] - landmarks.captured_ns[0]
    np.testing.assert_allclose(np.diff(times), [3 * step, step], atol=2)


def test_an_exchanged_window_is_answered_in_the_recordings_axes(landmarks: Landmarks):
    assert landmarks.truth is not None
    true = landmarks.truth.rig.geometry
    exchanged = next(order for order in ORDERS if order.name == "exchanged")
    fov_deg: PerView[float | None] = PerView(*landmarks.truth.rig.fov_deg)
    found = answer(landmarks, Window(0, 80, exchanged), fov_deg)
    assert found is not None
    assert angle_deg(found.geometry.R_right_from_left, true.R_right_from_left) < 5
    for view in VIEWS:
        assert found.geometry.cameras[view].focal_px == pytest.approx(true.cameras[view].focal_px)


def test_a_window_without_hands_has_no_answer(landmarks: Landmarks):
    none = replace(landmarks, side=landmarks.side.map(lambda side: np.full_like(side, NO_HAND)))
    assert answer(none, Window(0, 80, FORWARDS)) is None


def test_figures_are_what_was_done_to_the_answers(landmarks: Landmarks):
    answers = [answered(0, 1, landmarks), answered(4, 1, landmarks, order=ORDERS[1]), answered(10, 9, landmarks, sure=False)]
    np.testing.assert_allclose(apart_deg(answers)[0], [0, 4, 10], atol=1e-5)
    assert middle(answers) is answers[1]
    assert landmarks.truth is not None
    text = report(answers, 3, landmarks.truth.rig.geometry)
    assert "3 windows: 2 sure, 1 with" in text
    assert "largest angle between two 4.0 deg" in text and "largest angle between two 10.0 deg" in text
    assert "backwards" in text and "4.00" in text
    assert "against the calibration" not in report(answers, 3, None)


def test_the_page_shows_answers_with_and_without_a_truth(landmarks: Landmarks):
    answers = [answered(0, 1, landmarks), answered(4, 1, landmarks, order=ORDERS[2])]
    for truth in (None, answers[0].geometry):
        draw_windows_page(answers, "two answers", truth).canvas.draw()
    with pytest.raises(UserError, match="no window gave cameras"):
        draw_windows_page([], "none", None)


@pytest.mark.skipif(not CLIP.is_dir(), reason="needs the recorded clip of ../shared/clips")
def test_a_recordings_calibration_is_read_as_its_truth():
    true = true_geometry(CLIP / "calibration.json", PerView((720, 720), (720, 720)))
    assert true.angle_deg == pytest.approx(74, abs=10)
    assert true.cameras.left.focal_px == pytest.approx(925.9, abs=0.1)
