"""Frame timestamps, refused settings, and why a device cannot be opened; no camera is needed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.sources.base import DEFAULT_MODE, DeviceMode
from capture.sources.device import DeviceSource, StampChoice, difference, why_closed, why_no_frame
from hand.errors import UserError

MS = 1_000_000
PERIOD = 33 * MS
UP = 10**15
"""Uptime of the host, ns."""


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("/dev/video987", "does not exist"),
        ("/dev", "is not a camera's device"),
        ("/dev/null", "is not a camera's device"),
    ],
)
def test_a_device_that_is_not_a_camera_is_an_error_that_names_it(path, complaint):
    with pytest.raises(UserError, match=f"{path} .*{complaint}"):
        DeviceSource(path, DEFAULT_MODE)


def test_a_busy_camera_is_named_with_the_programs_that_use_it():
    sentence = why_closed("/dev/video0", ["zoom (process 12)", "obs (process 7)"])
    assert "/dev/video0 is in use by zoom (process 12) and obs (process 7)" in sentence
    assert "busy or cannot capture" in why_closed("/dev/video0", [])


def test_a_camera_without_frames_is_named_with_its_usb_bus():
    assert "a USB bus each (this one is on bus 3, 480 Mbit/s;" in why_no_frame("/dev/video2", "bus 3, 480 Mbit/s")
    assert "USB" not in why_no_frame("/dev/video2", None)


@settings(deadline=None)
@given(st.lists(st.integers(0, 100 * MS), min_size=30, max_size=60))
def test_plausible_driver_timestamps_are_used_unchanged(waits_ns):
    choice = StampChoice()
    for number, wait_ns in enumerate(waits_ns):
        driver_ns = UP + number * PERIOD
        assert choice.choose(driver_ns + wait_ns, driver_ns) == driver_ns
    assert choice.source == "driver"


@pytest.mark.parametrize(
    "clock",
    [
        lambda grabbed_ns: 0,
        lambda grabbed_ns: 1_700_000_000_000_000_000 + grabbed_ns,
        lambda grabbed_ns: grabbed_ns - 3600_000 * MS,
        lambda grabbed_ns: grabbed_ns // 1000,
        lambda grabbed_ns: UP - MS,
    ],
    ids=["none", "wall clock", "of another boot", "seconds for milliseconds", "stuck"],
)
def test_timestamps_of_another_clock_are_never_mixed_with_grab_times(clock):
    choice = StampChoice()
    for number in range(100):
        grabbed_ns = UP + number * PERIOD
        chosen = choice.choose(grabbed_ns, clock(grabbed_ns))
        # The first timestamp may be accepted, since nothing contradicts it yet.
        assert chosen == grabbed_ns or (number == 0 and chosen < grabbed_ns)
    assert choice.source == "grab"


def test_a_single_bad_timestamp_affects_one_frame_only():
    choice = StampChoice()
    for number in range(60):
        driver_ns = UP + number * PERIOD
        odd = number == 40
        expected = driver_ns + MS if odd else driver_ns
        assert choice.choose(driver_ns + MS, 5 if odd else driver_ns) == expected
    assert choice.source == "driver"


def test_a_refused_setting_is_reported_with_both_values():
    requested = DeviceMode(1280, 720, 60.0, 150.0)
    assert difference(requested, DeviceMode(1280, 720, 60.0), "MJPG", 150.0) is None
    assert difference(DEFAULT_MODE, DeviceMode(640, 480, 30.0), "MJPG", -1.0) is None
    message = difference(requested, DeviceMode(1280, 720, 30.0), "YUYV", 156.0)
    assert message == "MJPG 1280×720 at 60/s exposed 150 and gives YUYV 1280×720 at 30/s exposed 156"
