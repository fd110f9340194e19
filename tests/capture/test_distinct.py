"""One device under two names is refused, one recording under two names is a finding, and two of either are neither."""

import os

import pytest

from capture.distinct import check_distinct
from capture.sources.base import SourceSpec
from capture.sources.device import Device
from capture.sources.recorded import RecordedCamera
from capture.sources.synthetic_source import Synthetic
from capture.sources.video_file import VideoFile
from capture.views import PerView
from hand.errors import UserError


def check(left: SourceSpec, right: SourceSpec):
    return check_distinct(PerView(left, right), PerView("LEFT", "RIGHT"))


def test_one_device_is_refused_by_any_of_its_names(tmp_path):
    """Any device node will do: it is not opened."""
    link = tmp_path / "usb-camera-index0"
    link.symlink_to("/dev/null")
    for left, right in (("/dev/null", "/dev/null"), ("/dev/null", str(link))):
        with pytest.raises(UserError, match="LEFT and right camera RIGHT are one device, /dev/null"):
            check(Device(left), Device(right))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device nodes")
def test_one_device_is_refused_by_its_number(tmp_path):
    node = tmp_path / "null"
    try:
        os.mknod(node, 0o600 | 0o020000, os.stat("/dev/null").st_rdev)
    except OSError as error:
        pytest.skip(f"no device node can be made: {error}")
    with pytest.raises(UserError, match="one device"):
        check(Device("/dev/null"), Device(str(node)))


def test_two_devices_are_two():
    assert check(Device("/dev/null"), Device("/dev/zero")) is None
    assert check(Device("/dev/video987"), Device("/dev/video988")) is None


def test_one_clip_in_both_views_is_an_error_of_the_run(tmp_path):
    clip, link = tmp_path / "clip.mp4", tmp_path / "link.mp4"
    clip.touch()
    link.symlink_to(clip)
    finding = check(VideoFile(clip), VideoFile(link))
    assert finding is not None and (finding.kind, finding.level) == ("same_camera", "error")
    assert "left LEFT and right RIGHT are one recording" in finding.text


def test_both_cameras_of_a_recording_are_two(tmp_path):
    session = tmp_path / "s.mcap"
    assert check(RecordedCamera(session, "left"), RecordedCamera(session, "right")) is None
    assert check(RecordedCamera(session, "left"), RecordedCamera(session, "left")) is not None


def test_synthetic_cameras_are_two():
    assert check(Synthetic(), Synthetic()) is None
