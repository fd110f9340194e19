"""Does the self-calibration answer alike on all parts of a recording: `python -m tools.evaluate.windows --left A --right B`.

Every window of `--shortest` pairs or more calibrates its cameras anew: forwards, backwards, with left and right exchanged and
in a mirror. An estimator's landmarks are kept in `--landmarks` where that is given, so that only the first call needs it. With
`--truth` answers are compared with a calibration too, which the windows do not see.
"""

import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from adapt.offline.recording import RecordingSettings, frame_size
from capture.views import PerView, View
from hand import program
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.outputs import ProgramFiles
from runtime.calibration.calibration_files import read_calibration
from runtime.calibration.formats.calibration import Calibration
from runtime.estimators.estimator import FollowSettings
from runtime.estimators.registry import EstimatorName, EstimatorOptions, load_estimator
from runtime.geometry.two_view import TwoViewGeometry
from tools.evaluate.streams.landmarks import Landmarks
from tools.evaluate.streams.orders import ORDERS
from tools.evaluate.streams.windows import Answer, Window, answer, report, windows
from tools.report.figures import save_figure
from tools.report.windows_page import draw_windows_page


@dataclass
class Settings(RecordingSettings):
    """Compare the cameras that windows of a recording give."""

    estimator: EstimatorName = "detnet"
    """What finds the joints."""
    landmarks: Path | None = None
    """NumPy file (.npz) of the estimator's landmarks of this recording, and of the same --pairs: made where it is missing."""
    truth: Path | None = None
    """Calibration file to compare with."""
    shortest: int = 80
    """Pairs of the shortest windows."""
    longest: int | None = None
    """Pairs of the longest windows; those of the recording if not given."""
    step: int = 10
    """Windows begin and end at multiples of so many pairs."""
    page: Path | None = None
    """PNG file to draw the answers into."""
    processes: int = 1
    """Windows at a time."""
    overwrite: bool = False
    """Replace files that are there already."""


def landmarks_of(settings: Settings) -> Landmarks:
    """The recording's landmarks, from the file where it is there. Raises UserError where it is of something else."""
    file, sizes_px = settings.landmarks, settings.clips.map(frame_size)
    if file is not None and file.is_file():
        stored = Landmarks.load(file)
        if stored.estimator != settings.estimator or stored.sizes_px != sizes_px:
            made = f"{stored.estimator} in frames of {stored.sizes_px.left} and {stored.sizes_px.right}"
            raise UserError(f"{file} holds landmarks of {made}: expected {settings.estimator} and this recording; name another")
        return stored
    loaded = load_estimator(settings.estimator, EstimatorOptions(follow=FollowSettings(settings.hand_side)))
    estimator, assumed = loaded.make(sizes_px), sizes_px.map(lambda size: PinholeCamera.from_fov(*size))
    captured_ns, hands = [], []
    for pair in settings.read(f"finding hands ({settings.estimator})"):
        captured_ns.append(max(pair.left.captured_ns, pair.right.captured_ns))
        hands.append(estimator(pair, assumed))
    found = Landmarks.of(settings.estimator, np.array(captured_ns), sizes_px, hands)
    if file is not None:
        found.save(file)
    return found


def true_geometry(file: Path, sizes_px: PerView[tuple[int, int]]) -> TwoViewGeometry:
    """The cameras of a calibration file, the lenses' distortion left out. Raises UserError for one without their places."""
    calibration = read_calibration(file)
    if not isinstance(calibration, Calibration):
        raise UserError(f"{file} holds lenses alone: expected a calibration of both cameras with R and T")

    def camera(view: View) -> PinholeCamera:
        lens = calibration.lenses[view].at(sizes_px[view])
        return PinholeCamera(float(np.mean(lens.focal_px)), lens.centre_px, sizes_px[view])

    return calibration.geometry(PerView.of(camera))


def answers_of(answered: Callable[[Window], Answer | None], asked: list[Window], processes: int) -> list[Answer]:
    """In the windows' order; Ctrl-C ends with those that are done."""
    found: list[Answer] = []
    with multiprocessing.get_context("spawn").Pool(processes, initializer=_leave_interrupts) as pool:
        done = pool.imap(answered, asked)
        try:
            found.extend(one for one in tqdm(done, desc="calibrating", unit="window", total=len(asked)) if one is not None)
        except KeyboardInterrupt:
            print(f"interrupted: {len(found)} answers so far")
            if not found:
                raise
    return found


def _leave_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main(settings: Settings) -> None:
    if settings.shortest < 1 or settings.step < 1:
        raise UserError(f"windows of {settings.shortest} pairs in steps of {settings.step}: expected 1 or more of each")
    files = settings.state_files(ProgramFiles(overwrite=settings.overwrite).reads("--truth", settings.truth))
    files.continues("--landmarks", settings.landmarks).writes("--page", settings.page, suffixes=(".png",)).check()
    landmarks = landmarks_of(settings)
    truth = true_geometry(settings.truth, landmarks.sizes_px) if settings.truth else None
    asked = windows(len(landmarks), settings.shortest, settings.step, settings.longest)
    if not asked:
        longest = f" to {settings.longest}" if settings.longest else " or more"
        raise UserError(
            f"no window of {settings.shortest}{longest} pairs begins and ends at multiples of {settings.step} in the "
            f"recording's {len(landmarks)}: give a longer recording, a smaller --shortest or a smaller --step"
        )
    fov_deg: PerView[float | None] = PerView(*settings.fov) if settings.fov else PerView(None, None)
    answers = answers_of(partial(answer, landmarks, fov_deg=fov_deg), asked, settings.processes)
    print(report(answers, len(asked), truth))
    if settings.page:
        lengths = f"{settings.shortest} to {max(one.stop - one.start for one in asked)} pairs"
        title = f"{settings.estimator}: {len(asked) // len(ORDERS)} windows of {lengths}, in {len(ORDERS)} orders"
        save_figure(draw_windows_page(answers, title, truth), settings.page)


if __name__ == "__main__":
    program.run(main, Settings)
