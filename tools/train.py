"""Train a hand network on drawn hands: `python -m tools.train runs/lite --minutes 60`.

Hands are drawn as training goes. On a GPU every picture is drawn for the step that uses it; on a CPU, where drawing costs
as much as learning, a second process keeps a pool filled and each picture is used a few times, turned and scaled anew.
Runs are resumed from their checkpoint; the best guess so far is saved every few minutes as ready weights.
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import msgspec
import torch
import tyro
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from hand.backgrounds import Backgrounds
from hand.draw import Drawer, DrawnCrops
from hand.errors import UserError
from hand.joints import PARENTS
from runtime.detnet_lite import mean_pixels, read, read_scalar
from runtime.network import HandNetwork, normalise, peak_pixels, peaks, read_at
from runtime.weights import Manifest, build_network, fill, load_tensors, save_network
from tools.backgrounds import DEFAULT_BANK
from tools.checkpoints import load_checkpoint, save_checkpoint
from tools.pool import CropPool

HELD_OUT_SEED = 1_000_000
"""Validation hands are drawn from this seed on; training seeds stay below."""
PIECE_BYTES = 15 << 20
HAND_MM = 90.0


@dataclass
class Settings:
    """Train a hand network on drawn hands."""

    run: tyro.conf.Positional[Path]
    """Folder of the run: checkpoint, weights and log; a run that is there already is resumed."""
    architecture: Literal["detnet-lite", "detnet"] = "detnet-lite"
    minutes: float = 60.0
    """Time to train in this call; the learning rate falls to zero at its end."""
    crop_size: int = 64
    batch: int = 64
    rate: float = 2e-3
    """Peak learning rate."""
    seed: int = 0
    backgrounds: Path | None = DEFAULT_BANK
    """Bank made by tools.backgrounds; 'None' for procedural backgrounds alone."""
    start: Path | None = None
    """Weights to start from instead of random ones."""
    device: str = "auto"
    threads: int = 1
    """Threads of a CPU for learning; drawing takes one more."""
    reuse: float = 3.0
    """How often a drawn picture is used, on a CPU."""
    absent: float = 0.05
    """Share of pictures without a hand."""
    mirrored: float = 0.06
    """Share of pictures of a left hand, about which DetNet-lite learns only that it must doubt itself."""
    validate: int = 512
    """Held-out hands a validation."""
    validate_minutes: float = 5.0


def learning_rate(peak: float, progress: float) -> float:
    """A short warm-up, a long plateau falling by half, then down to zero; `progress` in [0, 1]."""
    warm = min(1.0, progress / 0.01 + 0.02)
    falling = 0.5 * (1 + torch.cos(torch.tensor(min(1.0, progress) * torch.pi)).item())
    return peak * warm * max(falling, 1e-3)


def turned(drawn: DrawnCrops, size: int, generator: torch.Generator) -> DrawnCrops:
    """The same hands under a camera rolled about its axis and zoomed: exact for image, joints and pixels."""
    n, device = len(drawn.images), drawn.images.device
    angle = torch.rand(n, generator=generator, device=device) * 2 * torch.pi
    zoom = 0.9 + 0.25 * torch.rand(n, generator=generator, device=device)
    cos, sin = angle.cos(), angle.sin()
    roll = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    source = drawn.images.shape[1]
    theta = roll.transpose(1, 2) * (size / (source * zoom))[:, None, None]
    grid = F.affine_grid(torch.cat([theta, theta.new_zeros(n, 2, 1)], 2), [n, 3, size, size], align_corners=False)
    images = F.grid_sample(drawn.images.permute(0, 3, 1, 2).float(), grid, padding_mode="reflection", align_corners=False)
    images = images * _inside_frame(n, size, generator, device)
    gain = 0.85 + 0.3 * torch.rand(n, 1, 1, 1, generator=generator, device=device)
    images = (images * gain).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    joints = torch.cat([drawn.joints[..., :2] @ roll.transpose(1, 2), drawn.joints[..., 2:]], -1)
    pixels = (drawn.pixels - (source - 1) / 2) @ roll.transpose(1, 2) * zoom[:, None, None] + (size - 1) / 2
    return DrawnCrops(
        images, joints, pixels, drawn.visible, drawn.family, drawn.facing, drawn.tone, drawn.present, drawn.mirrored
    )


def _inside_frame(n: int, size: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """(n, 1, size, size) 1 in the camera's frame, 0 beyond its edge, which cuts some crops: those are black there."""
    edge = torch.rand(n, 1, 1, 1, generator=generator, device=device) * 0.35 * size
    edge = torch.where(torch.rand(n, 1, 1, 1, generator=generator, device=device) < 0.12, edge, torch.zeros_like(edge))
    side = torch.randint(4, (n, 1, 1, 1), generator=generator, device=device)
    span = torch.arange(size, device=device)
    x, y = span[None, :].expand(size, size), span[:, None].expand(size, size)
    distance = torch.where(side == 0, x, torch.where(side == 1, size - 1 - x, torch.where(side == 2, y, size - 1 - y)))
    return (distance >= edge).float()


def bone_directions(joints: Tensor) -> Tensor:
    """(N, 21, 3) unit vectors from each joint's parent to it; the wrist's is zero."""
    vectors = joints - joints[:, [max(parent, 0) for parent in PARENTS]]
    return F.normalize(vectors, dim=-1, eps=1e-6)


def heat_targets(pixels: Tensor, cells: int, size: int, sigma: float) -> Tensor:
    """(N, 21, cells, cells) Gaussians around crop pixels (N, 21, 2), of `sigma` cells, with a peak of 1."""
    place = (pixels + 0.5) * (cells / size) - 0.5
    centre = torch.arange(cells, device=pixels.device, dtype=pixels.dtype)
    x = torch.exp(-((place[..., :1] - centre) ** 2) / (2 * sigma**2))
    y = torch.exp(-((place[..., 1:] - centre) ** 2) / (2 * sigma**2))
    return y[..., :, None] * x[..., None, :]


def lite_loss(network: torch.nn.Module, drawn: DrawnCrops, size: int) -> tuple[Tensor, dict[str, Tensor]]:
    """DetNet-lite: cross-entropy of the heat, distances of the joints in 2D and 3D, bone directions, and the error foretold."""
    logits, delta, location, doubt = network.raw(normalise(drawn.images).contiguous(memory_format=torch.channels_last))
    logits, delta, location, doubt = (m.float() for m in (logits, delta, location, doubt))
    cells = logits.shape[-1]
    log_heat = logits.flatten(2).log_softmax(-1)
    heat = log_heat.exp().view_as(logits)
    # Where a left hand is shown there is nothing to learn but doubt: its heat is left alone, it may look like a right one's.
    right = (~drawn.mirrored)[:, None].float()
    present = drawn.present[:, None].float() * right
    inside = ((drawn.pixels > -0.5) & (drawn.pixels < size - 0.5)).all(-1) * present
    target = heat_targets(drawn.pixels, cells, size, 0.55).flatten(2)
    target = torch.where((present * inside)[..., None] > 0, target / target.sum(-1, keepdim=True).clamp_min(1e-6), 1 / cells**2)
    # Joints outside of the crop have no cell; pictures without a hand are to have no opinion.
    known = torch.where(present > 0, inside, torch.ones_like(inside)) * right
    heat_loss = (-(target * log_heat).sum(-1) * known).mean()
    off_px = ((mean_pixels(heat, size) - drawn.pixels).norm(dim=-1) * inside).sum() / inside.sum().clamp_min(1)
    distance = (read(location, heat) - drawn.joints).norm(dim=-1)
    joint_loss = (distance * present).mean()
    delta_loss = ((read(delta, heat) - bone_directions(drawn.joints)).norm(dim=-1) * present).mean()
    error = torch.where(present > 0, distance, torch.ones_like(distance)).detach()
    expected = read_scalar(doubt, heat.detach())
    doubt_loss = (error * torch.exp(-expected) + expected).mean()
    loss = 0.2 * heat_loss + 2.0 * off_px / size * 4 + 3.0 * joint_loss + 0.3 * delta_loss + 0.1 * doubt_loss
    return loss, {"3d_mm": joint_loss.detach() * HAND_MM, "2d_px": off_px.detach()}


def detnet_loss(network: torch.nn.Module, drawn: DrawnCrops, size: int) -> tuple[Tensor, dict[str, Tensor]]:
    """DetNet: the published losses (heat MSE, delta and location around the truth), the heat's few bright cells weighed up."""
    heat, delta, location, _ = network(normalise(drawn.images).contiguous(memory_format=torch.channels_last))
    heat, delta, location = heat.float(), delta.float(), location.float()
    cells = heat.shape[-1]
    present = (drawn.present & ~drawn.mirrored)[:, None].float()
    target = heat_targets(drawn.pixels, cells, size, 1.2) * present[..., None, None]
    # Most cells are empty: unweighed, the answer zero is a long-lived valley.
    heat_loss = ((heat - target) ** 2 * (1 + 30 * target)).mean()
    share = (target / target.sum((2, 3), keepdim=True).clamp_min(1e-6)).flatten(2)

    def at_truth(maps: Tensor) -> Tensor:
        return maps.flatten(2).unflatten(1, (21, 3))

    location_error = (at_truth(location) - drawn.joints[..., None]).norm(dim=2)
    delta_error = (at_truth(delta) - bone_directions(drawn.joints)[..., None]).norm(dim=2)
    joint_loss, delta_loss = (share * location_error).sum(-1).mean(), (share * delta_error).sum(-1).mean()
    with torch.no_grad():
        index, _ = peaks(heat)
        off_px = ((peak_pixels(heat, index, size) - drawn.pixels).norm(dim=-1) * present).mean()
        distance = ((read_at(location, index) - drawn.joints).norm(dim=-1) * present).mean()
    return 30 * heat_loss + 3 * joint_loss + 0.3 * delta_loss, {"3d_mm": distance * HAND_MM, "2d_px": off_px}


LOSSES = {"detnet-lite": lite_loss, "detnet": detnet_loss}


@torch.no_grad()
def validate(hand_network: HandNetwork, held_out: DrawnCrops, batch: int) -> dict[str, float]:
    """Mean joint error in mm (a 90 mm hand) and in px of the crop; mean confidence with a hand, without, with a left one."""
    hand_network.eval()
    parts = [hand_network(images) for images in held_out.images.split(batch)]
    joints, pixels, confidence = (
        torch.cat([getattr(p, name).float() for p in parts]) for name in ("joints", "pixels", "confidence")
    )
    shown = held_out.present & ~held_out.mirrored
    return {
        "3d_mm": ((joints - held_out.joints).norm(dim=-1)[shown].mean() * HAND_MM).item(),
        "2d_px": (pixels - held_out.pixels).norm(dim=-1)[shown].mean().item(),
        "confidence": confidence[shown].mean().item(),
        "confidence_absent": confidence[~held_out.present].mean().item(),
        "confidence_left": confidence[held_out.mirrored].mean().item(),
    }


def train(settings: Settings) -> None:
    device = torch.device(settings.device if settings.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    settings.run.mkdir(parents=True, exist_ok=True)
    size = settings.crop_size
    stride = 8 if settings.architecture == "detnet-lite" else 4
    manifest = Manifest(
        architecture=settings.architecture,
        root=0,
        crop_size=size,
        map_size=size // stride,
        axes="crop",
        training_data="drawn hands (hand.draw)",
        seed=settings.seed,
    )
    student = build_network(manifest).to(device, memory_format=torch.channels_last)
    seen = 0
    if settings.start:
        tensors, started = load_tensors(settings.start)
        fill(student.network, tensors, settings.start)
        seen = started.images_seen or 0
    teacher = build_network(manifest).to(device, memory_format=torch.channels_last)
    teacher.load_state_dict(student.state_dict())
    optimiser = torch.optim.AdamW(student.parameters(), lr=settings.rate, weight_decay=0.01, betas=(0.9, 0.98))
    checkpoint = settings.run / "checkpoint"
    if checkpoint.is_dir():
        seen = load_checkpoint(checkpoint, student, teacher, optimiser)
        print(f"resumed {checkpoint} after {seen:,} pictures")

    held_out = Drawer(size, Backgrounds.load(settings.backgrounds, "held_out", device), HELD_OUT_SEED, device).draw(
        settings.validate, 0.05, 0.1
    )
    if device.type == "cuda":
        drawer = Drawer(size, Backgrounds.load(settings.backgrounds, "train", device), settings.seed + seen % 900_000, device)
        pool, next_batch = None, lambda: drawer.draw(settings.batch, settings.absent, settings.mirrored)
    else:
        pool = CropPool(
            size,
            settings.backgrounds,
            settings.seed + 1 + seen % 900_000,
            settings.absent,
            settings.mirrored,
            settings.reuse,
        )
        generator = torch.Generator().manual_seed(settings.seed + seen)
        next_batch = lambda: turned(pool.take(settings.batch), size, generator)  # noqa: E731
    loss_of, autocast = LOSSES[settings.architecture], torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda")
    log = (settings.run / "log.jsonl").open("a")

    def save(progress: float) -> None:
        figures = validate(teacher, held_out, 64)
        print(
            f"\n{seen:,} pictures, {progress:.0%} of the time: " + ", ".join(f"{k} {v:.2f}" for k, v in figures.items()),
            flush=True,
        )
        log.write(
            msgspec.json.encode(
                {"seen": seen, "progress": progress, **figures, "settings": {k: str(v) for k, v in asdict(settings).items()}}
            ).decode()
            + "\n"
        )
        log.flush()
        done = msgspec.structs.replace(
            manifest, images_seen=seen, accuracy={"validation_3d_mm": figures["3d_mm"], "validation_2d_px": figures["2d_px"]}
        )
        save_network(settings.run / "weights.safetensors", teacher, done)
        save_checkpoint(checkpoint, student, teacher, optimiser, seen, PIECE_BYTES)

    begun = saved = time.monotonic()
    smooth: dict[str, float] = {}
    steps = 0
    try:
        with tqdm(unit="img", unit_scale=True, initial=seen, smoothing=0.05, mininterval=5) as bar:
            while (elapsed := time.monotonic() - begun) < settings.minutes * 60:
                progress = elapsed / (settings.minutes * 60)
                for group in optimiser.param_groups:
                    group["lr"] = learning_rate(settings.rate, progress)
                drawn = next_batch()
                student.train()
                with autocast:
                    loss, figures = loss_of(student.network, drawn, size)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(student.parameters(), 5.0)
                optimiser.step()
                steps += 1
                seen += settings.batch
                # The mean of the last five hundred steps, of fewer in the beginning.
                decay = min(0.998, 1 - 1 / (1 + steps / 3))
                with torch.no_grad():
                    for kept, new in zip(teacher.state_dict().values(), student.state_dict().values(), strict=True):
                        kept.lerp_(new, 1 - decay) if kept.is_floating_point() else kept.copy_(new)
                if steps % 20 == 0:
                    for name, value in figures.items():
                        smooth[name] = 0.95 * smooth.get(name, value.item()) + 0.05 * value.item()
                    bar.set_postfix(
                        {k: f"{v:.1f}" for k, v in smooth.items()} | ({"use": f"{pool.uses:.1f}"} if pool else {}), refresh=False
                    )
                bar.update(settings.batch)
                if time.monotonic() - saved > settings.validate_minutes * 60:
                    save(progress)
                    saved = time.monotonic()
        save(1.0)
    finally:
        log.close()
        if pool:
            pool.close()


if __name__ == "__main__":
    try:
        train(tyro.cli(Settings))
    except UserError as error:
        raise SystemExit(str(error)) from None
