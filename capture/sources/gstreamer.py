"""A GStreamer pipeline as a camera, where OpenCV was built with GStreamer."""

from dataclasses import dataclass
from typing import ClassVar

from capture.sources.base import DEFAULT_MODE, DeviceMode, Source, SourceSpec
from capture.views import View
from hand.errors import UserError
from hand.findings import Finding

_PREFIX = "gst:"


@dataclass(frozen=True, slots=True)
class GStreamer(SourceSpec):
    """`gst:v4l2src device=/dev/video0 ! videoconvert ! appsink`."""

    physical: ClassVar[bool] = True

    pipeline: str

    @classmethod
    def parse(cls, text: str, *, secured: bool) -> "GStreamer":
        pipeline = text.removeprefix(_PREFIX).strip()
        if "appsink" not in pipeline:
            raise UserError(
                f"source {text!r} is a pipeline without a sink for its frames: expected it to end with `! videoconvert ! appsink`"
            )
        return cls(pipeline)

    def open(self, view: View, *, paced: bool, mode: DeviceMode) -> Source:
        import cv2

        from capture.sources.live_capture import LiveCaptureSource

        self.check(mode)
        capture = cv2.VideoCapture(self.pipeline, cv2.CAP_GSTREAMER)
        if not capture.isOpened():
            raise UserError(f"{self._called} does not start; try it with gst-launch-1.0, with fakesink in place of appsink")
        return LiveCaptureSource(self._called, capture)

    def check(self, mode: DeviceMode = DEFAULT_MODE) -> tuple[Finding, ...]:
        import cv2

        from capture.sources.live_capture import stamped_on_arrival

        if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
            raise UserError(
                f"{self._called} needs GStreamer, which this OpenCV ({cv2.__version__}) was built without, as those of PyPI are; "
                "build OpenCV with it, or give the camera itself (/dev/videoN, rtsp://HOST/PATH)"
            )
        return (stamped_on_arrival(self._called),)

    @property
    def name(self) -> str:
        return _PREFIX + self.pipeline

    @property
    def _called(self) -> str:
        return f"the pipeline {self.pipeline!r}"
