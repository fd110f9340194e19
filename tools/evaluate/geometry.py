"""How well cameras calibrate themselves on a hand: `python -m tools.evaluate.geometry [--rigs 100] [--page out/geometry.png]`.

Random camera pairs watch drawn motion (`tools.evaluate.two_views`), 30 pairs a second, and the self-calibrator is told what a
network would see. With `--faults`, it is told what determines no geometry, and is to stay unsure. With `--clip`, landmarks of a
recorded clip take the place of drawn motion and are judged against its calibration: a folder with left.mp4, right.mp4,
reference.npz and calibration.json.
"""

import json
import multiprocessing
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import tyro
from tqdm import tqdm

from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.joints import DEFAULT_HAND_SIZE_MM, JOINTS, MIDDLE_MCP, unit_hand
from hand.rotations import angle_deg
from runtime.calibration.self_calibrator import SelfCalibrator
from runtime.calibration.solver import Problem, solve
from runtime.calibration.status import Uncertainty
from runtime.geometry.two_view import TwoViewGeometry
from runtime.reporting.calibration_text import describe
from runtime.types import ViewHand
from tools.evaluate import two_views
from tools.evaluate.geometry_page import Answer, Errors, Outcome, draw_page
from tools.evaluate.network import table
from tools.evaluate.two_views import Observed, Rig, observe, sample_motion, sample_rig

CLIP_FPS = 30
CLIP_CONFIDENCE = 0.9
RIGHT_DEG = 5.0
"""Rotation error up to which an answer counts as right."""


@dataclass
class Settings:
    """Judge the self-calibration of two cameras."""

    rigs: int = 100
    """Random camera pairs; with --faults, of each fault."""
    seconds: float = 10.0
    """Of stream that each pair sees."""
    noise_px: float = 3.0
    outliers: float = 0.1
    """Share of the joints that are anywhere about the hand."""
    known_fov: bool = False
    """Tell the calibrator both fields of view."""
    assumed_fov: float | None = 60.0
    """Degrees that the crops took for the field of view where it is not known, which turns each view's own 3D hand; None for the
    true ones."""
    faults: bool = False
    """Show pairs of views that no geometry explains."""
    clip: Path | None = None
    """Folder of a recorded clip: reference.npz, calibration.json."""
    page: Path | None = None
    """PNG file to draw the report into."""
    processes: int = 1
    """Rigs at a time."""
    seed: int = 0


def errors_of(
    geometry: TwoViewGeometry, truth: TwoViewGeometry, joints_mm: np.ndarray, pixels: PerView[np.ndarray]
) -> Errors:  # fmt: skip
    """How far an estimate is off, and with it joints (M, 21, 3), left camera's axes, triangulated from `pixels` (M, 21, 2)."""
    baseline, true_baseline = (t / np.linalg.norm(t) for t in (geometry.t_right_from_left_mm, truth.t_right_from_left_mm))
    met = geometry.triangulate(pixels, pixels.map(lambda of_view: np.ones(of_view.shape[:-1])))
    rooted = joints_mm - joints_mm[:, :1]
    length = np.linalg.norm(rooted[:, MIDDLE_MCP], axis=-1)[:, None, None]
    off = np.linalg.norm(unit_hand(met) - rooted / length, axis=-1) * DEFAULT_HAND_SIZE_MM
    return Errors(
        float(angle_deg(geometry.R_right_from_left, truth.R_right_from_left)),
        float(np.degrees(2 * np.arcsin(np.linalg.norm(baseline - true_baseline) / 2))),
        PerView.of(lambda view: 100 * (geometry.cameras[view].focal_px / truth.cameras[view].focal_px - 1)),
        float(off.mean()),
    )


def problems(observed: Observed, calibrator: SelfCalibrator) -> Iterator[tuple[int, Problem]]:
    """Tell a self-calibrator what was observed; its problems and when each is due, to be answered before the next comes."""
    for captured_ns, pair in zip(observed.captured_ns.tolist(), observed.pairs, strict=True):
        if pair is not None:
            calibrator.add(captured_ns, pair)
        problem = calibrator.due(captured_ns)
        if problem is not None:
            yield captured_ns, problem


def follow(observed: Observed, fov_deg: PerView[float | None], pixels: PerView[np.ndarray] | None = None) -> Outcome:
    """Stream what was observed through a self-calibrator, each update done before the next pair comes.

    Hands are judged by `pixels` (N, 21, 2) of the frames with a pair, those of the true joints if not given.
    """
    calibrator = SelfCalibrator(observed.sizes_px, fov_deg, DEFAULT_HAND_SIZE_MM)
    there = np.array([pair is not None for pair in observed.pairs])
    truth, joints_mm = observed.rig.geometry, observed.joints_mm[there]
    pixels = pixels.map(lambda of_view: of_view[there]) if pixels else truth.project(joints_mm)
    answers: list[Answer] = []
    last: Answer | None = None
    update_s: list[float] = []

    def answer(captured_ns: int, geometry: TwoViewGeometry, told: Uncertainty) -> Answer:
        claimed = Errors(told.rotation_deg, told.baseline_deg, told.focal_percent, float("nan"))
        at_s = (captured_ns - int(observed.captured_ns[0])) / 1e9
        return Answer(at_s, claimed, errors_of(geometry, truth, joints_mm, pixels))

    for captured_ns, problem in problems(observed, calibrator):
        started = time.perf_counter()
        solution = solve(problem)
        update_s.append(time.perf_counter() - started)
        calibrator.accept(solution)
        if solution is not None:
            last = answer(captured_ns, solution.start.geometry(problem.views), solution.uncertainty)
        state = calibrator.state
        if state.geometry is not None and state.uncertainty is not None:
            answers.append(answer(captured_ns, state.geometry, state.uncertainty))
    final = answers[-1] if answers and calibrator.state.geometry is not None else None
    return Outcome(observed, answers, final, last, update_s, describe(calibrator.status))


def drawn(settings: Settings, number: int) -> Observed:
    """What rig `number` of a run sees of its hand."""
    rng = np.random.default_rng([settings.seed, number])
    return _observe(settings, rng, sample_rig(rng), sample_motion(rng, settings.seconds))


def _observe(settings: Settings, rng: np.random.Generator, rig: Rig, joints_mm: np.ndarray) -> Observed:
    fov = None if settings.known_fov else settings.assumed_fov
    return observe(rng, rig, joints_mm, settings.noise_px, settings.outliers, assumed_fov_deg=fov)


def faults(settings: Settings, number: int) -> dict[str, Observed]:
    """By name: what no two standing cameras could see of one hand, or what does not determine where they are."""
    rng = np.random.default_rng([settings.seed, number, 1])
    rig, person, seconds = sample_rig(rng), two_views.sample_person(rng), settings.seconds

    def seen(joints_mm: np.ndarray) -> Observed:
        return _observe(settings, rng, rig, joints_mm)

    hand, other_hand = (seen(sample_motion(rng, seconds, person=person)) for _ in range(2))
    after = _observe(settings, rng, two_views.moved(rng, rig, 20), rig.in_space(hand.joints_mm))
    return {
        "still hand": seen(two_views.still(rng, seconds)),
        "hand in one place": seen(two_views.in_place(rng, seconds)),
        "swapped hands": two_views.two_hands(hand, other_hand),
        "hands of two people": two_views.two_hands(hand, seen(sample_motion(rng, seconds))),
        "5 frames late": two_views.unsynchronised(hand, 5),
        "30 frames late": two_views.unsynchronised(hand, 30),
        "mirrored": two_views.mirrored(hand),
        "frozen after a second": two_views.frozen(hand, 1.0),
        "camera turned 20 deg at half time": two_views.then(hand, after, seconds / 2),
    }


def _stream_all(settings: Settings) -> list[Outcome]:
    """Every rig's outcome; Ctrl-C ends with those that are done."""
    outcomes: list[Outcome] = []
    with multiprocessing.get_context("spawn").Pool(settings.processes, initializer=_leave_interrupts) as pool:
        streamed = pool.imap_unordered(partial(_follow_drawn, settings), range(settings.rigs))
        try:
            outcomes.extend(tqdm(streamed, desc="rigs", unit="rig", total=settings.rigs))
        except KeyboardInterrupt:
            print(f"interrupted after {len(outcomes)} of {settings.rigs} rigs")
            if not outcomes:
                raise
    return outcomes


def _leave_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _follow_drawn(settings: Settings, number: int) -> Outcome:
    observed = drawn(settings, number)
    return follow(observed, known_fov(settings, observed.rig))


def known_fov(settings: Settings, rig: Rig) -> PerView[float | None]:
    """What the calibrator is told of the fields of view."""
    return PerView(*rig.fov_deg) if settings.known_fov else PerView(None, None)


def read_clip(folder: Path) -> tuple[Observed, PerView[np.ndarray]]:
    """A clip's landmarks as a network without 3D would give them, and both views' pixels (N, 21, 2) as they are in the file.

    Raises UserError where a file is missing.
    """
    for file in (folder / name for name in ("left.mp4", "right.mp4", "reference.npz", "calibration.json")):
        if not file.is_file():
            raise UserError(f"{file} is not there: give the folder of a recorded clip with its reference")
    with np.load(folder / "reference.npz") as reference:
        joints_mm = reference["joints_left_mm"]
        pixels = PerView.of(lambda view: reference[f"keypoints_{view}_px"])
    calibration = json.loads((folder / "calibration.json").read_text())

    def camera(view: View) -> PinholeCamera:
        K = np.array(calibration[view]["K"])
        video = cv2.VideoCapture(str(folder / f"{view}.mp4"))
        size_px = (int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        return PinholeCamera(float(K[0, 0] + K[1, 1]) / 2, (float(K[0, 2]), float(K[1, 2])), size_px)

    cameras = PerView.of(camera)
    R, t = (np.array(calibration[key]) for key in ("R_right_from_left", "t_right_from_left_mm"))
    fov_deg = cameras.map(lambda one: float(np.degrees(2 * np.arctan(one.size_px[0] / 2 / one.focal_px))))
    axes_deg = float(np.degrees(np.arccos(np.clip(R[2, 2], -1, 1))))
    rig = Rig(TwoViewGeometry(cameras, R, t), np.eye(3), np.zeros(3), fov_deg, axes_deg)
    whole = np.asarray(np.isfinite(np.concatenate([joints_mm, *pixels], -1)).all((1, 2)))

    def hand(view: View, number: int) -> ViewHand:
        return ViewHand(view, "right", np.full((JOINTS, 3), np.nan), pixels[view][number], np.full(JOINTS, CLIP_CONFIDENCE))

    pairs = [PerView(hand("left", n), hand("right", n)) if there else None for n, there in enumerate(whole)]
    captured_ns = (np.arange(len(pairs)) * 1e9 / CLIP_FPS).astype(np.int64)
    return Observed(rig, joints_mm, captured_ns, pairs), pixels


def report(outcomes: list[Outcome]) -> str:
    """The figures of many rigs as text."""
    final = [outcome.final for outcome in outcomes if outcome.final]
    last = [outcome.last for outcome in outcomes if outcome.last]
    never = sum(not outcome.answers for outcome in outcomes)
    worst = [max(answer.true.rotation_deg for answer in outcome.answers) for outcome in outcomes if outcome.answers]
    rows = {
        "rotation, deg": [answer.true.rotation_deg for answer in final],
        "rotation, deg, claimed": [answer.claimed.rotation_deg for answer in final],
        "rotation, deg, worst while sure": worst,
        "rotation, deg, sure or not": [answer.true.rotation_deg for answer in last],
        "baseline, deg": [answer.true.baseline_deg for answer in final],
        "baseline, deg, claimed": [answer.claimed.baseline_deg for answer in final],
        "baseline, deg, sure or not": [answer.true.baseline_deg for answer in last],
        "focal lengths, %": [abs(percent) for answer in final for percent in answer.true.focal_percent],
        "focal lengths, %, claimed": [percent for answer in final for percent in answer.claimed.focal_percent],
        "focal lengths, %, sure or not": [abs(percent) for answer in last for percent in answer.true.focal_percent],
        "hand, mm": [answer.true.hand_mm for answer in final],
        "hand, mm, sure or not": [answer.true.hand_mm for answer in last],
        "first answer, s": [outcome.first_s for outcome in outcomes if outcome.first_s is not None],
        "an update, ms": [1e3 * seconds for outcome in outcomes for seconds in outcome.update_s],
    }
    figures = {name: _figures(values) for name, values in rows.items()}
    return f"{len(outcomes)} rigs, sure at the end {len(final)}, never sure {never}\n{table(figures)}"


def _figures(values: list[float]) -> dict[str, str]:
    told = (np.median(values), np.percentile(values, 95), max(values)) if values else ()
    names = ("median", "95 %", "most")
    return dict(zip(names, (f"{value:.2f}" for value in told), strict=True)) if told else dict.fromkeys(names, "-")


def fault_report(outcomes: dict[str, list[Outcome]]) -> str:
    """How often each fault was taken for a geometry, as text; right is a rotation within `RIGHT_DEG` at the end."""
    rows = {}
    for name, of_one in outcomes.items():
        final = [outcome.final for outcome in of_one if outcome.final]
        rows[name] = {
            "streams": str(len(of_one)),
            "ever sure": str(sum(bool(outcome.answers) for outcome in of_one)),
            "at the end": str(len(final)),
            "of these right": str(sum(answer.true.rotation_deg <= RIGHT_DEG for answer in final)),
        }
    notes = (f"  {name}: {outcome.note}" for name, of_one in outcomes.items() for outcome in of_one[:1])
    return table(rows) + "\nwhat was said last of the first of each:\n" + "\n".join(notes)


def clip_report(outcome: Outcome) -> str:
    """The clip's figures as text."""
    if outcome.final is None:
        return f"clip: not sure; {outcome.note}"
    true, claimed = outcome.final.true, outcome.final.claimed
    focal, told = (" / ".join(f"{percent:.1f}" for percent in errors.focal_percent) for errors in (true, claimed))
    return (
        f"clip: rotation {true.rotation_deg:.1f} deg off (claimed {claimed.rotation_deg:.1f}),"
        f" baseline {true.baseline_deg:.1f} deg (claimed {claimed.baseline_deg:.1f}), focal lengths {focal} % (claimed {told}),"
        f" hand {true.hand_mm:.1f} mm from the reference, first answer after {outcome.first_s:.1f} s,"
        f" {1e3 * np.median(outcome.update_s):.0f} ms an update"
    )


def main(settings: Settings) -> None:
    if settings.rigs < 1 or settings.seconds <= 0:
        raise UserError(f"{settings.rigs} rigs of {settings.seconds} s were asked for: give one or more of some seconds")
    if settings.clip:
        observed, pixels = read_clip(settings.clip)
        outcomes = [follow(observed, known_fov(settings, observed.rig), pixels)]
        print(clip_report(outcomes[0]))
        title = f"{settings.clip.name}, {sum(pair is not None for pair in observed.pairs)} pairs"
    elif settings.faults:
        told: dict[str, list[Outcome]] = {}
        for number in tqdm(range(settings.rigs), desc="faults", unit="rig"):
            for name, observed in faults(settings, number).items():
                told.setdefault(name, []).append(follow(observed, known_fov(settings, observed.rig)))
        print(fault_report(told))
        return
    else:
        outcomes = _stream_all(settings)
        print(report(outcomes))
        title = f"{len(outcomes)} rigs, {settings.seconds:g} s, {settings.noise_px:g} px noise, {settings.outliers:.0%} outliers"
    if settings.page:
        draw_page(outcomes, title, settings.page)


if __name__ == "__main__":
    try:
        main(tyro.cli(Settings))
    except UserError as error:
        raise SystemExit(str(error)) from None
