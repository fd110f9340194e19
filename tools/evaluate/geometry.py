"""How well cameras calibrate themselves on a hand: `python -m tools.evaluate.geometry [--rigs 100] [--page out/geometry.png]`.

Random camera pairs watch synthetic motion (`tools.evaluate.two_views`), 30 pairs a second; the self-calibrator gets what a
network would predict. With `--faults` it gets what determines no geometry, and must not calibrate. With `--clip` the landmarks
of a recorded clip take the place of synthetic motion and are compared with its calibration: a folder with left.mp4, right.mp4,
reference.npz and calibration.json. With `--rendered` drawn hands go through real estimators, whose landmarks stay in that folder
(`tools.evaluate.streams.rendered`): rendering and estimating takes about a minute a rig, once.
"""

import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from capture.views import PerView
from hand import program
from hand.errors import UserError
from hand.outputs import ProgramFiles
from runtime.estimators.registry import EstimatorName
from tools.evaluate import faults, motion, two_views
from tools.evaluate.clip import observed_clip
from tools.evaluate.geometry_errors import Outcome, follow
from tools.evaluate.geometry_report import clip_report, fault_report, report
from tools.evaluate.motion import sample_motion
from tools.evaluate.streams.landmark_errors import describe_errors, measure
from tools.evaluate.streams.landmarks import Landmarks
from tools.evaluate.streams.rendered import RenderedRigs, RenderSettings
from tools.evaluate.streams.rendered_report import rendered_report
from tools.evaluate.two_views import Observed, Rig, observe, sample_rig
from tools.report.figures import save_figure
from tools.report.geometry_page import draw_page
from tools.report.rendered_page import draw_rendered_page


@dataclass
class Settings:
    """Evaluate the self-calibration of two cameras."""

    rigs: int = 100
    """Random camera pairs; with --faults, of each fault."""
    seconds: float = 10.0
    """Of stream that each pair sees."""
    noise_px: float = 3.0
    outliers: float = 0.1
    """Share of the joints that are anywhere about the hand."""
    known_fov: bool = False
    """Give the calibrator both fields of view."""
    assumed_fov: float | None = 60.0
    """Degrees that the crops took for the field of view where it is not known, which turns each view's own 3D hand; None for the
    true ones."""
    faults: bool = False
    """Show pairs of views that no geometry explains."""
    clip: Path | None = None
    """Folder of a recorded clip: reference.npz, calibration.json."""
    rendered: Path | None = None
    """Folder of rendered rigs' landmarks: those that are missing are made, --rigs of --seconds each."""
    estimators: tuple[EstimatorName, ...] = ("detnet",)
    """What sees rendered rigs."""
    fps: float = 15.0
    """Frames a second of rendered rigs."""
    at_end: bool = False
    """Calibrate each rendered rig once, on the keyframes of its whole stream: ten times quicker than as it goes on live."""
    only_make: bool = False
    """Make rendered rigs' landmarks and judge nothing."""
    page: Path | None = None
    """PNG file to draw the report into."""
    overwrite: bool = False
    """Replace files that are there already."""
    processes: int = 1
    """Rigs at a time."""
    seed: int = 0


Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of one estimator's landmarks of one rig."""

    landmarks: Landmarks
    outcome: Outcome


def synthetic_stream(settings: Settings, number: int) -> Observed:
    """What rig `number` of a run observes of its hand."""
    rng = np.random.default_rng([settings.seed, number])
    return _observe(settings, rng, sample_rig(rng), sample_motion(rng, settings.seconds))


def _observe(settings: Settings, rng: np.random.Generator, rig: Rig, joints_mm: np.ndarray) -> Observed:
    fov = None if settings.known_fov else settings.assumed_fov
    return observe(rng, rig, joints_mm, settings.noise_px, settings.outliers, assumed_fov_deg=fov)


def faulty_streams(settings: Settings, number: int) -> dict[str, Observed]:
    """By name: what no two standing cameras could see of one hand, or what does not determine where they are."""
    rng = np.random.default_rng([settings.seed, number, 1])
    rig, person, seconds = sample_rig(rng), motion.sample_person(rng), settings.seconds

    def seen(joints_mm: np.ndarray) -> Observed:
        return _observe(settings, rng, rig, joints_mm)

    hand, other_hand = (seen(sample_motion(rng, seconds, person=person)) for _ in range(2))
    after = _observe(settings, rng, two_views.moved(rng, rig, 20), rig.in_space(hand.joints_mm))
    return {
        "still hand": seen(motion.still(rng, seconds)),
        "hand in one place": seen(motion.in_place(rng, seconds)),
        "swapped hands": faults.two_hands(hand, other_hand),
        "hands of two people": faults.two_hands(hand, seen(sample_motion(rng, seconds))),
        "5 frames late": faults.unsynchronised(hand, 5),
        "30 frames late": faults.unsynchronised(hand, 30),
        "mirrored": faults.mirrored(hand),
        "frozen after a second": faults.frozen(hand, 1.0),
        "camera turned 20 deg at half time": faults.then(hand, after, seconds / 2),
    }


def _each_rig(settings: Settings, of_rig: Callable[[int], Result]) -> list[Result]:
    """Every rig's result; Ctrl-C ends with those that are done."""
    results: list[Result] = []
    with multiprocessing.get_context("spawn").Pool(settings.processes, initializer=_leave_interrupts) as pool:
        done = pool.imap_unordered(of_rig, range(settings.rigs))
        try:
            results.extend(tqdm(done, desc="rigs", unit="rig", total=settings.rigs))
        except KeyboardInterrupt:
            print(f"interrupted after {len(results)} of {settings.rigs} rigs")
            if not results:
                raise
    return results


def _leave_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _follow_synthetic(settings: Settings, number: int) -> Outcome:
    observed = synthetic_stream(settings, number)
    return follow(observed, known_fov(settings, observed.rig))


def known_fov(settings: Settings, rig: Rig) -> PerView[float | None]:
    """The fields of view that the calibrator is given, degrees; None where it is to find them."""
    return PerView(*rig.fov_deg) if settings.known_fov else PerView(None, None)


def _rendered(settings: Settings, folder: Path) -> None:
    """Self-calibration on what real estimators see of drawn hands."""
    asked = RenderedRigs(folder, RenderSettings(settings.seed, settings.seconds, settings.fps), settings.estimators)
    judged = _each_rig(settings, partial(_follow_rendered, settings, asked))
    if settings.only_make:
        print(f"landmarks of {len(judged)} rigs are in {folder}")
        return
    outcomes = {name: [of_rig[name].outcome for of_rig in judged] for name in settings.estimators}
    measured = [measure([of_rig[name].landmarks for of_rig in judged]) for name in settings.estimators]
    print(f"{rendered_report(outcomes)}\n\n{describe_errors(measured)}")
    if settings.page:
        title = f"{len(judged)} rendered rigs, {settings.seconds:g} s at {settings.fps:g} a second"
        save_figure(draw_rendered_page(outcomes, measured, title), settings.page)


def _follow_rendered(settings: Settings, asked: RenderedRigs, number: int) -> dict[str, Judged]:
    """By estimator; empty where landmarks are only to be made."""
    store = asked.store()
    store.make(number)
    if settings.only_make:
        return {}
    judged = {}
    for name in asked.estimators:
        landmarks = store.load(number, name)
        observed = landmarks.observed()
        judged[name] = Judged(landmarks, follow(observed, known_fov(settings, observed.rig), at_end=settings.at_end))
    return judged


def main(settings: Settings) -> None:
    if settings.rigs < 1 or settings.seconds <= 0:
        raise UserError(f"{settings.rigs} rigs of {settings.seconds} s were asked for: give one or more of some seconds")
    files = ProgramFiles(overwrite=settings.overwrite).reads("--clip", settings.clip)
    files.writes("--page", settings.page).fills("--rendered", settings.rendered).check()
    if settings.rendered:
        _rendered(settings, settings.rendered)
        return
    if settings.clip:
        observed, pixels = observed_clip(settings.clip)
        outcomes = [follow(observed, known_fov(settings, observed.rig), pixels)]
        print(clip_report(outcomes[0]))
        title = f"{settings.clip.name}, {sum(pair is not None for pair in observed.pairs)} pairs"
    elif settings.faults:
        by_fault: dict[str, list[Outcome]] = {}
        for number in tqdm(range(settings.rigs), desc="faults", unit="rig"):
            for name, observed in faulty_streams(settings, number).items():
                by_fault.setdefault(name, []).append(follow(observed, known_fov(settings, observed.rig)))
        print(fault_report(by_fault))
        return
    else:
        outcomes = _each_rig(settings, partial(_follow_synthetic, settings))
        print(report(outcomes))
        title = f"{len(outcomes)} rigs, {settings.seconds:g} s, {settings.noise_px:g} px noise, {settings.outliers:.0%} outliers"
    if settings.page:
        save_figure(draw_page(outcomes, title), settings.page)


if __name__ == "__main__":
    program.run(main, Settings)
