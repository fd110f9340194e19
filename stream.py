"""DuoHand live: two cameras in, one 3D hand out.

    python stream.py --left 0 --right 2

Exit codes: 0 when it was stopped or a clip ended, 1 when a camera failed, 2 for input that cannot be used.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING

from capture.views import PerView, View
from hand.errors import UserError
from runtime.loop import Stop, first_pair, run_loop
from runtime.report import Report, TrueHand
from runtime.save import HandWriter, make_folder_of
from runtime.settings import Settings, read_settings

if TYPE_CHECKING:
    # The network's and the window's libraries take seconds to import: only a run does.
    from capture.frames import FramePair
    from hand.camera import PinholeCamera
    from runtime.pipeline import Pipeline
    from runtime.viewer import Viewer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the application; returns its exit code."""
    stop = _stop_on_signals()
    try:
        return run(read_settings(arguments), stop)
    except UserError as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        return 130


def run(settings: Settings, stop: Stop) -> int:
    """Stream until the end and print the summary; returns the exit code. Raises UserError for input that cannot be used."""
    from tqdm import tqdm

    from capture.stream import PairStream

    # The network's thread asks for the interpreter before each layer, and the viewer's may keep it this long: beside a busy
    # viewer the default of 5 ms doubles the network's time.
    sys.setswitchinterval(0.0005)
    for path in (settings.video, settings.picture):
        if path:
            make_folder_of(path)
    pairs = PairStream(settings.sources, every_pair=settings.every_pair)
    make_pipeline = _pipeline_maker(settings)
    report = Report(live=not settings.every_pair, hand_size_mm=settings.hand_size_mm, true_hand=_true_hand(settings))
    writer = HandWriter(settings.save) if settings.save else None
    try:
        with pairs, tqdm(desc="pairs", unit=" pairs", disable=None if settings.every_pair else True) as bar:
            for note in pairs.notes:
                _say(note)
            first = first_pair(pairs, stop)
            if first is not None:
                cameras = _cameras(settings, first)
                run_loop(
                    first,
                    pairs,
                    make_pipeline(cameras),
                    report,
                    make_screen=_screen_maker(settings, cameras),
                    writer=writer,
                    every_pair=settings.every_pair,
                    on_pair=bar.update,
                    seconds=settings.seconds,
                    stop=stop,
                )
    except UserError:
        if report.pairs:
            print(report.summary(pairs.drops))
        raise
    finally:
        if writer:
            writer.close()
    print(report.summary(pairs.drops))
    if pairs.complaint:
        _say(f"the latest malformed message: {pairs.complaint}")
    if pairs.failure:
        _say(pairs.failure)
    return 1 if pairs.failure else 0


def _pipeline_maker(settings: Settings) -> "Callable[[PerView[PinholeCamera]], Pipeline]":
    """Load the networks now, before the cameras start; the pipeline itself needs the cameras' size."""
    from runtime.engine import choose_engine
    from runtime.pipeline import Pipeline, PipelineSettings
    from runtime.smooth import OneEuroSettings
    from runtime.weights import ASSETS, DEFAULT_WEIGHTS

    # Live, the cameras' processes and the viewer need the other half.
    threads = None if settings.every_pair else max(1, (os.cpu_count() or 1) // 2)
    engine = choose_engine(settings.engine, settings.weights or DEFAULT_WEIGHTS, threads=threads)
    _say(f"engine: {engine.description}")
    locate = None
    if not all(settings.rois):
        from runtime.locator import load_locator

        locate = load_locator(ASSETS / "locator.safetensors")
    how = PipelineSettings(
        hand_side=settings.hand_side,
        roi=settings.rois,
        merge_rule=settings.merge,
        smooth=OneEuroSettings() if settings.smooth else None,
    )
    return lambda cameras: Pipeline(engine, locate, cameras, how)


def _cameras(settings: Settings, first: "FramePair") -> "PerView[PinholeCamera]":
    from hand.camera import DEFAULT_FOV_DEG, PinholeCamera

    def camera(view: View) -> PinholeCamera:
        height, width = first[view].image.shape[:2]
        fov_deg = settings.fovs_deg[view] or first[view].fov_deg or DEFAULT_FOV_DEG
        return PinholeCamera.from_fov(width, height, fov_deg)

    cameras = PerView.of(camera)
    sizes = ", ".join(f"{view} {camera.size_px[0]}x{camera.size_px[1]} px" for view, camera in cameras.items())
    _say(f"cameras: {sizes}; Ctrl-C ends")
    return cameras


def _screen_maker(settings: Settings, cameras: "PerView[PinholeCamera]") -> "Callable[[], Viewer] | None":
    """How to open the viewer; None where nothing is to be shown."""
    headless = settings.headless or _no_display()
    if headless and not (settings.video or settings.picture):
        return None

    def make() -> "Viewer":
        from runtime.viewer import Viewer

        return Viewer(
            headless=headless,
            video=settings.video,
            picture=settings.picture,
            cameras=cameras,
            hand_size_mm=settings.hand_size_mm,
        )

    return make


def _true_hand(settings: Settings) -> TrueHand | None:
    """The truth to compare with, where both cameras are synthetic."""
    if any(source != "synthetic" for source in settings.sources):
        return None
    from capture.synthetic import truth

    return lambda pair: truth(pair.left.captured_ns)


def _no_display() -> bool:
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return False
    _say("there is no display (DISPLAY and WAYLAND_DISPLAY are not set): going on without a window")
    return True


def _stop_on_signals() -> Stop:
    """A first signal asks for the summary and a clean end, a second one ends at once."""
    stop = Stop()

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask)
    return stop


def _say(sentence: str) -> None:
    print(f"stream.py: {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
