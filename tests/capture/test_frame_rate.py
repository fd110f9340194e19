"""The rate of a camera: from capture times and frame numbers alone, and said where it is far below what was asked for."""

import numpy as np
import pytest

from capture.frame_rate import FrameRate, SlowCamera
from capture.frames import Frame

IMAGE = np.zeros((2, 2, 3), np.uint8)


def frames(per_s: float, seconds: float, *, every: int = 1, start_s: float = 0.0, seq: int = 0) -> list[Frame]:
    """Frames of a camera of that rate, of which one in `every` is used."""
    numbers = range(0, round(per_s * seconds), every)
    times_ns = [round((start_s + number / per_s) * 1e9) for number in numbers]
    return [Frame("left", seq + number, at, at, IMAGE) for number, at in zip(numbers, times_ns, strict=True)]


def fed(camera: SlowCamera, *runs: list[Frame]) -> SlowCamera:
    for frame in (frame for run in runs for frame in run):
        camera.add(frame)
    return camera


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("per_s", [7.5, 15, 30])
def test_the_rate_does_not_depend_on_frames_that_were_left_out(per_s: float, every: int) -> None:
    rate = FrameRate()
    for frame in frames(per_s, 5, every=every):
        rate.add(frame)
    assert rate.per_s == pytest.approx(per_s, rel=0.01)


def test_nothing_is_known_before_three_seconds_or_after_a_camera_was_opened_again() -> None:
    camera = fed(SlowCamera("left", 30), frames(15, 2))
    assert camera.finding is None
    assert fed(camera, frames(15, 5, start_s=2, seq=30)).finding
    assert fed(camera, frames(15, 1, start_s=8)).finding is None


@pytest.mark.parametrize(("per_s", "slow"), [(30, False), (29.97, False), (26, False), (20, True), (15, True)])
def test_a_camera_is_slow_from_a_fifth_below_what_was_asked(per_s: float, slow: bool) -> None:
    finding = fed(SlowCamera("left", 30), frames(per_s, 5)).finding
    assert (finding is not None) is slow
    if finding:
        assert f"gives {per_s:.0f} frames a second and was asked for 30" in finding.text and finding.view == "left"


def test_a_camera_that_has_more_light_again_is_no_longer_slow() -> None:
    camera = fed(SlowCamera("left", 30), frames(15, 5))
    assert camera.finding
    assert fed(camera, frames(30, 8, start_s=5, seq=75)).finding is None
