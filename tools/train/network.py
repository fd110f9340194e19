"""Train a hand network on synthetic hands: `python -m tools.train runs/lite --minutes 60`.

On a GPU every hand is rendered for the step that uses it; on a CPU, where rendering takes longer than a training step, hands come
from a bank rendered before (`tools.train.bank`), with a new roll, scale and light at each use. Runs are resumed from their
checkpoint; the current weights are saved every few minutes. With `--pictures` the same bank and seed give the same weights. With
`--taught` a share of each batch are real hands with pseudo-labels (`tools.label`), with `--photos` photographs (`tools.photos`);
the rest stays synthetic, as rehearsal.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import msgspec
import torch
import tyro
from torch import Tensor, nn
from tqdm import tqdm

from hand.errors import UserError
from hand.joints import DEFAULT_HAND_SIZE_MM, JOINTS
from hand.outputs import ProgramFiles, with_manifest
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer, SyntheticCrops
from hand.synth.turn import BORDER, turned
from runtime.networks.network import Block, HandNetwork, MapNetwork
from runtime.networks.weights import Manifest, build_network, fill, load_tensors, network_class, save_network
from tools.train.backgrounds import DEFAULT_BANK
from tools.train.bank import HandBank
from tools.train.checkpoints import load_checkpoint, save_checkpoint
from tools.train.loop import PIECE_BYTES, learning_rate, log, optimiser_step, run_training, set_rate, update_teacher
from tools.train.losses import surface_head, training_loss
from tools.train.muon import muon
from tools.train.photograph_bank import PhotographBank

HELD_OUT_SEED = 1_000_000
"""Seed of the validation hands; training seeds stay below."""
MEMORY = 0.998
"""The teacher is the mean of about the last five hundred steps."""
DRAWN = "drawn hands (hand.draw)"


@dataclass
class Settings:
    """Train a hand network on synthetic hands."""

    run: tyro.conf.Positional[Path]
    """Folder of the run: checkpoint, weights and log; a run that is there already is resumed."""
    architecture: Literal["detnet-lite", "detnet"] = "detnet-lite"
    options: dict[str, int] = field(default_factory=dict)
    """Further arguments of the architecture, such as 'width 63 deep 320'."""
    minutes: float = 60.0
    """Time to train in this call; the learning rate falls to zero at its end."""
    pictures: int | None = None
    """Pictures to train on in this call, in place of a time."""
    bank: Path = Path("data/hands")
    """Synthetic hands to train on on a CPU, rendered by tools.train.bank."""
    taught: Path | None = None
    """Real hands with pseudo-labels to train on too, made by tools.label."""
    taught_share: float = 0.5
    """Share of the --taught hands in each batch; the rest is synthetic."""
    photos: Path | None = None
    """Photographs to train on too, made by 'duohand label photos'."""
    photos_share: float = 0.5
    """Share of the --photos in each batch."""
    photos_3d: float = 0.5
    """Weight of their teacher's 3D in the loss; pixels weigh 1."""
    crop_size: int = 64
    batch: int = 32
    optimiser: Literal["muon", "adamw"] = "muon"
    rate: float = 4e-3
    """Peak learning rate."""
    seed: int = 0
    backgrounds: Path | None = DEFAULT_BANK
    """Bank made by tools.train.backgrounds; 'None' for procedural backgrounds alone."""
    start: Path | None = None
    """Weights to start from instead of random ones; of a network with as many blocks or fewer."""
    device: str = "auto"
    threads: int = 1
    """Threads of a CPU."""
    surface: bool = True
    """Whether DetNet-lite also learns, as an auxiliary task, which part of the hand each pixel shows."""
    absent: float = 0.05
    """Share of pictures without a hand, where they are rendered on a GPU."""
    mirrored: float = 0.06
    """The same of pictures of a left hand, for which DetNet-lite learns only a low confidence."""
    validate: int = 512
    """Held-out hands a validation."""
    validate_minutes: float = 5.0


@torch.no_grad()
def validate(hand_network: HandNetwork, held_out: SyntheticCrops, batch: int) -> dict[str, float]:
    """Mean joint error in mm (a 90 mm hand) and in px of the crop; mean confidence with a hand, without, with a left one."""
    hand_network.eval()
    parts = [hand_network(images) for images in held_out.images.split(batch)]
    joints, pixels, confidence = (
        torch.cat([getattr(p, name).float() for p in parts]) for name in ("joints", "pixels", "confidence")
    )
    shown = held_out.present & ~held_out.mirrored
    return {
        "3d_mm": ((joints - held_out.joints).norm(dim=-1)[shown].mean() * DEFAULT_HAND_SIZE_MM).item(),
        "2d_px": (pixels - held_out.pixels).norm(dim=-1)[shown].mean().item(),
        "confidence": confidence[shown].mean().item(),
        "confidence_absent": confidence[~held_out.present].mean().item(),
        "confidence_left": confidence[held_out.mirrored].mean().item(),
    }


class Learner(nn.Module):
    """What is trained: the network that will ship, and its auxiliary heads."""

    def __init__(self, manifest: Manifest, surface: bool):
        super().__init__()
        self.hand = build_network(manifest)
        network = self.hand.network
        self.surface = surface_head(network) if surface else None

    def loss(self, drawn: SyntheticCrops) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, and its figures by name."""
        return training_loss(self.hand.network, drawn, self.hand.crop_size, self.surface)

    def optimiser(self, name: Literal["muon", "adamw"], rate: float) -> torch.optim.Optimizer:
        if name == "adamw":
            return torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=0.01, betas=(0.9, 0.98))
        return muon(self, self._ends(), rate)

    def _ends(self) -> tuple[nn.Module, ...]:
        """The layers that take pictures in and give maps, whose channels are so many a joint, out."""
        convolutions = [m for m in self.hand.network.modules() if isinstance(m, nn.Conv2d)]
        read = () if self.surface is None else (self.surface.read,)
        return (convolutions[0], *(c for c in convolutions if c.out_channels % JOINTS == 0), *read)


def with_missing_blocks(network: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` with the whole blocks that they lack as an untrained `network` has them, which are identities; nothing else."""
    blocks = (f"{name}." for name, module in network.named_modules() if isinstance(module, Block))
    lacking = tuple(block for block in blocks if not any(key.startswith(block) for key in tensors))
    return tensors | {key: value for key, value in network.state_dict().items() if key.startswith(lacking)}


def training_data(settings: Settings) -> str:
    """What the weights learn from, for their manifest."""
    taught = [f"{DRAWN}"]
    taught += ["real ones that a teacher labelled (tools.label)"] if settings.taught else []
    taught += ["photographs that a teacher labelled (tools.photos)"] if settings.photos else []
    return " and ".join(taught)


def _check_shares(settings: Settings) -> None:
    """Raises UserError where shares of the batch, or weights, are impossible."""
    for option, value in (("--taught-share", settings.taught_share), ("--photos-share", settings.photos_share)):
        if not 0 < value < 1:
            raise UserError(f"{option} is {value:g}, expected a number between 0 and 1, such as 0.5")
    if settings.taught and settings.photos and settings.taught_share + settings.photos_share >= 1:
        raise UserError(
            f"--taught-share {settings.taught_share:g} and --photos-share {settings.photos_share:g} leave nothing for drawn"
            " hands: give shares that add up to less than 1"
        )
    if not settings.photos_3d >= 0:
        raise UserError(f"--photos-3d is {settings.photos_3d:g}, expected a weight of 0 or more, such as 0.5")


class Run:
    """One training run: its networks, its data and its folder."""

    def __init__(self, settings: Settings):
        """Start, or resume where the folder holds a checkpoint. Raises UserError for files that cannot be used."""
        self.settings = settings
        auto = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(auto if settings.device == "auto" else settings.device)
        _check_shares(settings)
        torch.set_num_threads(settings.threads)
        torch.manual_seed(settings.seed)
        weights = settings.run / "weights.safetensors"
        files = ProgramFiles().reads("--bank", settings.bank, whole=True).reads("--taught", settings.taught, whole=True)
        files.reads("--photos", settings.photos, whole=True)
        files.reads("--start", *with_manifest(settings.start)).reads("--backgrounds", settings.backgrounds)
        files.fills("RUN", settings.run).continues("RUN", *with_manifest(weights), settings.run / "log.jsonl").check()
        settings.run.mkdir(parents=True, exist_ok=True)
        self.checkpoint = settings.run / "checkpoint"
        kind = network_class(settings.architecture)
        assert issubclass(kind, MapNetwork)
        self.manifest = Manifest(
            architecture=settings.architecture,
            root=0,
            crop_size=settings.crop_size,
            map_size=settings.crop_size // kind.stride,
            axes="crop",
            upright=True,
            options=settings.options,
            training_data=training_data(settings),
            seed=settings.seed,
        )
        self.student, self.teacher = (
            Learner(self.manifest, settings.surface).to(self.device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
            for _ in range(2)
        )
        self.optimiser = self.student.optimiser(settings.optimiser, settings.rate)
        self.seen = self._restore()
        self.steps = 0
        bank = settings.backgrounds
        self.held_out = CropRenderer(
            settings.crop_size, Backgrounds.load(bank, "held_out", self.device), HELD_OUT_SEED, self.device
        ).render(settings.validate, 0.05, 0.1)
        # A resumed run trains on other hands than before.
        seed = settings.seed + 1 + self.seen % 900_000
        self.bank: HandBank | None = None
        self._generator = torch.Generator(device=self.device).manual_seed(seed)
        if self.device.type == "cuda":
            places = Backgrounds.load(bank, "train", self.device)
            self._renderer = CropRenderer(settings.crop_size, places, seed, self.device, border=BORDER)
        else:
            self.bank = HandBank(settings.bank, settings.crop_size, seed)
        self._taught = HandBank(settings.taught, settings.crop_size, seed, "tools.label") if settings.taught else None
        self._photos = None
        if settings.photos:
            self._photos = PhotographBank(settings.photos, settings.crop_size, seed, settings.photos_3d, self.device)

    def _restore(self) -> int:
        """Fill the networks from the checkpoint, else from the weights to start from; the pictures that they have seen."""
        if self.checkpoint.is_dir():
            seen = load_checkpoint(self.checkpoint, self.student, self.teacher, self.optimiser)
            print(f"resumed {self.checkpoint} after {seen:,} pictures")
            return seen
        seen = 0
        if self.settings.start:
            tensors, started = load_tensors(self.settings.start)
            network = self.student.hand.network
            fill(network, with_missing_blocks(network, tensors), self.settings.start)
            seen = started.images_seen or 0
        self.teacher.load_state_dict(self.student.state_dict())
        return seen

    def batch(self) -> SyntheticCrops:
        """Crops of one training step, augmented."""
        settings = self.settings
        real = max(1, round(settings.batch * settings.taught_share)) if self._taught else 0
        photos = max(1, round(settings.batch * settings.photos_share)) if self._photos else 0
        drawn = max(1, settings.batch - real - photos)
        parts = [self.bank.take(drawn) if self.bank else self._renderer.render(drawn, settings.absent, settings.mirrored)]
        if self._taught:
            parts.append(self._taught.take(real).to(self.device))
        if self._photos:
            parts.append(self._photos.take(photos))
        return turned(SyntheticCrops.joined(parts), settings.crop_size, self._generator)

    def step(self, progress: float) -> dict[str, Tensor]:
        """Train on one batch at `progress` in [0, 1] of the run; its losses by name."""
        set_rate(self.optimiser, learning_rate(self.settings.rate, progress))
        drawn = self.batch()
        self.student.train()
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            loss, figures = self.student.loss(drawn)
        optimiser_step(self.student, self.optimiser, loss)
        self.steps += 1
        self.seen += self.settings.batch
        update_teacher(self.teacher, self.student, self.steps, MEMORY)
        return figures

    def save(self, progress: float) -> None:
        """Validate the teacher; write log line, weights and checkpoint."""
        figures = validate(self.teacher.hand, self.held_out, 64)
        shown = ", ".join(f"{name} {value:.2f}" for name, value in figures.items())
        tqdm.write(f"{self.seen:,} pictures, {progress:.0%} of the time: {shown}")
        settings = {name: str(value) for name, value in asdict(self.settings).items()}
        log(self.settings.run / "log.jsonl", {"seen": self.seen, "progress": progress, **figures, "settings": settings})
        accuracy = {"validation_3d_mm": figures["3d_mm"], "validation_2d_px": figures["2d_px"]}
        done = msgspec.structs.replace(self.manifest, images_seen=self.seen, accuracy=accuracy)
        save_network(self.settings.run / "weights.safetensors", self.teacher.hand, done)
        if self.bank and self.settings.pictures is None:
            self.bank.refresh()
        save_checkpoint(self.checkpoint, self.student, self.teacher, self.optimiser, self.seen, PIECE_BYTES)


def main(settings: Settings) -> None:
    """Train for as long as the settings say. Raises UserError for files that cannot be used."""
    run_training(Run(settings), settings.batch, settings.minutes, settings.pictures, settings.validate_minutes)
