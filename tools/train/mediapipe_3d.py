"""Train MediaPipe 3D's own layers and heads: `python -m tools.train.mediapipe_3d runs/depth --photographs FOLDER`.

Hands are drawn and photographs cut as the program cuts them, and what the fetched model's frozen layers make of the crops is
computed once, into shards in the run's folder (`tools.train.frozen_bank`). Own layers and heads then learn from these
(`tools.train.landmark_losses`). The expected error is fitted to other hands, and the figures in the manifest are of yet others,
in front of other backgrounds. A run that is broken off goes on where it was, to the very same weights on the same machine.
"""

import time
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
import tyro
from torch import Tensor, nn
from tqdm import tqdm

from hand import program
from hand.errors import UserError
from hand.outputs import ProgramFiles, with_manifest
from hand.synth.backgrounds import Backgrounds
from runtime.networks.mediapipe_3d import MediaPipe3D, Output3D
from runtime.networks.mediapipe_base import base_tensors
from runtime.networks.mediapipe_files import LANDMARKS, SHA256, VERSION
from runtime.networks.mediapipe_landmarks import INPUT_PX
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest, load_network, save_network
from tools.train import frozen_bank
from tools.train.backgrounds import DEFAULT_BANK
from tools.train.checkpoints import load_checkpoint, save_checkpoint
from tools.train.frozen_bank import LOOKS, SHARD_CROPS, FrozenCrops, FrozenLayers, load_shards
from tools.train.labelled_photographs import LabelledPhotograph, labelled_photographs
from tools.train.landmark_losses import fit_expected_error, held_out_figures, landmark_loss, usual_bones
from tools.train.loop import PIECE_BYTES, learning_rate, log, optimiser_step, update_teacher

MEMORY = 0.995
"""The teacher, whose weights are saved, is the mean of about the last two hundred steps."""
OWN = ("own_trunk", "own_hidden", "correction")
"""What learns from joints."""
TRUNK_RATE = 0.1
"""Learning rate of the own layers, which begin as good as the model's, as a share of the heads'."""
NOISE, DROPPED = 0.5, 0.2
"""On the features that the own heads read: noise in their standard deviations, and the share that is left out."""
DRAWN_SEED, DOUBT_SEED, HELD_OUT_SEED = 2_000_000, 3_000_000, 4_000_000
"""Of the first shards."""
LEAST_PRESENCE = 0.5
"""Of crops that are learnt from: what the model does not take for a hand, the program does not show."""
_LOADED_EVERY = 20


@dataclass
class Settings:
    """Train the depth and the doubt of mediapipe-3d on drawn hands and photographs."""

    run: tyro.conf.Positional[Path]
    """Folder of the run: shards, checkpoint, weights and log; a run that is there already goes on."""
    photographs: Path | None = None
    """Folder of photographs with labels.jsonl, or of such folders; none: drawn hands alone."""
    hands: int = 12_000
    """Drawn hands to learn from; each is looked at twice."""
    doubt_hands: int = 1_000
    """Others, to which the expected error is fitted."""
    held_out_hands: int = 750
    """Others, in front of other backgrounds, which the figures are of."""
    steps: int = 2_000
    batch: int = 64
    """Crops of drawn hands a step, two of each hand."""
    photographs_batch: int = 22
    """Crops of photographs a step, two of each."""
    rate: float = 1e-3
    """Peak learning rate of the heads."""
    hidden: int = 256
    """Width of the heads' hidden layer."""
    own_blocks: int = 0
    """Blocks before the last layers of which there is an own copy too."""
    start: Path | None = None
    """Weights of mediapipe-3d to start from in place of the fetched model's."""
    seed: int = 0
    backgrounds: Path | None = DEFAULT_BANK
    """Bank made by tools.train.backgrounds; 'None' for procedural backgrounds alone."""
    device: str = "auto"
    threads: int = 1
    """Threads of a CPU."""
    save_minutes: float = 5.0


class OwnLayers(nn.Module):
    """What learns, of a network, under its names there."""

    def __init__(self, network: MediaPipe3D):
        super().__init__()
        for name in OWN:
            setattr(self, name, network.get_submodule(name))


class Run:
    """One run: its network, its shards and its folder."""

    def __init__(self, settings: Settings, base: tuple[MediaPipe3D, Manifest] | None = None):
        """Start, or go on where the folder holds a checkpoint. `base`: a network to start from in place of the fetched model.

        Raises UserError for files that cannot be used, ModelsNotFetched where the model was not fetched.
        """
        self.settings = settings
        self.weights = settings.run / "weights.safetensors"
        auto = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(auto if settings.device == "auto" else settings.device)
        torch.set_num_threads(settings.threads)
        torch.manual_seed(settings.seed)
        self.photographs = labelled_photographs(settings.photographs) if settings.photographs else []
        files = ProgramFiles().reads("--backgrounds", settings.backgrounds).reads("--start", *with_manifest(settings.start))
        files.reads("--photographs", settings.photographs, whole=True).fills("RUN", settings.run)
        files.continues("RUN", *with_manifest(self.weights), settings.run / "log.jsonl").check()
        settings.run.mkdir(parents=True, exist_ok=True)
        network, self.manifest = base or _start(settings)
        self.network = network.to(self.device).to(memory_format=torch.channels_last).eval()  # pyright: ignore[reportCallIssue]
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)
        self.own = OwnLayers(self.network).requires_grad_(True)
        self.teacher = deepcopy(self.own).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            [
                {"params": [*self.network.own_trunk.parameters()], "peak": TRUNK_RATE * settings.rate},
                {"params": [p for name in OWN[1:] for p in self.network.get_submodule(name).parameters()], "peak": settings.rate},
            ],
            weight_decay=0.01,
        )
        self.checkpoint = settings.run / "checkpoint"
        self.step = 0
        if self.checkpoint.is_dir():
            self.step = load_checkpoint(self.checkpoint, self.own, self.teacher, self.optimiser)
            print(f"resumed {self.checkpoint} after {self.step:,} steps")

    def train(self) -> dict[str, float]:
        """Make the shards that are lacking, learn all steps that are left, and save; the figures of held-out hands."""
        settings = self.settings
        drawn = self._known(self._drawn("drawn", settings.hands, DRAWN_SEED))
        seen = self._known(self._shown()) if self.photographs else None
        doubt = self._drawn("doubt", settings.doubt_hands, DOUBT_SEED)
        held_out = self._drawn("held_out", settings.held_out_hands, HELD_OUT_SEED)
        log_bones = usual_bones(drawn.joints)
        self._noise = self._deviations(drawn)
        saved = time.monotonic()
        figures: dict[str, Tensor] = {}
        bar = tqdm(range(self.step, settings.steps), desc="training", unit="step", mininterval=5)
        for step in bar:
            figures = self._learn(step, drawn, seen, log_bones)
            self.step = step + 1
            if self.step % _LOADED_EVERY == 0:
                bar.set_postfix({name: f"{value.item():.3f}" for name, value in figures.items()}, refresh=False)
                log(settings.run / "log.jsonl", {"step": self.step, **{name: value.item() for name, value in figures.items()}})
            if time.monotonic() - saved > settings.save_minutes * 60:
                self._save_checkpoint()
                saved = time.monotonic()
        self._save_checkpoint()
        return self._finish(drawn, seen, self._known(doubt), self._known(held_out))

    def _learn(self, step: int, drawn: FrozenCrops, seen: FrozenCrops | None, log_bones: Tensor) -> dict[str, Tensor]:
        """One step; what is random in it depends on the seed and its number alone, so that a run can be resumed anywhere."""
        settings = self.settings
        random = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
        crops = drawn.hands(torch.randint(len(drawn) // LOOKS, (settings.batch // LOOKS,), generator=random))
        if seen is not None:
            shown = torch.randint(len(seen) // LOOKS, (settings.photographs_batch // LOOKS,), generator=random)
            crops = FrozenCrops.joined([crops, seen.hands(shown)])
        crops = crops.to(self.device)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(group["peak"], step / settings.steps)
        loss, figures = landmark_loss(self._output(crops, random), crops, log_bones.to(self.device))
        optimiser_step(self.own, self.optimiser, loss)
        update_teacher(self.teacher, self.own, step + 1, MEMORY)
        return figures

    def _output(self, crops: FrozenCrops, random: torch.Generator) -> Output3D:
        theirs, own = self.network.features_of(crops.fixed.float()).split(self.network.feature_count, 1)
        noise = torch.randn(own.shape, generator=random).to(own) * NOISE * self._noise
        kept = (torch.rand(own.shape, generator=random) >= DROPPED).to(own) / (1 - DROPPED)
        return self.network.read(torch.cat([theirs, (own + noise) * kept], 1))

    @torch.no_grad()
    def _deviations(self, crops: FrozenCrops) -> Tensor:
        """(F,) standard deviations of the model's features."""
        return crops.fixed[:, : self.network.feature_count].float().std(0).to(self.device)

    def _known(self, crops: FrozenCrops) -> FrozenCrops:
        """Those that the model takes for hands in every look. Raises UserError where there is none."""
        presence = torch.cat([self._presence(part) for part in crops.fixed.split(SHARD_CROPS)])
        hands = torch.nonzero(presence.unflatten(0, (-1, LOOKS)).amin(1) >= LEAST_PRESENCE)[:, 0]
        if not len(hands):
            raise UserError(f"the model takes none of {len(crops) // LOOKS} for a hand: give more of them, or another model")
        return crops.hands(hands)

    @torch.no_grad()
    def _presence(self, fixed: Tensor) -> Tensor:
        theirs = fixed[:, : self.network.feature_count].float().to(self.device)
        return torch.sigmoid(self.network.presence(theirs))[:, 0].cpu()

    def _drawn(self, name: str, hands: int, seed: int) -> FrozenCrops:
        """The crops of so many drawn hands; the shards that are lacking are made."""
        folder, crops = self.settings.run / name, hands * LOOKS
        sizes = [min(SHARD_CROPS, crops - start) for start in range(0, crops, SHARD_CROPS)]
        files = [folder / f"{number:05d}.safetensors" for number in range(len(sizes))]
        lacking = [number for number, file in enumerate(files) if not file.exists()]
        if lacking:
            split = "held_out" if name == "held_out" else "train"
            backgrounds = Backgrounds.load(self.settings.backgrounds, split, self.device)
            for number in tqdm(lacking, desc=f"drawing {name.replace('_', ' ')} hands", unit="shard"):
                made = frozen_bank.drawn_shard(
                    self._frozen(), backgrounds, seed + 1_009 * self.settings.seed + number, sizes[number]
                )
                frozen_bank.save_shard(made, files[number])
        return self._whole(files, crops)

    def _shown(self) -> FrozenCrops:
        """The crops of all photographs; the shards that are lacking are made."""
        order = np.random.default_rng(self.settings.seed).permutation(len(self.photographs))
        most = SHARD_CROPS // LOOKS
        shards = [order[start : start + most] for start in range(0, len(order), most)]
        files = [self.settings.run / "photographs" / f"{number:05d}.safetensors" for number in range(len(shards))]
        for number, file in enumerate(tqdm(files, desc="looking at photographs", unit="shard")):
            if not file.exists():
                some: list[LabelledPhotograph] = [self.photographs[row] for row in shards[number]]
                frozen_bank.save_shard(frozen_bank.photograph_shard(self._frozen(), some, self.settings.seed + number), file)
        return self._whole(files, len(order) * LOOKS)

    def _whole(self, files: list[Path], crops: int) -> FrozenCrops:
        """All of these shards. Raises UserError where they are of another number of hands."""
        loaded = load_shards(files)
        if len(loaded) != crops:
            found, wanted = (count // LOOKS for count in (len(loaded), crops))
            raise UserError(
                f"{files[0].parent} is of {found:,} hands, this run of {wanted:,}: give the options that it was begun with, or "
                "another folder"
            )
        return loaded

    def _frozen(self) -> FrozenLayers:
        return FrozenLayers(self.network, self.device, 8 if self.device.type == "cpu" else 256)

    def _save_checkpoint(self) -> None:
        save_checkpoint(self.checkpoint, self.own, self.teacher, self.optimiser, self.step, PIECE_BYTES)

    def _finish(
        self, drawn: FrozenCrops, seen: FrozenCrops | None, doubt: FrozenCrops, held_out: FrozenCrops
    ) -> dict[str, float]:
        """Fit the expected error, judge, and write weights and manifest."""
        OwnLayers(self.network).load_state_dict(self.teacher.state_dict())
        network = self.network
        doubt, held_out = doubt.to(self.device), held_out.to(self.device)
        network.expected_error.requires_grad_(True)
        fit_expected_error(network, self._read(doubt), doubt)
        network.expected_error.requires_grad_(False)
        figures = held_out_figures(self._read(held_out), held_out)
        settings = {name: str(value) for name, value in asdict(self.settings).items()}
        log(self.settings.run / "log.jsonl", {"step": self.step, **figures, "settings": settings})
        count = (self.settings.batch + (self.settings.photographs_batch if seen is not None else 0)) * self.step
        count += self.manifest.images_seen or 0
        taught = f"{len(drawn):,} crops of drawn hands" + (
            f", {len(seen):,} crops of photographs' 2D" if seen is not None else ""
        )
        manifest = msgspec.structs.replace(self.manifest, training_data=taught, images_seen=count, accuracy=figures)
        save_network(self.weights, HandNetwork(network, INPUT_PX), manifest)
        return figures

    @torch.no_grad()
    def _read(self, crops: FrozenCrops) -> Output3D:
        parts = [self.network.read(self.network.features_of(part.float())) for part in crops.fixed.split(256)]
        landmarks = type(parts[0].landmarks)(*(torch.cat(each) for each in zip(*(p.landmarks for p in parts), strict=True)))
        return Output3D(landmarks, torch.cat([p.joints for p in parts]), torch.cat([p.log_error for p in parts]))


def _start(settings: Settings) -> tuple[MediaPipe3D, Manifest]:
    """A network to train, and its manifest."""
    if settings.start:
        hand_network, manifest = load_network(settings.start)
        if not isinstance(hand_network.network, MediaPipe3D):
            raise UserError(f"--start {settings.start} is of {manifest.architecture}: give weights of mediapipe-3d")
        return hand_network.network, msgspec.structs.replace(manifest, seed=settings.seed)
    file = LANDMARKS["mediapipe"]
    manifest = Manifest(
        architecture="mediapipe-3d",
        root=0,
        crop_size=INPUT_PX,
        axes="crop",
        upright=True,
        options={name: value for name, value in _options(settings).items() if value != DEFAULTS[name]},
        training_data="",
        source=f"{file} (sha256 {SHA256[file]}) of PyPI's mediapipe {VERSION}, Apache-2.0",
        base=SHA256[file],
        seed=settings.seed,
    )
    network = MediaPipe3D(**_options(settings))
    base = base_tensors(manifest.base)
    network.load_state_dict(network.state_dict() | base | {name: base[source] for name, source in network.copies().items()})
    return network, manifest


def _options(settings: Settings) -> dict[str, int]:
    return {"hidden": settings.hidden, "own_blocks": settings.own_blocks}


DEFAULTS = {"hidden": 256, "own_blocks": 0}
"""Of the architecture."""


def main(settings: Settings) -> None:
    """Train to the end of the steps. Raises UserError for files that cannot be used."""
    figures = Run(settings).train()
    print(", ".join(f"{name} {value:.3g}" for name, value in figures.items()))


if __name__ == "__main__":
    program.run(main, Settings)
