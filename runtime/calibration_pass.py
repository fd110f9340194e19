"""A pass over a whole recording for its cameras: a pipeline streams over it, and keyframes of all of it are solved at once."""

from capture.frames import FramePair
from capture.views import PerView
from runtime.calibration.recordings.known_cameras import KnownCameras
from runtime.calibration.recordings.whole_recording import RecordingKeyframes, calibrate_on
from runtime.calibration.self_calibrator import REFINE_INTERVAL_NS, SelfCalibrator
from runtime.pipeline import Pipeline
from runtime.types import DualHand


class CalibrationPass:
    """Give it every pair in order, then `finish`. Does no input or output."""

    def __init__(self, pipeline: Pipeline, *, whole: bool = True) -> None:
        """`pipeline` calibrates cameras that are not known, inline; without `whole` they are what its stream comes to."""
        self._whole = whole
        self.pipeline = pipeline
        self.moved = False
        """Whether a camera was moved: no cameras are those of the whole recording then."""
        self._keyframes: RecordingKeyframes | None = None
        """None until there was a pair."""
        self.pairs = self.both = 0
        """Pairs, and those with a hand in both views."""
        self.seen = PerView(0, 0)
        """Frames with a hand, by view."""
        self._side_changes = 0
        self._last_ns = 0

    def step(self, pair: FramePair) -> list[DualHand]:
        """The pair's hands, as a stream gives them."""
        hands = self.pipeline.step(pair)
        self._last_ns = max(pair.left.captured_ns, pair.right.captured_ns)
        widths_px = PerView.of(lambda view: pair[view].image.shape[1])
        keyframes = self._keyframes = self._keyframes or RecordingKeyframes(widths_px)
        moved, changes = self.pipeline.rig.state.moved > 0, self.pipeline.tracking.side_changes
        if (moved and not self.moved) or changes != self._side_changes:
            keyframes.clear()
        self.moved, self._side_changes, self.pairs = self.moved or moved, changes, self.pairs + 1
        for hand in hands:
            left, right = hand.views
            self.seen = PerView(self.seen.left + (left is not None), self.seen.right + (right is not None))
            if left is not None and right is not None:
                self.both += 1
                keyframes.add(self._last_ns, PerView(left, right))
        return hands

    def finish(self) -> KnownCameras | None:
        """The cameras of the whole recording, which the pipeline's rig uses from now on; None where they were not found.

        Of a recording in which a camera was moved they are what the stream came to at its end.
        """
        rig = self.pipeline.rig
        # Live, the next seconds would have brought a solution from all that was seen by now.
        rig.update(self._last_ns + REFINE_INTERVAL_NS, PerView(None, None))
        calibrator = rig.calibrator
        if self._whole and self._keyframes is not None and isinstance(calibrator, SelfCalibrator) and not self.moved:
            calibrate_on(self._keyframes, calibrator)
            rig.update(self._last_ns + REFINE_INTERVAL_NS, PerView(None, None))
        status = rig.status
        if rig.state.geometry is None or status is None or status.figures is None:
            return None
        return KnownCameras.of(rig.state, status.figures)
