"""How good a network is on held-out drawn hands: `python -m tools.evaluate`.

Held-out hands have seeds, skin textures and backgrounds that training never draws. Errors are wrist-aligned and scaled
to a hand of 90 mm from wrist to middle knuckle.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
import tyro
from tqdm import tqdm

from hand.backgrounds import Backgrounds
from hand.draw import Drawer, DrawnCrops
from hand.errors import UserError
from hand.joints import JOINT_NAMES
from hand.prior import FAMILIES
from runtime.weights import DEFAULT_WEIGHTS, load_network
from tools.backgrounds import DEFAULT_BANK
from tools.losses import HAND_MM

SEED = 2_000_000
"""Neither training nor validation during training draws from here."""


@dataclass
class Settings:
    """Evaluate a network on held-out drawn hands."""

    weights: Path = DEFAULT_WEIGHTS
    hands: int = 2000
    backgrounds: Path | None = DEFAULT_BANK
    """Bank made by tools.backgrounds; where it is missing, procedural backgrounds stand in."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Per joint of N hands."""

    error_mm: np.ndarray
    """(N, 21)."""
    error_px: np.ndarray
    """(N, 21) in the crop."""
    confidence: np.ndarray
    """(N, 21)."""


def held_out_hands(count: int, size: int, backgrounds: Backgrounds) -> DrawnCrops:
    """`count` hands that training never drew."""
    drawer = Drawer(size, backgrounds, SEED)
    parts = [drawer.draw(50) for _ in tqdm(range(-(-count // 50)), desc="drawing", unit="x50")]
    return DrawnCrops(**{f.name: torch.cat([getattr(p, f.name) for p in parts])[:count] for f in fields(DrawnCrops)})


@torch.inference_mode()
def score(network: torch.nn.Module, hands: DrawnCrops) -> Scores:
    """Errors and confidences of a HandNetwork."""
    parts = [network(images) for images in tqdm(hands.images.split(50), desc="predicting", unit="x50")]
    joints, pixels, confidence = (torch.cat([getattr(p, name) for p in parts]) for name in ("joints", "pixels", "confidence"))
    error_mm = (joints - hands.joints).norm(dim=-1) * HAND_MM
    return Scores(error_mm.numpy(), (pixels - hands.pixels).norm(dim=-1).numpy(), confidence.numpy())


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's coefficient of two flattened arrays."""
    of_a, of_b = (np.argsort(np.argsort(values.ravel())) for values in (a, b))
    return float(np.corrcoef(of_a, of_b)[0, 1])


def groups(hands: DrawnCrops) -> dict[str, dict[str, np.ndarray]]:
    """Masks (N,) by question and answer."""
    facing, tone = hands.facing.numpy(), hands.tone.numpy()
    hidden = 1 - hands.visible.float().mean(1).numpy()
    grey = (hands.images.float().std(-1).mean((1, 2)) < 1.5).numpy()
    family = hands.family.numpy()
    return {
        "camera sees": {"back": facing > 0.5, "side": np.abs(facing) <= 0.5, "palm": facing < -0.5},
        "joints hidden": {"< 30 %": hidden < 0.3, "30-60 %": (hidden >= 0.3) & (hidden < 0.6), "> 60 %": hidden >= 0.6},
        "skin": {"light": tone < 3, "medium": (tone >= 3) & (tone < 6), "dark": tone >= 6},
        "picture": {"colour": ~grey, "grey": grey},
        "pose": {name: family == number for number, name in enumerate(FAMILIES)},
    }


def report(hands: DrawnCrops, scores: Scores, size: int) -> str:
    """The figures as text."""
    visible = hands.visible.numpy()
    lines = [
        f"{len(scores.error_mm)} held-out hands, errors wrist-aligned, scaled to a hand of {HAND_MM:.0f} mm",
        f"3D         mean {scores.error_mm.mean():.1f} mm, median {np.median(scores.error_mm):.1f} mm;"
        f" visible joints {scores.error_mm[visible].mean():.1f} mm, hidden {scores.error_mm[~visible].mean():.1f} mm",
        f"2D         mean {scores.error_px.mean():.2f} px, median {np.median(scores.error_px):.2f} px of {size};"
        f" within a tenth of the crop: {(scores.error_px < size / 10).mean():.1%}",
        f"confidence ranks joints by 3D error with a coefficient of {-rank_correlation(scores.confidence, scores.error_mm):.2f}",
        "",
    ]
    for question, answers in groups(hands).items():
        for answer, mask in answers.items():
            if mask.any():
                mm, px = scores.error_mm[mask].mean(), scores.error_px[mask].mean()
                lines.append(f"{question:14} {answer:13} {mask.sum():5d} hands  {mm:5.1f} mm  {px:5.2f} px")
        lines.append("")
    by_joint = scores.error_mm.mean(axis=0).tolist()
    lines.append(
        "by joint       " + ", ".join(f"{name} {value:.0f}" for name, value in zip(JOINT_NAMES[1:], by_joint[1:], strict=True))
    )
    return "\n".join(lines)


def main(settings: Settings) -> None:
    network, manifest = load_network(settings.weights)
    bank = settings.backgrounds
    if bank is not None and not bank.is_file():
        print(f"{bank} is not there ('python -m tools.backgrounds' makes it): procedural backgrounds only")
        bank = None
    hands = held_out_hands(settings.hands, manifest.crop_size, Backgrounds.load(bank, "held_out"))
    print(f"{settings.weights}: {manifest.architecture}, {manifest.images_seen or 0:,} training pictures")
    print(report(hands, score(network, hands), manifest.crop_size))


if __name__ == "__main__":
    try:
        main(tyro.cli(Settings))
    except UserError as error:
        raise SystemExit(str(error)) from None
