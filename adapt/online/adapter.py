"""The live adapter: collects pairs, trains step by step, and releases only networks that passed the promotion gate.

It is fed with pairs and cameras and has no threads, clocks or files; `adapt.online.adapter_process` runs it.
"""

from collections import Counter, deque
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace

import torch

from adapt.core.kept_inputs import KeptInputs
from adapt.core.learner import kept_inputs, learner_of, rehearsal_of
from adapt.core.mean_teacher import MeanTeacher
from adapt.core.rehearsal import Rehearsal
from adapt.core.targets import LabelSource, Recipe, TrainedPart
from adapt.core.training_samples import TrainingSet
from adapt.online.live_pairs import HELD_OUT, TRAINING, Cameras, LivePair, LivePairs
from adapt.online.promotion import PromotionDecision, ValidationResult, ValidationRound, decide_promotion
from adapt.online.status import AdaptationFigures, AdaptationPhase, AdaptationStatus
from adapt.online.validation import ValidationMetrics, predict_samples, synthetic_error, validate
from capture.views import PerView
from hand.synth.crops import SyntheticCrops
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest

STALE = 24
"""New pairs after which training and held-out sets are made anew."""
MIN_FITTING = 10
"""Samples that must fit the cameras, in each of both sets."""
MAX_WAITING = 64
"""Steps that may be pending."""
_COUNTED = {
    ValidationResult.PROMOTED: "promotions",
    ValidationResult.REFUSED: "refusals",
    ValidationResult.ROLLED_BACK: "rollbacks",
}
"""Fields of `AdaptationFigures`."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast to adapt; the defaults were chosen for one core next to a live stream."""

    batch: int = 16
    validate_every: int = 10
    """Steps between two validation rounds."""
    passes: int = 10
    """Steps times batch that each new pair adds; without new pairs adaptation waits."""
    rehearse: float = 0.25
    """Share of synthetic hands in each step, where there is a sample bank."""
    part: TrainedPart = "heads"
    """What of mediapipe-3d learns: pair by pair the heads alone get as far as its own layers do, in a third of the time."""
    most_refusals: int = 3
    """Refused candidates in a row after which training restarts from the network in use."""


_PACE = Pace()


@dataclass(frozen=True, slots=True)
class Update:
    """What came of a validation round."""

    validation: ValidationRound
    network: HandNetwork | None
    """To be used from now on."""


@dataclass(frozen=True, slots=True)
class SampleSplit:
    """Samples to train on, and held-out samples to validate on."""

    training: TrainingSet
    held_out: TrainingSet


class Adapter:
    """Student, promotion gate and samples of one stream."""

    def __init__(
        self,
        shipped: HandNetwork,
        manifest: Manifest,
        synthetic: SyntheticCrops,
        widths_px: PerView[int],
        *,
        serving: HandNetwork | None = None,
        labels: LabelSource = "both",
        pace: Pace = _PACE,
        bank: Callable[[], SyntheticCrops] | None = None,
        device: torch.device | str = "cpu",
    ):
        """`shipped` is the reference of all metrics, `serving` the network in use, if another one; `synthetic` are hands on which
        forgetting is measured, `bank` draws others for rehearsal, once a student begins (`adapt.core.rehearsal.render_bank`).

        Raises UserError for a network that cannot learn.
        """
        self._manifest, self._synthetic, self._device = manifest, synthetic, device
        self._labels: LabelSource = labels
        self._pace, self._bank = pace, bank
        self._recipe = _recipe(labels, pace, shipped, serving or shipped)
        self._shipped = shipped
        self._kept = KeptInputs(shipped, TRAINING + HELD_OUT, self._recipe)
        keeps = learner_of(shipped).keeps_inputs
        self._synthetic_inputs = kept_inputs(shipped, synthetic.images, self._recipe) if keeps else None
        self._shipped_synthetic_error = synthetic_error(shipped, synthetic, self._synthetic_inputs)
        self._serving, self._previous = serving or shipped, shipped
        self._pairs = LivePairs(widths_px)
        self._cameras: Cameras | None = None
        self._split: SampleSplit | None = None
        self._order = torch.Generator().manual_seed(0)
        self.validations: deque[ValidationRound] = deque(maxlen=100)
        """The latest ones."""
        self._counts: Counter[str] = Counter()
        """By field of `AdaptationFigures`."""
        self._waiting = self._since_validation = self._refusals = self._new = 0
        self._learning: MeanTeacher | None = None
        self._rehearsal: Rehearsal | None = None

    def set_cameras(self, cameras: Cameras) -> None:
        """The calibration is known, or better known than before."""
        if self._cameras is None or not self._cameras.alike(cameras):
            self._cameras, self._split = cameras, None

    def camera_moved(self) -> None:
        """A camera was moved: all pairs are dropped, and the network in use is compared with the shipped one again."""
        self._counts["camera_moves"] += 1
        self._pairs.clear()
        self._cameras = self._split = None
        self._previous = self._shipped
        self._restart()

    def add_pair(self, pair: LivePair) -> None:
        """Add a pair in which both views show the hand."""
        self._counts["pairs"] += 1
        self._new += 1
        if self._pairs.add(pair):
            self._waiting = min(self._waiting + self._pace.passes, self._pace.batch * MAX_WAITING)

    @property
    def status(self) -> AdaptationStatus:
        """Phase, progress and counts."""
        progress, lacking = self._pairs.readiness
        phase = AdaptationPhase.WAITING_FOR_CAMERAS
        if self._cameras is not None:
            learning = AdaptationPhase.LEARNING if self._waiting >= self._pace.batch else AdaptationPhase.WAITING_FOR_POSES
            phase = learning if lacking is None else AdaptationPhase.COLLECTING
        return AdaptationStatus(
            phase, progress, lacking if phase is AdaptationPhase.COLLECTING else None, AdaptationFigures(**self._counts)
        )

    @property
    def has_work(self) -> bool:
        """Whether `work` would do something."""
        return self._cameras is not None and self._pairs.readiness[1] is None and self._waiting >= self._pace.batch

    @property
    def serving(self) -> HandNetwork:
        """The network that is to be in use."""
        return self._serving

    def work(self) -> Update | None:
        """One optimizer step, or one validation round, whose outcome is returned."""
        if not self.has_work:
            return None
        split = self._current_split()
        if split is None:
            return None
        if self._since_validation >= self._pace.validate_every:
            return self._validate(split.held_out)
        self._step(split.training)
        return None

    def _current_split(self) -> SampleSplit | None:
        """Training and held-out set, labelled with the calibration in use; None where too few samples fit it."""
        assert self._cameras is not None
        if self._split is None or self._new >= STALE:
            training, held_out = self._pairs.training_set(self._cameras), self._pairs.held_out_set(self._cameras)
            self._new = 0
            if training is None or held_out is None or min(len(training.pairs), len(held_out.pairs)) < MIN_FITTING:
                # Tried again with new pairs.
                self._waiting, self._split = 0, None
                return None
            self._split = SampleSplit(self._kept(training), self._kept(held_out))
        return self._split

    def _step(self, training: TrainingSet) -> None:
        assert self._cameras is not None
        rows = torch.randperm(len(training.pairs), generator=self._order)[: self._pace.batch]
        labels = training.labels.map(lambda view: view.rows(rows))
        R = self._cameras.geometry.R_right_from_left
        self._session.step(training.pairs.rows(rows), R, labels=self._labels, geometry_labels=labels)
        self._counts["steps"] += 1
        self._since_validation += 1
        self._waiting -= self._pace.batch

    def _validate(self, held_out: TrainingSet) -> Update:
        """Compare the candidate, the network in use and the one before it on the same held-out samples."""
        assert self._cameras is not None
        self._since_validation = 0
        geometry = self._cameras.geometry

        def metrics_of(network: HandNetwork) -> ValidationMetrics:
            predictions = predict_samples(network, self._manifest, held_out)
            return validate(predictions, held_out, geometry, self._synthetic_error_of(network))

        shipped, serving = metrics_of(self._shipped), metrics_of(self._serving)
        if self._previous is not self._serving:
            previous = shipped if self._previous is self._shipped else metrics_of(self._previous)
            decision = decide_promotion(previous, serving, shipped)
            if decision.better:
                network, self._serving, self._previous = self._previous, self._previous, self._shipped
                self._restart()
                return self._validated(ValidationResult.ROLLED_BACK, decision, len(held_out.pairs), previous, serving, network)
        candidate = metrics_of(self._session.teacher)
        decision = decide_promotion(candidate, serving, shipped)
        if decision.better:
            self._previous, self._serving = self._serving, deepcopy(self._session.teacher).cpu()
            self._refusals = 0
            return self._validated(ValidationResult.PROMOTED, decision, len(held_out.pairs), candidate, serving, self._serving)
        self._refusals += 1
        if self._refusals >= self._pace.most_refusals:
            self._restart()
        return self._validated(ValidationResult.REFUSED, decision, len(held_out.pairs), candidate, serving, None)

    def _validated(
        self,
        result: ValidationResult,
        decision: PromotionDecision,
        pairs: int,
        candidate: ValidationMetrics,
        serving: ValidationMetrics,
        network: HandNetwork | None,
    ) -> Update:
        validation = ValidationRound(result, decision, self._counts["steps"], pairs, candidate, serving)
        self._counts[_COUNTED[result]] += 1
        self.validations.append(validation)
        return Update(validation, network)

    def _synthetic_error_of(self, network: HandNetwork) -> float:
        return (
            self._shipped_synthetic_error
            if network is self._shipped
            else synthetic_error(network, self._synthetic, self._synthetic_inputs)
        )

    def _restart(self) -> None:
        """Train from the network in use; pending steps are dropped until new pairs come."""
        self._refusals = self._since_validation = self._waiting = 0
        self._learning = None

    @property
    def _session(self) -> MeanTeacher:
        """The student and its teacher, made when the first step needs them: hands for rehearsal take their time."""
        if self._learning is None:
            if self._rehearsal is None and self._bank is not None:
                share, device, recipe = self._pace.rehearse, self._device, self._recipe
                self._rehearsal = rehearsal_of(self._shipped, self._bank(), share, 0, device, recipe=recipe)
            self._learning = MeanTeacher(
                self._serving, self._manifest, self._recipe, device=self._device, rehearsal=self._rehearsal
            )
        return self._learning


def _recipe(labels: LabelSource, pace: Pace, shipped: HandNetwork, serving: HandNetwork) -> Recipe:
    """All of its own layers learn where the heads' inputs, which are kept, would differ between the networks."""
    recipe = replace(Recipe.of(labels), part=pace.part)
    learner = learner_of(shipped, recipe)
    trained = {id(parameter) for parameter in learner.trained(shipped)}
    fixed = (pair for pair in zip(shipped.parameters(), serving.parameters(), strict=True) if id(pair[0]) not in trained)
    alike = not learner.keeps_inputs or all(torch.equal(one, other) for one, other in fixed)
    return recipe if alike else replace(recipe, part="layers")
