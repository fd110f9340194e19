"""How a network is trained on a recording's samples: epochs of shuffled batches, with augmentation and rehearsal as set."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from tqdm import tqdm

from adapt.core.augment import Augmenter
from adapt.core.learner import learner_of, rehearsal_of, with_inputs
from adapt.core.mean_teacher import MeanTeacher
from adapt.core.rehearsal import render_bank
from adapt.core.targets import LABEL_METHODS, LabelSource, Recipe, TrainedPart
from adapt.core.training_samples import TrainingSet
from hand.errors import UserError
from hand.synth.crops import SyntheticCrops
from runtime.estimators.framing import Framing
from runtime.geometry.two_view import TwoViewGeometry
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest

BANK, KEPT_BANK = 1500, 400
"""Synthetic hands for rehearsal, and for networks that read them once; rendering takes about half a minute of a core."""


@dataclass(kw_only=True)
class LearningSettings:
    """Which labels to train on, and how."""

    labels: LabelSource = "both"
    """Where pseudo-labels come from: agreement of the two views, triangulation of both, or both sources."""
    augment: bool = False
    """Whether the student sees its crops rolled, in other light, blurred and partly covered, the teacher plain."""
    rehearse: float | None = None
    """Share of synthetic hands, whose joints are known, among all that is trained on, against forgetting; 0 for none. If
    not given, 0.33; none for s2dhand, which they hold back."""
    spectra: bool = False
    """Whether the drawn hands take on the recording's light and tint: amplitudes of its spectra."""
    pixel_term: bool = True
    """Whether there is a loss on the joints' pixels besides their heat, where labels by geometry have them."""
    part: TrainedPart = "layers"
    """What of mediapipe-3d learns: its own last layers and heads, or the heads alone, whose steps are cheaper."""
    epochs: int = 10
    batch: int = 32
    rate: float = 5e-4
    """Adam's learning rate."""
    memory: float | None = None
    """Share of its old weights that the teacher keeps at most in a step: it is the mean of about the last 1 / (1 − memory). If
    not given, 0.9; 0.99 for s2dhand, whose labels are the teacher's own: one that changes fast runs after its student."""
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 1
    """Of a CPU."""

    @property
    def rehearsed(self) -> float:
        return LABEL_METHODS[self.labels].rehearse if self.rehearse is None else self.rehearse

    @property
    def teacher_memory(self) -> float:
        return Recipe.of(self.labels).memory if self.memory is None else self.memory

    @property
    def torch_device(self) -> torch.device:
        auto = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device(auto if self.device == "auto" else self.device)

    @property
    def recipe(self) -> Recipe:
        how = {"rate": self.rate, "memory": self.teacher_memory, "pixel_term": self.pixel_term, "part": self.part}
        return replace(Recipe.of(self.labels), **how)

    def check(self) -> None:
        """Raises UserError for what could only fail later."""
        for name in ("batch", "threads"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} is {getattr(self, name)}, expected 1 or more")
        if not self.rate > 0:
            raise UserError(f"--rate is {self.rate:g}, expected a number above 0, such as 5e-4")
        if not 0 <= self.teacher_memory < 1:
            raise UserError(f"--memory is {self.teacher_memory:g}, expected a share from 0 to below 1, such as 0.9")
        if not 0 <= self.rehearsed < 1:
            raise UserError(f"--rehearse is {self.rehearsed:g}, expected a share from 0, which is none, to below 1, such as 0.33")
        if self.spectra and not self.rehearsed:
            raise UserError("--spectra changes the hands that are rehearsed, and none are: give --rehearse 0.33, or no --spectra")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UserError("--device cuda: torch sees no NVIDIA GPU on this machine; give --device cpu, or auto")


def make_mean_teacher(
    settings: LearningSettings,
    network: HandNetwork,
    manifest: Manifest,
    geometry: TwoViewGeometry,
    bank: SyntheticCrops | None = None,
) -> MeanTeacher:
    """A student and its teacher, both as `network` is, which stays as it is.

    `bank`: hands for rehearsal; rendered first if not given, where the settings ask for any.
    """
    # How a sum is shared out among threads shows in its last digits.
    torch.set_num_threads(settings.threads)
    device, rehearsal = settings.torch_device, None
    if settings.rehearsed:
        bank = bank or bank_for(network, manifest, settings.seed)
        how = {"spectra": settings.spectra, "recipe": settings.recipe}
        rehearsal = rehearsal_of(network, bank, settings.rehearsed, settings.seed, device, **how)
    return MeanTeacher(
        network,
        manifest,
        settings.recipe,
        geometry.R_right_from_left,
        device,
        augment=Augmenter(settings.seed, device) if settings.augment else None,
        rehearsal=rehearsal,
    )


def bank_for(network: HandNetwork, manifest: Manifest, seed: int) -> SyntheticCrops:
    """Hands for the rehearsal of such a network."""
    count = KEPT_BANK if learner_of(network).keeps_inputs else BANK
    return render_bank(count, manifest.crop_size, Framing.of(manifest), seed)


def prepared(settings: LearningSettings, network: HandNetwork, samples: TrainingSet) -> TrainingSet:
    """The samples with what the part of `network` that learns reads of them, where that is computed once."""
    return replace(samples, pairs=with_inputs(network, samples.pairs, settings.recipe))


def train(settings: LearningSettings, session: MeanTeacher, geometry: TwoViewGeometry, training_set: TrainingSet) -> None:
    """Train on the whole set, for as many epochs as the settings say."""
    order = torch.Generator().manual_seed(settings.seed)
    with tqdm(total=settings.epochs * len(training_set.pairs), unit="pair", desc="adapting") as bar:
        for _ in range(settings.epochs):
            for rows in torch.randperm(len(training_set.pairs), generator=order).split(settings.batch):
                geometry_labels = training_set.labels.map(lambda view, rows=rows: view.rows(rows))
                figures = session.step(
                    training_set.pairs.rows(rows),
                    geometry.R_right_from_left,
                    labels=settings.labels,
                    geometry_labels=geometry_labels,
                )
                shown = {"loss": f"{figures.loss:.3f}", "apart": f"{figures.apart:.3f}"}
                if settings.rehearsed:
                    shown["rehearsed"] = f"{figures.rehearsed:.3f}"
                bar.set_postfix(shown, refresh=False)
                bar.update(len(rows))
