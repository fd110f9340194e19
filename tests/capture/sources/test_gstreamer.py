"""GStreamer pipelines: refused with the reason where OpenCV has no GStreamer."""

import cv2
import pytest

from capture.sources.base import DEFAULT_MODE
from capture.sources.registry import open_source, parse_source
from hand.errors import UserError

PIPELINE = "gst:videotestsrc num-buffers=5 ! videoconvert ! appsink"
HAS_GSTREAMER = cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER)


@pytest.mark.skipif(HAS_GSTREAMER, reason="this OpenCV has GStreamer")
def test_an_opencv_without_gstreamer_says_so():
    for refuse in (lambda: parse_source(PIPELINE).check(), lambda: open_source(PIPELINE, "left", paced=True, mode=DEFAULT_MODE)):
        with pytest.raises(UserError, match=r"needs GStreamer, which this OpenCV .* was built without"):
            refuse()


@pytest.mark.skipif(not HAS_GSTREAMER, reason="this OpenCV has no GStreamer")
def test_a_pipeline_gives_its_frames():
    source = open_source(PIPELINE, "left", paced=True, mode=DEFAULT_MODE)
    frames = source.frames(0)
    assert next(frames).image.shape[2] == 3
    source.close()
