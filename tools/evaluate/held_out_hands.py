"""Synthetic hands that training never renders, and the errors of a network's predictions for them."""

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
from runtime.estimators.framing import Framing
from runtime.types import HandBox

OUR_SEED, FOREIGN_SEED = 2_000_000, 3_000_000
"""Neither training nor its validation uses these seeds."""
FOREIGN_TEXTURE = 2
"""Number of the skin noise that neither training nor our own held-out hands use."""
SIDE_PX = 128
"""2D errors are in px of a box of this side."""
AUC_MM = 50.0
"""Upper limit of the area under the curve of 3D PCK."""
BLURRED, SHARP = 0.27, 0.45
"""`sharpness` below which a picture counts as blurred, and from which it counts as sharp."""
BATCH = 25

Kind = Literal["our", "foreign"]


@dataclass(frozen=True, slots=True)
class HeldOutHands:
    """N held-out hands of one kind, rendered as the program detects hands and as it tracks them."""

    kind: Kind
    frames: SyntheticCrops
    """Hands of any roll, each in a box in the middle of a picture twice as wide."""
    upright: SyntheticCrops
    """Other hands of the same kind in crops of a track: nearly upright."""


@dataclass(frozen=True, slots=True)
class Scores:
    """A network's predictions for N hands, and their errors."""

    pixels: np.ndarray
    """(N, 21, 2) predicted joints, px of the rendered picture."""
    error_mm: np.ndarray
    """(N, 21) wrist-aligned, scaled to a hand of `DEFAULT_HAND_SIZE_MM`."""
    error_px: np.ndarray
    """(N, 21) px of a box of `SIDE_PX`."""
    error_share: np.ndarray
    """(N, 21) in the image, as a share of the longer side of the true joints' bounding box: the box without its margin."""
    confidence: np.ndarray
    """(N, 21)."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One kind of held-out hands and a network's scores on them."""

    hands: HeldOutHands
    first: Scores
    """Of the frames, in boxes as given: the best of several roll hypotheses."""
    final: Scores
    """Of the frames, after the program's refinement."""
    tracked: Scores
    """Of the upright crops."""


def render_held_out(kind: Kind, count: int, size: int, backgrounds: Backgrounds, framing: Framing) -> HeldOutHands:
    """`count` hands that training never renders, in boxes of `size` px, which must be divisible by 16, as `framing` has them."""
    seed = OUR_SEED if kind == "our" else FOREIGN_SEED
    frames = _drawn(kind, "at any roll", count, size, backgrounds, framing, seed, size // 2, 1.0)
    return HeldOutHands(kind, frames, upright_hands(kind, count, size, backgrounds, framing))


def upright_hands(kind: Kind, count: int, size: int, backgrounds: Backgrounds, framing: Framing) -> SyntheticCrops:
    """Those of `render_held_out` in crops of a track."""
    seed = OUR_SEED if kind == "our" else FOREIGN_SEED
    return _drawn(kind, "upright", count, size, backgrounds, framing, seed + 1, 0, 0.0)


def _drawn(
    kind: Kind,
    name: str,
    count: int,
    size: int,
    backgrounds: Backgrounds,
    framing: Framing,
    seed: int,
    border: int,
    any_roll: float,
) -> SyntheticCrops:
    model = None if kind == "our" else HandModel.load(asset=FOREIGN_ASSET)
    texture = None if kind == "our" else FOREIGN_TEXTURE
    renderer = CropRenderer(
        size, backgrounds, seed, border=border, any_roll=any_roll, framing=framing, model=model, texture=texture
    )
    steps = range(-(-count // BATCH))
    # Whole batches always, so that fewer hands are the first of more.
    parts = [renderer.render(BATCH) for _ in tqdm(steps, desc=f"rendering, {kind} hand {name}", unit=f"x{BATCH}")]
    return SyntheticCrops.joined(parts).rows(slice(count))


def evaluate_kind(engine: Engine, hands: HeldOutHands) -> Evaluation:
    """Predict as the program does where it detects hands, and where it tracks them."""
    size = engine.manifest.crop_size
    first: list[CropPrediction] = []
    final: list[CropPrediction] = []
    requests = [crop_request(hands.frames, number, size) for number in range(len(hands.frames.images))]
    for start in tqdm(range(0, len(requests), BATCH), desc=f"predicting, {hands.kind} hand", unit=f"x{BATCH}"):
        predictions = predict_best_roll(engine, requests[start : start + BATCH])
        first += predictions
        final += refine_predictions(engine, predictions)
    parts = [engine(images.numpy()) for images in hands.upright.images.split(BATCH)]
    joints, pixels, confidence = (
        np.concatenate([getattr(p, name) for p in parts]) for name in ("joints", "pixels", "confidence")
    )
    return Evaluation(
        hands,
        _scores_of(first, hands.frames, size),
        _scores_of(final, hands.frames, size),
        score(joints, pixels, confidence, hands.upright, size),
    )


def crop_request(frames: SyntheticCrops, number: int, size: int) -> CropRequest:
    """A request for one of the frames: a box of `size` px in the middle, and the camera that it was rendered with."""
    image = frames.images[number].numpy()
    side = len(image)
    middle = ((side - 1) / 2, (side - 1) / 2)
    camera = PinholeCamera(float(frames.focal[number]), middle, (side, side))
    return CropRequest(HandBox("left", "right", middle, float(size), 1.0), camera, image)


def _scores_of(predictions: list[CropPrediction], hands: SyntheticCrops, size: int) -> Scores:
    joints, pixels, confidence = (
        np.stack([getattr(prediction.hand, name) for prediction in predictions]) for name in ("joints", "pixels", "confidence")
    )
    return score(joints, pixels, confidence, hands, size)


def score(joints: np.ndarray, pixels: np.ndarray, confidence: np.ndarray, hands: SyntheticCrops, size: int) -> Scores:
    """Compare predictions with the truth: unit hands (N, 21, 3), picture pixels (N, 21, 2), confidences (N, 21).

    `size`: side of the hands' boxes, px.
    """
    truth = hands.pixels.numpy()
    off_px = np.linalg.norm(pixels - truth, axis=-1)
    return Scores(
        pixels=pixels,
        error_mm=np.linalg.norm(joints - hands.joints.numpy(), axis=-1) * DEFAULT_HAND_SIZE_MM,
        error_px=off_px * (SIDE_PX / size),
        error_share=off_px / box_side(truth)[:, None],
        confidence=confidence,
    )


def box_side(pixels: np.ndarray) -> np.ndarray:
    """(N,) longer side of the bounding box of joints (N, 21, 2)."""
    return np.ptp(pixels, axis=1).max(-1)


def sharpness(images: torch.Tensor) -> torch.Tensor:
    """(N,) of pictures (N, S, S, 3) uint8: detail within three pixels as a share of that within nine."""
    grey = images.float().mean(-1)[:, None]
    fine, coarse = (grey - avg_pool2d(grey, side, 1, side // 2, count_include_pad=False) for side in (3, 9))
    return fine.abs().mean((1, 2, 3)) / coarse.abs().mean((1, 2, 3)).clamp_min(1e-3)


def groups(hands: SyntheticCrops) -> dict[str, dict[str, np.ndarray]]:
    """Masks (N,) by property and value; every hand has one value of each property."""
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
