"""Parsing of SOURCE arguments, and errors for invalid ones."""

import subprocess
import sys
from importlib import import_module

import pytest

from capture.sources.base import DEFAULT_MODE, SourceSpec
from capture.sources.device import Device
from capture.sources.endpoint import check_endpoint
from capture.sources.feed import Feed
from capture.sources.gstreamer import GStreamer
from capture.sources.network_camera import NetworkCamera
from capture.sources.registry import FORMS, KINDS, open_source, parse_source
from capture.sources.synthetic_source import Synthetic
from capture.sources.video_file import VideoFile
from hand.errors import UserError
from tests.paths import ROOT


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("0", Device("/dev/video0")),
        ("12", Device("/dev/video12")),
        ("/dev/video2", Device("/dev/video2")),
        ("/dev/v4l/by-id/usb-camera", Device("/dev/v4l/by-id/usb-camera")),
        ("synthetic", Synthetic()),
        ("ipc:///tmp/left", Feed("ipc:///tmp/left")),
        ("tcp://127.0.0.1:5601", Feed("tcp://127.0.0.1:5601")),
        ("tcp://127.3.2.1:65535", Feed("tcp://127.3.2.1:65535")),
        ("tcp://localhost:1", Feed("tcp://localhost:1")),
        ("tcp://[::1]:5601", Feed("tcp://[::1]:5601")),
        ("http://192.168.1.20:8080/video", NetworkCamera("http://192.168.1.20:8080/video")),
        ("rtsp://me:secret@camera.local/live?x=1", NetworkCamera("rtsp://me:secret@camera.local/live?x=1")),
        ("gst:v4l2src ! videoconvert ! appsink", GStreamer("v4l2src ! videoconvert ! appsink")),
    ],
)
def test_each_kind_of_source_is_parsed(text, spec):
    assert parse_source(text) == spec


def test_a_path_that_exists_is_a_video_file(tmp_path):
    path = tmp_path / "clip.mp4"
    path.touch()
    assert parse_source(str(path)) == VideoFile(path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("clip.mp5", "no such file"),
        ("", "no such file"),
        (".", "no such picture"),
        ("frames/%05d.png", "no such picture"),
        ("frames/*.png", "no such picture"),
        ("http:///video", "names no host"),
        ("rtsp://host:99999/live", "names no host and port"),
        ("gst:v4l2src ! fakesink", "appsink"),
        ("-1", "no such file"),
        ("ftp://host/clip.mp4", "not known"),
        ("ipc://", "not known"),
        ("tcp://127.0.0.1", "tcp://host:port"),
        ("tcp://127.0.0.1:0", "1 to 65535"),
        ("tcp://127.0.0.1:65536", "1 to 65535"),
        ("tcp://127.0.0.1:port", "tcp://host:port"),
        ("tcp://127.0.0.1@10.0.0.1:5601", "tcp://host:port"),
        ("tcp://10.0.0.1;127.0.0.1:5601", "leaves this host"),
        ("tcp://192.168.1.20:5601", "leaves this host"),
        ("tcp://*:5601", "leaves this host"),
        ("tcp://0.0.0.0:5601", "leaves this host"),
        ("tcp://headset.local:5601", "forward the port"),
        ("tcp://[2001:db8::1]:5601", "leaves this host"),
    ],
)
def test_an_invalid_source_is_an_error_that_says_what_to_do(text, complaint):
    with pytest.raises(UserError, match=complaint) as error:
        parse_source(text)
    assert repr(text) in str(error.value)


def test_addresses_are_unchanged_by_parsing():
    assert check_endpoint("tcp://[::1]:80") == "tcp://[::1]:80"


def test_a_feed_is_not_opened_as_a_camera():
    with pytest.raises(UserError, match="feed already"):
        open_source("ipc:///tmp/x", "left", paced=True, mode=DEFAULT_MODE)


def test_each_kind_has_a_specification():
    for kind in KINDS:
        assert issubclass(getattr(import_module(kind.module), kind.spec), SourceSpec)
        assert kind.form in FORMS


def test_libraries_of_unused_cameras_are_not_imported():
    code = (
        "import sys\n"
        "from capture.sources.registry import parse_source\n"
        "parse_source('synthetic'), parse_source('ipc:///tmp/left'), parse_source('pattern')\n"
        "print(sorted({'torch', 'mcap', 'cv2'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
