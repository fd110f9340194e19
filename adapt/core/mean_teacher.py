"""Mean-teacher adaptation: a student is trained on pseudo-labels of its momentum teacher and of the geometry (S2DHand).

Nothing here is random but what is handed in with a seed: the same batches in the same order give the same weights on one machine.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adapt.core.augment import Augmenter
from adapt.core.batch_rotation import angle_deg, batch_rotation, drift, initial_rotation, published_batch_rotation
from adapt.core.crop_pairs import CropPairs
from adapt.core.learner import learner_of, with_inputs
from adapt.core.losses import Loss
from adapt.core.rehearsal import Rehearsal
from adapt.core.targets import (
    LABEL_METHODS,
    GeometryLabelBatch,
    LabelSource,
    PseudoLabels,
    Recipe,
    TwoViewPredictions,
    ViewPredictions,
    pseudo_labels,
)
from capture.views import PerView
from hand.synth.turn import Turn
from runtime.networks.network import HandNetwork, unit
from runtime.networks.weights import Manifest

_RECIPE = Recipe()


@dataclass(frozen=True, slots=True)
class StepFigures:
    """Losses and errors of one step, before its update. Agreement of the views is what is trained: it proves no improvement."""

    loss: float
    heat: float
    delta: float
    location: float
    """The loss, both views', and its parts before their weights."""
    apart: float
    """Mean distance between the teacher's joints in the two views through the rotation, hands."""
    batch_off_deg: float
    """Between the rotation in use and the one that this batch alone tells."""
    rehearsed: float = float("nan")
    """Mean error on the synthetic hands of the rehearsal, hands; not a number without rehearsal."""


class MeanTeacher:
    """Student, teacher and rotation of one pair of cameras."""

    def __init__(
        self,
        network: HandNetwork,
        manifest: Manifest,
        recipe: Recipe = _RECIPE,
        R_right_from_left: np.ndarray | None = None,
        device: torch.device | str = "cpu",
        *,
        augment: Augmenter | None = None,
        rehearsal: Rehearsal | None = None,
    ):
        """Start from `network`, which stays as it is and whose batch-norms are not folded (`fuse_batch_norms`).

        `R_right_from_left` (3, 3) to start from, such as one of a table; without it the first batch, or `initialize_rotation`,
        estimates it. `augment` changes the student's crops, `rehearsal` adds synthetic hands; both are on `device`.

        Raises UserError for a network that cannot learn.
        """
        self._learner = learner_of(network, recipe)
        self.manifest, self.recipe, self.device = manifest, recipe, torch.device(device)
        self.teacher = _copy(network, self.device).requires_grad_(False)
        """The momentum network: the one that is used afterwards."""
        self.student = _copy(network, self.device)
        self._trained = self._learner.trained(self.student)
        self.student.requires_grad_(False)
        for parameter in self._trained:
            parameter.requires_grad_(True)
        self.steps = 0
        self._augment, self._rehearsal = augment, rehearsal
        self._optimiser = torch.optim.Adam(self._trained, recipe.rate)
        self._rotation = None if R_right_from_left is None else self._tensor(R_right_from_left)

    @property
    def R_right_from_left(self) -> np.ndarray | None:
        """(3, 3) the rotation in use; None before the first batch."""
        return None if self._rotation is None else self._rotation.cpu().numpy()

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """The student's, for `adapt.core.checkpoint`."""
        return self._optimiser

    def set_rotation(self, R_right_from_left: np.ndarray) -> None:
        """Continue with this one (3, 3)."""
        self._rotation = self._tensor(R_right_from_left)

    def initialize_rotation(self, pairs: CropPairs) -> float:
        """Estimate the rotation from unlabelled pairs, the more varied the better; returns its uncertainty in degrees."""
        seen, _ = self._predict(pairs.to(self.device))
        weight = self.recipe.joint_weight(seen.confidence, seen.visible)
        self._rotation, uncertainty_deg = initial_rotation(seen.joints.map(lambda joints: unit(joints).double()), weight)
        return uncertainty_deg

    def step(
        self,
        pairs: CropPairs,
        R_right_from_left: np.ndarray | None = None,
        *,
        labels: LabelSource = "s2dhand",
        geometry_labels: PerView[GeometryLabelBatch] | None = None,
    ) -> StepFigures:
        """Train on a batch: on pseudo-labels of the momentum network (`s2dhand`), on `geometry_labels`, or on both.

        A rotation (3, 3) that is given, of calibrated cameras, is used as it is and kept; else the one in use drifts towards the
        rotation of this batch.
        """
        method = LABEL_METHODS[labels]
        assert geometry_labels is not None or not method.geometry, f"labels {labels!r} need geometry_labels"
        pairs = with_inputs(self.teacher, pairs.to(self.device), self.recipe)
        if R_right_from_left is not None:
            self._rotation = self._tensor(R_right_from_left)
        elif self._rotation is None:
            self.initialize_rotation(pairs)
        assert self._rotation is not None
        rotation = self._rotation
        seen, of_views = self._predict(pairs)
        agreed = pseudo_labels(seen, rotation.to(seen.joints.left), self.manifest.root, self.recipe)
        batch = self._rotation_of(agreed).to(rotation)
        if R_right_from_left is None:
            self._rotation = drift(rotation, batch, self.recipe.eta)
        turns = pairs.images.map(lambda images: None if self._augment is None else self._augment.turn(len(images)))
        targets: list[PerView[Any]] = []
        if method.agreement:
            joints = self._in_crops(pairs, agreed.joints)
            targets.append(
                PerView.of(
                    lambda view: self._learner.agreed_targets(
                        self.student, joints[view], seen.visible[view], of_views[view], turns[view]
                    )
                )
            )
        if method.geometry and geometry_labels is not None:
            labels_here = geometry_labels.map(lambda label: label.to(self.device))
            told = self._in_crops(pairs, labels_here.map(lambda label: label.joints))
            targets.append(
                PerView.of(
                    lambda view: self._learner.geometry_targets(
                        self.student, told[view], labels_here[view], of_views[view], turns[view]
                    )
                )
            )
        losses, rehearsed = self._train(pairs, targets, turns)
        self._update_teacher()
        parts = (float(sum(part)) for part in zip(*losses, strict=True))
        apart, batch_off_deg = float(agreed.apart), float(angle_deg(rotation, batch))
        return StepFigures(*parts, apart=apart, batch_off_deg=batch_off_deg, rehearsed=rehearsed)

    @torch.no_grad()
    def _predict(self, pairs: CropPairs) -> tuple[TwoViewPredictions, PerView[ViewPredictions]]:
        """The teacher's predictions: in the cameras' axes, and as it gives them."""
        frame_from_crop = pairs.frame_from_crop(self.manifest.axes)
        seen = self._inputs(pairs).map(lambda inputs: self._learner.see(self.teacher, inputs))
        joints = PerView.of(lambda view: seen[view].joints @ frame_from_crop[view].to(seen[view].joints).mT)
        confidence = seen.map(lambda of_view: of_view.confidence)
        return TwoViewPredictions(joints, confidence, confidence.map(lambda c: c >= self.recipe.least_confidence)), seen

    @torch.no_grad()
    def _inputs(self, pairs: CropPairs) -> PerView[Tensor]:
        """What the learning part reads of the plain crops."""
        return pairs.inputs or pairs.images.map(lambda images: self._learner.inputs(self.teacher, images))

    def _in_crops(self, pairs: CropPairs, joints: PerView[Tensor]) -> PerView[Tensor]:
        """Joints (N, 21, 3) in the network's axes, of those in the cameras'."""
        frame_from_crop = pairs.frame_from_crop(self.manifest.axes)
        return PerView.of(lambda view: joints[view] @ frame_from_crop[view].to(joints[view]))

    def _rotation_of(self, labels: PseudoLabels) -> Tensor:
        if self.recipe.published_rotation:
            return published_batch_rotation(labels.joints, labels.weight)
        return batch_rotation(labels.rooted, labels.weight)

    def _train(self, pairs: CropPairs, targets: list[PerView[Any]], turns: PerView[Turn | None]) -> tuple[list[Loss], float]:
        """One step of Adam on both views, all targets counting alike; the views' losses, and the error on synthetic hands.

        One view's graph at a time is held, which halves the memory.
        """
        self._optimiser.zero_grad()
        plain, losses = self._inputs(pairs), []
        for view, images in pairs.images.items():
            turn, inputs = turns[view], plain[view]
            if self._augment is not None and turn is not None:
                with torch.no_grad():
                    inputs = self._learner.inputs(self.student, self._augment(images, turn))
            loss = self._learner.loss(self.student, inputs, [each[view] for each in targets])
            loss.total.backward()
            losses.append(Loss(*(part.detach() for part in loss)))
        rehearsed = float("nan") if self._rehearsal is None else self._rehearse(pairs, self._rehearsal)
        self._optimiser.step()
        self.steps += 1
        return losses, rehearsed

    def _rehearse(self, pairs: CropPairs, rehearsal: Rehearsal) -> float:
        """Add the gradients of synthetic hands, each image counting like one of a real hand; their mean error, hands."""
        drawn, inputs = rehearsal.draw(torch.cat(list(pairs.images)))
        loss = self._learner.drawn_loss(self.student, drawn, inputs)
        (loss.total * (len(drawn.images) / len(pairs))).backward()
        return float(loss.joints.detach())

    @torch.no_grad()
    def _update_teacher(self) -> None:
        """The teacher's weights ← a moving average that begins as the mean of all steps."""
        memory = min(1 - 1 / (self.steps + 1), self.recipe.memory)
        for old, new in zip(self._learner.trained(self.teacher), self._trained, strict=True):
            old.lerp_(new, 1 - memory)

    def _tensor(self, rotation: np.ndarray) -> Tensor:
        return torch.tensor(rotation, dtype=torch.float64, device=self.device)


def _copy(network: HandNetwork, device: torch.device) -> HandNetwork:
    return deepcopy(network).eval().to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
