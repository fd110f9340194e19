"""Train the locator on drawn scenes: `python -m tools.train_locator runs/locator --minutes 25`.

Scenes are composed as training goes, from cut-out hands that are renewed all the time; each scene is used a few times,
mirrored and turned by right angles. Runs are resumed from their checkpoint, and ready weights are saved every few minutes.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
import tyro
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from hand.backgrounds import Backgrounds
from hand.cutouts import CutOutBank
from hand.errors import UserError
from hand.joints import JOINTS
from hand.scenes import SceneDrawer, Scenes
from runtime.locator import ARCHITECTURE, MIN_SCORE, STRIDE, LocatorMaps, LocatorNetwork, find_peaks
from runtime.network import normalise
from runtime.weights import Manifest, fill, load_tensors, save_tensors
from tools.backgrounds import DEFAULT_BANK
from tools.checkpoints import load_checkpoint, save_checkpoint
from tools.scene_pool import ScenePool, join, varied

HELD_OUT_SEED = 1_000_000
"""Validation scenes are drawn from this seed on; training seeds stay below."""
PIECE_BYTES = 15 << 20
NEAR, SIZE_RATIO = 0.35, 1.6
"""A hand is found where a box's centre is off by at most this share of its side, and its side by at most this ratio."""


@dataclass
class Settings:
    """Train the locator on drawn scenes."""

    run: tyro.conf.Positional[Path]
    """Folder of the run: checkpoint, weights and log; a run that is there already is resumed."""
    minutes: float = 25.0
    """Time to train in this call; the learning rate falls to zero at its end."""
    size: int = 96
    """Side of the scenes in px, divisible by 32."""
    longer_side: int = 128
    """What frames are shrunk to, px. Scenes may be smaller: hands are told by their size in pixels, whatever is around them."""
    width: int = 24
    """Channels of the network's first stages."""
    batch: int = 32
    rate: float = 1.5e-3
    """Peak learning rate."""
    seed: int = 0
    backgrounds: Path | None = DEFAULT_BANK
    """Bank made by tools.backgrounds; 'None' for procedural backgrounds alone."""
    start: Path | None = None
    """A locator's weights to start from instead of random ones."""
    device: str = "auto"
    threads: int = 1
    cutouts: int = 1500
    """Hands in stock."""
    pool: int = 6000
    """Scenes in stock."""
    reuse: float = 3.0
    """How often a scene is used."""
    validate: int = 512
    """Held-out scenes a validation."""
    validate_minutes: float = 4.0


class Pupil(nn.Module):
    """A locator that must also say where the joints are, from which it learns what a hand is; only the locator is kept."""

    def __init__(self, width: int):
        super().__init__()
        self.locator = LocatorNetwork(width)
        self.joints = nn.Conv2d(2 * width, 2 * JOINTS, 1)

    def forward(self, images: Tensor) -> tuple[LocatorMaps, Tensor]:
        """The locator's maps, and joints (N, 42, ·, ·) from the box's centre, in sides of the box."""
        features = self.locator.features(images)
        return self.locator.read(features), self.joints(features)


def targets(scenes: Scenes) -> tuple[Tensor, Tensor, Tensor]:
    """Centre heat (N, K, h, w) of each hand; way (N, K, h, w, 2) to its centre, cells; and the cells that count (N, 1, h, w)."""
    height, width = (side // STRIDE for side in scenes.images.shape[1:3])
    device = scenes.images.device
    place = (scenes.centres + 0.5) / STRIDE
    y, x = torch.meshgrid(torch.arange(height, device=device) + 0.5, torch.arange(width, device=device) + 0.5, indexing="ij")
    away = place[:, :, None, None] - torch.stack([x, y], -1)
    cells = scenes.sizes[..., None, None] / STRIDE
    # Nobody can tell a box's centre to a tenth of its side. A narrower peak would spread the score of large hands over
    # cells, and things that are small would come first.
    beyond = ((away**2).sum(-1).sqrt() - 0.1 * cells).clamp_min(0)
    heat = torch.exp(-((beyond / (0.1 * cells).clamp_min(0.5)) ** 2) / 2) * scenes.shown[..., None, None]
    # The cell that holds the centre is the peak, wherever in it the centre lies.
    holds = (away.abs().amax(-1) <= 0.5) & scenes.shown[..., None, None]
    heat = torch.where(holds, torch.ones_like(heat), heat)
    open_ = (beyond > 0.3 * cells) | ~scenes.unsure[..., None, None]
    return heat, away, open_.all(1, keepdim=True)


def locator_loss(maps: LocatorMaps, joints: Tensor, scenes: Scenes) -> tuple[Tensor, dict[str, Tensor]]:
    """Penalty-reduced focal loss of the centres (Zhou et al. 2019, eq. 1); side, size, offset and joints around them."""
    heat, away, counts = targets(scenes)
    target, owner = heat.max(1, keepdim=True)
    logit = maps.centre
    probability = logit.sigmoid()
    at_peak = (target >= 1).float()
    count = at_peak.sum().clamp_min(1)
    found = -((1 - probability) ** 2) * F.logsigmoid(logit) * at_peak
    false = -((1 - target) ** 4) * probability**2 * F.logsigmoid(-logit) * (1 - at_peak) * counts
    centre_loss = (found.sum() + false.sum()) / count
    # Where the peak is a cell off, its answers must hold too.
    weight = torch.where(target > 0.3, target, torch.zeros_like(target))
    total = weight.sum().clamp_min(1)

    def of_owner(values: Tensor) -> Tensor:
        return values[:, :, None, None].expand(-1, -1, *target.shape[2:]).gather(1, owner)

    size_error = (maps.size - of_owner((scenes.sizes / STRIDE).clamp_min(0.3).log())).abs()
    offset_error = (maps.offset - away.gather(1, owner[..., None].expand(-1, -1, -1, -1, 2))[:, 0].permute(0, 3, 1, 2)).abs()
    side = of_owner(scenes.left.float())
    side_error = F.binary_cross_entropy_with_logits(maps.left, side, reduction="none")
    size_loss, offset_loss, side_loss = ((weight * error).sum() / total for error in (size_error, offset_error, side_error))
    where = ((scenes.joints - scenes.centres[:, :, None]) / scenes.sizes[..., None, None].clamp_min(1)).flatten(2)
    wanted = where[:, :, :, None, None].expand(-1, -1, -1, *target.shape[2:])
    wanted = wanted.gather(1, owner[:, :, None].expand(-1, -1, 2 * JOINTS, -1, -1))[:, 0]
    joint_loss = (weight * (joints - wanted).abs()).sum() / total / (2 * JOINTS)
    right_side = ((maps.left > 0) == (side > 0.5)).float()
    figures = {
        "centre": centre_loss.detach(),
        "size": size_loss.detach(),
        "joints": joint_loss.detach(),
        "side": (weight * right_side).sum().detach() / total,
    }
    return centre_loss + size_loss + 0.5 * offset_loss + side_loss + 10 * joint_loss, figures


@torch.no_grad()
def validate(network: LocatorNetwork, scenes: Scenes, batch: int) -> dict[str, float]:
    """Share of hands found, and of them with the right side; false alarms a frame; the centre's error in boxes."""
    network.eval()
    found = [hands for images in scenes.images.split(batch) for hands in find_peaks(network(normalise(images)), MIN_SCORE)]
    hits = sides = false = 0
    errors: list[float] = []
    sizes, shown_hands, unsure = (
        scenes.sizes.clamp_min(1e-3).cpu().numpy(),
        scenes.shown.cpu().numpy(),
        scenes.unsure.cpu().numpy(),
    )
    for number, hands in enumerate(found):
        open_ = np.ones(sizes.shape[1], bool)
        for hand in hands:
            off = np.hypot(*(np.array(hand.centre) - scenes.centres[number].cpu().numpy()).T) / sizes[number]
            ratio = np.maximum(hand.size / sizes[number], sizes[number] / hand.size)
            meant = open_ & (off < NEAR) & (unsure[number] | (shown_hands[number] & (ratio < SIZE_RATIO)))
            if not meant.any():
                false += 1
                continue
            nearest = int(np.where(meant, off, np.inf).argmin())
            open_[nearest] = False
            if shown_hands[number, nearest]:
                hits += 1
                sides += hand.left == bool(scenes.left[number, nearest])
                errors.append(float(off[nearest]))
    shown = max(1, int(scenes.shown.sum()))
    return {
        "found": hits / shown,
        "side": sides / max(1, hits),
        "false_per_frame": false / len(found),
        "centre_boxes": float(np.mean(errors)) if errors else float("nan"),
    }


def train(settings: Settings) -> None:
    if settings.size % 32:
        raise UserError(f"--size is {settings.size}, expected a multiple of 32")
    device = torch.device(settings.device if settings.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    settings.run.mkdir(parents=True, exist_ok=True)
    student, teacher = (
        Pupil(settings.width).to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        for _ in range(2)
    )
    seen = 0
    if settings.start:
        tensors, started = load_tensors(settings.start)
        fill(student.locator, tensors, settings.start)
        seen = started.images_seen or 0
    teacher.load_state_dict(student.state_dict())
    optimiser = torch.optim.AdamW(student.parameters(), lr=settings.rate, weight_decay=0.01, betas=(0.9, 0.98))
    checkpoint = settings.run / "checkpoint"
    if checkpoint.is_dir():
        seen = load_checkpoint(checkpoint, student, teacher, optimiser)
        print(f"resumed {checkpoint} after {seen:,} pictures")
    print("drawing hands")
    held_out_places = Backgrounds.load(settings.backgrounds, "held_out", device)
    held_out_drawer = SceneDrawer(settings.size, CutOutBank(256, HELD_OUT_SEED, device), held_out_places, HELD_OUT_SEED)
    held_out = join([held_out_drawer.draw(64) for _ in range(max(1, settings.validate // 64))])
    seed = settings.seed + seen % 900_000
    places = Backgrounds.load(settings.backgrounds, "train", device)
    pool = ScenePool(
        SceneDrawer(settings.size, CutOutBank(settings.cutouts, seed, device), places, seed), settings.pool, settings.reuse
    )
    random = np.random.default_rng(seed)

    def save(progress: float) -> None:
        figures = validate(teacher.locator, held_out, 64)
        print(
            f"\n{seen:,} pictures, {progress:.0%} of the time: " + ", ".join(f"{k} {v:.3f}" for k, v in figures.items()),
            flush=True,
        )
        with (settings.run / "log.jsonl").open("ab") as log:
            log.write(msgspec.json.encode({"seen": seen, "progress": progress, **figures}) + b"\n")
        manifest = Manifest(
            architecture=ARCHITECTURE, root=0, crop_size=settings.longer_side, map_size=settings.longer_side // STRIDE,
            axes="frame", options={"width": settings.width}, training_data="drawn scenes (hand.scenes)", seed=settings.seed,
            images_seen=seen, accuracy={f"validation_{name}": round(value, 4) for name, value in figures.items()},
        )  # fmt: skip
        save_tensors(settings.run / "locator.safetensors", teacher.locator.state_dict(), manifest)
        save_checkpoint(checkpoint, student, teacher, optimiser, seen, PIECE_BYTES)

    begun = saved = time.monotonic()
    steps, smooth = 0, {}
    with tqdm(unit="img", unit_scale=True, initial=seen, smoothing=0.05, mininterval=5) as bar:
        while (elapsed := time.monotonic() - begun) < settings.minutes * 60:
            progress = elapsed / (settings.minutes * 60)
            for group in optimiser.param_groups:
                group["lr"] = settings.rate * min(1.0, (steps + 1) / 100) * max(0.5 * (1 + np.cos(np.pi * progress)), 1e-3)
            scenes = varied(pool.take(settings.batch), random)
            student.train()
            with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
                maps, joints = student(normalise(scenes.images).contiguous(memory_format=torch.channels_last))
            loss, figures = locator_loss(LocatorMaps(*(values.float() for values in maps)), joints.float(), scenes)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 5.0)
            optimiser.step()
            steps += 1
            seen += settings.batch
            # The mean of the last thousand steps, of fewer in the beginning.
            decay = min(0.999, 1 - 1 / (1 + steps / 3))
            with torch.no_grad():
                for kept, new in zip(teacher.state_dict().values(), student.state_dict().values(), strict=True):
                    kept.lerp_(new, 1 - decay) if kept.is_floating_point() else kept.copy_(new)
            for name, value in figures.items():
                smooth[name] = smooth.get(name, value.item()) * 0.98 + value.item() * 0.02
            bar.set_postfix({name: f"{value:.3f}" for name, value in smooth.items()}, refresh=False)
            bar.update(settings.batch)
            if time.monotonic() - saved > settings.validate_minutes * 60:
                save(progress)
                saved = time.monotonic()
    save(1.0)


if __name__ == "__main__":
    try:
        train(tyro.cli(Settings))
    except UserError as error:
        raise SystemExit(str(error)) from None
