"""How good a network is: `python -m tools.evaluate [--weights W] [--clip FOLDER] [--stills FOLDER] [--colours] [--page out.png]`.

Always on synthetic hands that training never renders: our own with other seeds, textures and backgrounds, and a foreign one,
which is closer to an unknown real hand. They are predicted as in the program: at any roll in a box, refined where the box is off
(`runtime.estimators.crop_prediction`), and upright, as a track crops them. Errors are wrist-aligned and scaled to a hand of
90 mm from wrist to middle knuckle. With folders, a recorded clip and photographs are evaluated too (`tools.evaluate.real`); the
page shows all of it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from hand.joints import DEFAULT_HAND_SIZE_MM, JOINT_NAMES
from hand.outputs import ProgramFiles, with_manifest
from hand.synth.backgrounds import Backgrounds
from runtime.engines.engine import Engine
from runtime.engines.names import EngineName
from runtime.estimators import locator
from runtime.estimators.framing import Framing
from runtime.estimators.network_settings import NetworkSettings
from runtime.networks.detnet_lite import CONFIDENCE_SCALE
from runtime.networks.weights import network_class
from tools.evaluate.colours import COLOURS
from tools.evaluate.held_out_hands import AUC_MM, SIDE_PX, Evaluation, Kind, Scores, evaluate_kind, groups, render_held_out
from tools.evaluate.metrics import Reliability, auc, pck, rank_correlation, reliability
from tools.evaluate.real import clip_report, score_clip, score_stills, stills_report
from tools.photographs import NetworkSearch, load_named_locator, load_network_engine
from tools.report.figures import save_figure
from tools.report.network_page import draw_page
from tools.report.table import table
from tools.train.backgrounds import DEFAULT_BANK


@dataclass
class Settings(NetworkSettings):
    """Evaluate a network on held-out synthetic hands, a clip and photographs."""

    engine: EngineName = "torch"
    """What runs the network."""
    hands: int = 2000
    """Held-out hands of each kind; 0 for the real pictures alone. At the 224 px of mediapipe-3d drawing takes long: give few."""
    clip: Path | None = None
    """Folder of a recorded clip: left.mp4, right.mp4, reference.npz, calibration.json."""
    stills: Path | None = None
    """Folder of photographs with their reference.json."""
    colours: bool = False
    """Evaluate clip and photographs also in grey, with red and blue exchanged, and with their hues turned (skin is blue)."""
    page: Path | None = None
    """PNG file to draw the report into."""
    overwrite: bool = False
    """Replace files that are there already."""
    locator_weights: Path = locator.DEFAULT_WEIGHTS
    """Weights of the locator that searches the photographs."""
    backgrounds: Path | None = DEFAULT_BANK
    """Bank made by tools.train.backgrounds; procedural backgrounds are used where it is missing."""
    threads: int = 1
    """Of a CPU."""


def expected_error_mm(scores: Scores) -> np.ndarray:
    """(N, 21) the joint errors in mm that DetNet-lite's confidences encode."""
    return -CONFIDENCE_SCALE * np.log(scores.confidence.clip(1e-6, 1)) * DEFAULT_HAND_SIZE_MM


def headline(scores: Scores, visible: np.ndarray) -> dict[str, str]:
    """The figures of one table row by column; `visible` (N, 21)."""
    mm, px = scores.error_mm, scores.error_px
    return {
        "mean mm": f"{mm.mean():.1f}",
        "median mm": f"{np.median(mm):.1f}",
        "AUC": f"{auc(mm, AUC_MM):.3f}",
        "visible mm": f"{mm[visible].mean():.1f}",
        "hidden mm": f"{mm[~visible].mean():.1f}",
        "mean px": f"{px.mean():.2f}",
        "median px": f"{np.median(px):.2f}",
        "visible px": f"{px[visible].mean():.2f}",
        "PCK@0.1": f"{pck(scores.error_share, 0.1):.3f}",
        "PCK@0.2": f"{pck(scores.error_share, 0.2):.3f}",
        "rank": f"{rank_correlation(-scores.confidence, mm):.2f}",
        "confidence": f"{scores.confidence.mean():.3f}",
    }


def headlines(evaluations: list[Evaluation]) -> dict[str, dict[str, str]]:
    """Rows by name: each kind of hand as detected, and as tracked."""
    rows: dict[str, dict[str, str]] = {}
    for one in evaluations:
        frames, upright = one.hands.frames.visible.numpy(), one.hands.upright.visible.numpy()
        kind = one.hands.kind
        rows[f"{kind} hand, any roll"] = headline(one.final, frames)
        rows[f"{kind} hand, first prediction"] = headline(one.first, frames)
        rows[f"{kind} hand, upright"] = headline(one.tracked, upright)
    return rows


def reliability_of(engine: Engine, scores: Scores) -> Reliability | None:
    """Expected against true errors; None for networks whose confidence encodes no expected error."""
    if not network_class(engine.manifest.architecture).predicts_error:
        return None
    return reliability(expected_error_mm(scores), scores.error_mm)


def breakdown(one: Evaluation) -> str:
    """Errors of one kind of hand by question and answer, and by joint."""
    scores = one.final

    def line(question: str, answer: str, part: tuple[np.ndarray | slice, ...]) -> str:
        mm, px, share = scores.error_mm[part], scores.error_px[part], scores.error_share[part]
        figures = f"{mm.mean():6.1f} mm {px.mean():6.2f} px  PCK@0.1 {pck(share, 0.1):.3f}"
        return f"  {question:14} {answer:13}{len(mm):6d} hands {figures}"

    lines = [f"{one.hands.kind} hand, any roll"]
    for question, answers in groups(one.hands.frames).items():
        lines += [line(question, answer, (mask,)) for answer, mask in answers.items() if mask.any()]
    every = slice(None)
    lines += [line("joint", name, (every, np.array([joint]))) for joint, name in enumerate(JOINT_NAMES)]
    return "\n".join(lines)


def report(engine: Engine, evaluations: list[Evaluation]) -> str:
    """The held-out figures as text."""
    lines = [
        f"{len(evaluations[0].final.error_mm)} held-out hands of each kind; mm wrist-aligned and scaled"
        f" to a hand of {DEFAULT_HAND_SIZE_MM:.0f} mm, AUC of 3D PCK from 0 to {AUC_MM:.0f} mm, px of a box of {SIDE_PX},"
        " PCK as shares of the box around the joints without its margin,",
        "rank: Spearman's coefficient of expected and true 3D error over the joints",
        table(headlines(evaluations)),
    ]
    for one in evaluations:
        lines += ["", breakdown(one)]
        measured = reliability_of(engine, one.final)
        if measured is not None:
            bins = ", ".join(f"{a:.0f}:{b:.0f}" for a, b in zip(measured.expected, measured.true, strict=True))
            lines.append(f"  expected : true error, mm, in tenths of the joints: {bins}; {measured.gap:.1f} mm apart")
    return "\n".join(lines)


def _real_pictures(engine: Engine, settings: Settings) -> str:
    """What is found on clip and photographs, in each of the colours, as text."""
    parts: list[str] = []
    for colour in COLOURS if settings.colours else ("as taken",):
        if settings.clip:
            parts.append(clip_report(score_clip(engine, settings.clip, colour), colour))
        if settings.stills:
            locate = load_named_locator(settings.estimator, settings.locator_weights, threads=settings.threads)
            find = NetworkSearch(engine, locate)
            parts.append(stills_report(score_stills(engine, find, settings.stills, colour), colour))
    return "".join(f"{part}\n" for part in parts)


def main(settings: Settings) -> None:
    files = ProgramFiles(overwrite=settings.overwrite).reads("--clip", settings.clip).reads("--stills", settings.stills)
    for option, weights in (("--weights", settings.weights), ("--locator-weights", settings.locator_weights)):
        files.reads(option, *with_manifest(weights))
    files.reads("--backgrounds", settings.backgrounds).writes("--page", settings.page).check()
    torch.set_num_threads(settings.threads)
    engine = load_network_engine(settings.estimator, settings.weights, settings.engine)
    manifest = engine.manifest
    bank = settings.backgrounds
    if bank is not None and not bank.is_file():
        print(f"{bank} is not there ('python -m tools.train.backgrounds' makes it): procedural backgrounds only")
        bank = None
    named = settings.weights or settings.estimator
    title = f"{named}, {engine.description}: {manifest.architecture}, {manifest.images_seen or 0:,} training pictures"
    print(title)
    real = _real_pictures(engine, settings)
    print(real, end="")
    if settings.hands:
        places = Backgrounds.load(bank, "held_out")
        size, framing = manifest.crop_size, Framing.of(manifest)
        hands = [render_held_out(kind, settings.hands, size, places, framing) for kind in get_args(Kind)]
        evaluations = [evaluate_kind(engine, of_kind) for of_kind in hands]
        print(report(engine, evaluations))
        if settings.page:
            reliabilities = [reliability_of(engine, one.final) for one in evaluations]
            save_figure(draw_page(title, headlines(evaluations), evaluations, reliabilities, real), settings.page)
