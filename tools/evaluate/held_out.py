"""Hands that training never draws, and how far a network's answers are off on them: what `tools.evaluate` judges by."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import avg_pool2d
from tqdm import tqdm

from hand.camera import PinholeCamera
from hand.joints import DEFAULT_HAND_SIZE_MM
from hand.model import FOREIGN_ASSET, HandModel
from hand.prior import FAMILIES
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer, SyntheticCrops
from runtime.engines.engine import Engine
from runtime.estimators.crop_prediction import CropPrediction, CropRequest, predict_best_roll, refine_predictions
from runtime.types import HandBox

OUR_SEED, FOREIGN_SEED = 2_000_000, 3_000_000
"""Neither training nor validation during training draws from here."""
FOREIGN_TEXTURE = 2
"""Number of the skin's noise that neither training nor our own held-out hands have."""
SIDE_PX = 128
"""2D errors are told in px of a box of this side."""
AUC_MM = 50.0
"""3D errors count in the area under their curve up to here."""
BLURRED, SHARP = 0.27, 0.45
"""`sharpness` below which a picture is called blurred, and from which it is called sharp."""
BATCH = 25

Kind = Literal["our", "foreign"]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """N held-out hands of one kind, each drawn twice over: as the program finds hands, and as it follows them."""

    kind: Kind
    frames: SyntheticCrops
    """Hands of any roll, each in a box in the middle of a picture twice as wide."""
    upright: SyntheticCrops
    """Other hands of the same kind in crops as a track cuts them: nearly upright."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What a network said of N hands, and how far off it was."""

    pixels: np.ndarray
    """(N, 21, 2) where it saw the joints, px of the picture that was drawn."""
    error_mm: np.ndarray
    """(N, 21) wrist-aligned, scaled to a hand of `DEFAULT_HAND_SIZE_MM`."""
    error_px: np.ndarray
    """(N, 21) px of a box of `SIDE_PX`."""
    error_share: np.ndarray
    """(N, 21) in the image, as a share of the longer side of the true joints' bounding box: the box without its margin."""
    confidence: np.ndarray
    """(N, 21)."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One kind of held-out hands and a network's answers to them."""

    hands: HeldOut
    first: Scores
    """Of the frames, in boxes as given, turned several ways."""
    final: Scores
    """Of the frames, after looking again as the program does."""
    tracked: Scores
    """Of the upright crops."""


def held_out(kind: Kind, count: int, size: int, backgrounds: Backgrounds) -> HeldOut:
    """`count` hands that training never drew, in boxes of `size` px, which must be divisible by 16."""
    seed = OUR_SEED if kind == "our" else FOREIGN_SEED
    frames = _drawn(kind, "at any roll", count, size, backgrounds, seed, size // 2, 1.0)
    return HeldOut(kind, frames, upright_hands(kind, count, size, backgrounds))


def upright_hands(kind: Kind, count: int, size: int, backgrounds: Backgrounds) -> SyntheticCrops:
    """Those of `held_out` that are as a track cuts them."""
    seed = OUR_SEED if kind == "our" else FOREIGN_SEED
    return _drawn(kind, "upright", count, size, backgrounds, seed + 1, 0, 0.0)


def _drawn(
    kind: Kind, name: str, count: int, size: int, backgrounds: Backgrounds, seed: int, border: int, any_roll: float
) -> SyntheticCrops:
    model = None if kind == "our" else HandModel.load(asset=FOREIGN_ASSET)
    texture = None if kind == "our" else FOREIGN_TEXTURE
    drawer = CropRenderer(size, backgrounds, seed, border=border, any_roll=any_roll, model=model, texture=texture)
    steps = range(-(-count // BATCH))
    # Whole batches always, so that fewer hands are the first of more.
    parts = [drawer.draw(BATCH) for _ in tqdm(steps, desc=f"drawing, {kind} hand {name}", unit=f"x{BATCH}")]
    return SyntheticCrops.joined(parts).rows(slice(count))


def judge(engine: Engine, hands: HeldOut) -> Judged:
    """Ask the network as the program does where it finds hands, and as it does where it follows them."""
    size = engine.manifest.crop_size
    first: list[CropPrediction] = []
    final: list[CropPrediction] = []
    places = [place_of(hands.frames, number, size) for number in range(len(hands.frames.images))]
    for start in tqdm(range(0, len(places), BATCH), desc=f"looking, {hands.kind} hand", unit=f"x{BATCH}"):
        answers = predict_best_roll(engine, places[start : start + BATCH])
        first += answers
        final += refine_predictions(engine, answers)
    parts = [engine(images.numpy()) for images in hands.upright.images.split(BATCH)]
    joints, pixels, confidence = (
        np.concatenate([getattr(p, name) for p in parts]) for name in ("joints", "pixels", "confidence")
    )
    return Judged(
        hands,
        _of_answers(first, hands.frames, size),
        _of_answers(final, hands.frames, size),
        score(joints, pixels, confidence, hands.upright, size),
    )


def place_of(frames: SyntheticCrops, number: int, size: int) -> CropRequest:
    """One of the frames as the program meets it: a box of `size` px in the middle, and the camera that it was drawn by."""
    image = frames.images[number].numpy()
    side = len(image)
    middle = ((side - 1) / 2, (side - 1) / 2)
    camera = PinholeCamera(float(frames.focal[number]), middle, (side, side))
    return CropRequest(HandBox("left", "right", middle, float(size), 1.0), camera, image)


def _of_answers(answers: list[CropPrediction], hands: SyntheticCrops, size: int) -> Scores:
    joints, pixels, confidence = (
        np.stack([getattr(answer.hand, name) for answer in answers]) for name in ("joints", "pixels", "confidence")
    )
    return score(joints, pixels, confidence, hands, size)


def score(joints: np.ndarray, pixels: np.ndarray, confidence: np.ndarray, hands: SyntheticCrops, size: int) -> Scores:
    """Compare answers with the truth: unit hands (N, 21, 3), picture pixels (N, 21, 2), confidences (N, 21).

    `size`: side of the hands' boxes, px.
    """
    truth = hands.pixels.numpy()
    off_px = np.linalg.norm(pixels - truth, axis=-1)
    return Scores(
        pixels=pixels,
        error_mm=np.linalg.norm(joints - hands.joints.numpy(), axis=-1) * DEFAULT_HAND_SIZE_MM,
        error_px=off_px * (SIDE_PX / size),
        error_share=off_px / extent(truth)[:, None],
        confidence=confidence,
    )


def extent(pixels: np.ndarray) -> np.ndarray:
    """(N,) longer side of the bounding box of joints (N, 21, 2)."""
    return np.ptp(pixels, axis=1).max(-1)


def sharpness(images: torch.Tensor) -> torch.Tensor:
    """(N,) of pictures (N, S, S, 3) uint8: detail within three pixels as a share of that within nine, which blur spares."""
    grey = images.float().mean(-1)[:, None]
    fine, coarse = (grey - avg_pool2d(grey, side, 1, side // 2, count_include_pad=False) for side in (3, 9))
    return fine.abs().mean((1, 2, 3)) / coarse.abs().mean((1, 2, 3)).clamp_min(1e-3)


def groups(hands: SyntheticCrops) -> dict[str, dict[str, np.ndarray]]:
    """Masks (N,) by question and answer; every hand is in one answer of each question."""
    facing, tone, family = hands.facing.numpy(), hands.tone.numpy(), hands.family.numpy()
    hidden = 1 - hands.visible.float().mean(1).numpy()
    grey = (hands.images.float().std(-1).mean((1, 2)) < 1.5).numpy()
    sharp = sharpness(hands.images).numpy()
    return {
        "camera sees": {"back": facing > 0.5, "side": np.abs(facing) <= 0.5, "palm": facing < -0.5},
        "joints hidden": {"< 30 %": hidden < 0.3, "30-60 %": (hidden >= 0.3) & (hidden < 0.6), "> 60 %": hidden >= 0.6},
        "skin": {"light": tone < 3, "medium": (tone >= 3) & (tone < 6), "dark": tone >= 6},
        "blur": {"sharp": sharp >= SHARP, "medium": (sharp >= BLURRED) & (sharp < SHARP), "blurred": sharp < BLURRED},
        "picture": {"colour": ~grey, "grey": grey},
        "pose": {name: family == number for number, name in enumerate(FAMILIES)},
    }
