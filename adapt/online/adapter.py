"""Live adaptation: collects hands, learns step by step, and lets only networks out that the guard found better.

Pure: fed with pairs and cameras, without threads, clocks or files. What runs it beside the stream is
`adapt.online.adapter_process`.
"""

from collections import Counter, deque
from copy import deepcopy
from dataclasses import dataclass

import torch

from adapt.core.mean_teacher import MeanTeacher
from adapt.core.rehearsal import Rehearsal
from adapt.core.targets import LabelSource, Recipe
from adapt.core.training_samples import TrainingSet
from adapt.online.live_pairs import Cameras, LivePair, LivePairs
from adapt.online.promotion import PromotionDecision, ValidationResult, ValidationRound, decide_promotion
from adapt.online.status import AdaptationFigures, AdaptationPhase, AdaptationStatus
from adapt.online.validation import ValidationMetrics, predict_samples, synthetic_error, validate
from capture.views import PerView
from hand.synth.crops import SyntheticCrops
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest

STALE = 24
"""New pairs after which they are learnt from, too."""
LEAST_FITTING = 10
"""Hands to learn from, and to judge by, that must fit the cameras."""
MOST_WAITING = 64
"""Steps that may wait for their turn."""
_COUNTED = {
    ValidationResult.PROMOTED: "promotions",
    ValidationResult.REFUSED: "refusals",
    ValidationResult.ROLLED_BACK: "rollbacks",
}
"""Fields of `AdaptationFigures`."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast to learn; every default was chosen for one core beside a live stream."""

    batch: int = 16
    judge_every: int = 10
    """Steps between two judgements."""
    passes: int = 10
    """How often each new hand is learnt from; then learning waits for others."""
    rehearse: float = 0.25
    """Share of drawn hands in what is learnt from, where there is a bank of them."""
    most_refused: int = 3
    """Candidates in a row that were no better: learning begins again from the network in use."""


_PACE = Pace()


@dataclass(frozen=True, slots=True)
class Update:
    """What came of a validation round."""

    validation: ValidationRound
    network: HandNetwork | None
    """To be used from now on."""


@dataclass(frozen=True, slots=True)
class SampleSplit:
    """Hands to learn from, and hands to judge by."""

    learnt: TrainingSet
    held_out: TrainingSet


class Adapter:
    """Student, guard and material of one stream."""

    def __init__(
        self,
        shipped: HandNetwork,
        manifest: Manifest,
        drawn: SyntheticCrops,
        widths_px: PerView[int],
        *,
        serving: HandNetwork | None = None,
        labels: LabelSource = "both",
        pace: Pace = _PACE,
        bank: SyntheticCrops | None = None,
        device: torch.device | str = "cpu",
    ):
        """`shipped` is what everything is measured against; `serving` the network in use, if another one; `drawn` are hands
        with their truth by which forgetting is measured, `bank` others to rehearse (`adapt.core.rehearsal.draw_bank`).
        """
        self._manifest, self._drawn, self._device = manifest, drawn, device
        self._labels: LabelSource = labels
        self._pace, self._bank = pace, bank
        self._shipped = shipped
        self._shipped_drawn = synthetic_error(shipped, drawn)
        self._serving, self._previous = serving or shipped, shipped
        self._pairs = LivePairs(widths_px)
        self._cameras: Cameras | None = None
        self._material: SampleSplit | None = None
        self._order = torch.Generator().manual_seed(0)
        self.validations: deque[ValidationRound] = deque(maxlen=100)
        """The latest ones."""
        self._counts: Counter[str] = Counter()
        """By field of `AdaptationFigures`."""
        self._waiting = self._since_judged = self._refused = self._new = 0
        self._session = self._begin()

    def see(self, cameras: Cameras) -> None:
        """The cameras are known, or better known than before."""
        if self._cameras is None or not self._cameras.alike(cameras):
            self._cameras, self._material = cameras, None

    def moved(self) -> None:
        """A camera was moved: what was seen before tells nothing more. The network in use has to prove itself anew."""
        self._counts["camera_moves"] += 1
        self._pairs.forget()
        self._cameras = self._material = None
        self._previous = self._shipped
        self._session = self._begin()

    def take(self, pair: LivePair) -> None:
        """A hand that both views saw."""
        self._counts["pairs"] += 1
        self._new += 1
        if self._pairs.add(pair):
            self._waiting = min(self._waiting + self._pace.passes, self._pace.batch * MOST_WAITING)

    @property
    def status(self) -> AdaptationStatus:
        """What is being done."""
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
        """Learn one step, or judge what was learnt; what came of it, where something did."""
        if not self.has_work:
            return None
        material = self._current()
        if material is None:
            return None
        if self._since_judged >= self._pace.judge_every:
            return self._judge(material.held_out)
        self._step(material.learnt)
        return None

    def _current(self) -> SampleSplit | None:
        """What is learnt from and judged by, labelled by what is known of the cameras now; None where too little of it fits."""
        assert self._cameras is not None
        if self._material is None or self._new >= STALE:
            learnt, held_out = self._pairs.learnt(self._cameras), self._pairs.held_out(self._cameras)
            self._new = 0
            if learnt is None or held_out is None or min(len(learnt.pairs), len(held_out.pairs)) < LEAST_FITTING:
                # They are looked at again when others have come.
                self._waiting, self._material = 0, None
                return None
            self._material = SampleSplit(learnt, held_out)
        return self._material

    def _step(self, learnt: TrainingSet) -> None:
        assert self._cameras is not None
        rows = torch.randperm(len(learnt.pairs), generator=self._order)[: self._pace.batch]
        taught = learnt.taught.map(lambda view: view.rows(rows))
        R = self._cameras.geometry.R_right_from_left
        self._session.step(learnt.pairs.rows(rows), R, labels=self._labels, taught=taught)
        self._counts["steps"] += 1
        self._since_judged += 1
        self._waiting -= self._pace.batch

    def _judge(self, held_out: TrainingSet) -> Update:
        """Compare what was learnt, the network in use, and the one before it, on the same hands."""
        assert self._cameras is not None
        self._since_judged = 0
        geometry = self._cameras.geometry

        def weighed(network: HandNetwork) -> ValidationMetrics:
            return validate(predict_samples(network, self._manifest, held_out), held_out, geometry, self._drawn_of(network))

        shipped, serving = weighed(self._shipped), weighed(self._serving)
        if self._previous is not self._serving:
            previous = shipped if self._previous is self._shipped else weighed(self._previous)
            decision = decide_promotion(previous, serving, shipped)
            if decision.better:
                network, self._serving, self._previous = self._previous, self._previous, self._shipped
                self._session = self._begin()
                return self._validated(ValidationResult.ROLLED_BACK, decision, len(held_out.pairs), previous, serving, network)
        candidate = weighed(self._session.teacher)
        decision = decide_promotion(candidate, serving, shipped)
        if decision.better:
            self._previous, self._serving = self._serving, deepcopy(self._session.teacher).cpu()
            self._refused = 0
            return self._validated(ValidationResult.PROMOTED, decision, len(held_out.pairs), candidate, serving, self._serving)
        self._refused += 1
        if self._refused >= self._pace.most_refused:
            self._session = self._begin()
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

    def _drawn_of(self, network: HandNetwork) -> float:
        return self._shipped_drawn if network is self._shipped else synthetic_error(network, self._drawn)

    def _begin(self) -> MeanTeacher:
        """Learn from the network in use on; what waits to be learnt from waits for others."""
        self._refused = self._since_judged = self._waiting = 0
        rehearsal = Rehearsal(self._bank, self._pace.rehearse, 0, self._device) if self._bank is not None else None
        return MeanTeacher(self._serving, self._manifest, Recipe.of(self._labels), device=self._device, rehearsal=rehearsal)
