"""Mean-teacher adaptation: a student is trained on pseudo-labels of its momentum teacher and of the geometry (S2DHand).

Nothing here is random but what is handed in with a seed: the same batches in the same order give the same weights on one machine.
"""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from adapt.core.augment import Augmenter
from adapt.core.batch_rotation import angle_deg, batch_rotation, drift, initial_rotation, published_batch_rotation
from adapt.core.crop_pairs import CropPairs
from adapt.core.losses import Loss, adaptation_loss
from adapt.core.rehearsal import Rehearsal
from adapt.core.synthetic_losses import drawn_loss
from adapt.core.targets import (
    LABEL_METHODS,
    GeometryLabelBatch,
    LabelSource,
    PseudoLabels,
    Recipe,
    Targets,
    TwoViewPredictions,
    delta_target,
    heat_target,
    location_target,
    pseudo_labels,
)
from capture.views import PerView, View
from hand.synth.turn import Turn
from runtime.networks.detnet_lite import read_scalar
from runtime.networks.network import HandNetwork, Maps, map_network, normalise, unit
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

        Raises UserError for a network without maps.
        """
        map_network(network)
        self.manifest, self.recipe, self.device = manifest, recipe, torch.device(device)
        self.teacher = _copy(network, self.device).requires_grad_(False)
        """The momentum network: the one that is used afterwards."""
        self.student = _copy(network, self.device)
        for module in self.student.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)
        self.steps = 0
        self._augment, self._rehearsal = augment, rehearsal
        self._optimiser = torch.optim.Adam((p for p in self.student.parameters() if p.requires_grad), recipe.rate)
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
        pairs = pairs.to(self.device)
        if R_right_from_left is not None:
            self._rotation = self._tensor(R_right_from_left)
        elif self._rotation is None:
            self.initialize_rotation(pairs)
        assert self._rotation is not None
        rotation = self._rotation
        seen, maps = self._predict(pairs)
        agreed = pseudo_labels(seen, rotation.to(seen.joints.left), self.manifest.root, self.recipe)
        batch = self._rotation_of(agreed).to(rotation)
        if R_right_from_left is None:
            self._rotation = drift(rotation, batch, self.recipe.eta)
        turns = pairs.images.map(lambda images: None if self._augment is None else self._augment.turn(len(images)))
        targets: list[PerView[Targets]] = []
        if method.agreement:
            targets.append(self._targets(pairs, agreed.joints, maps, seen, turns))
        if method.geometry and geometry_labels is not None:
            targets.append(
                self._targets(pairs, geometry_labels.map(lambda x: x.joints.to(self.device)), maps, geometry_labels, turns)
            )
        losses, rehearsed = self._train(pairs, targets, turns)
        self._update_teacher()
        parts = (float(sum(part)) for part in zip(*losses, strict=True))
        apart, batch_off_deg = float(agreed.apart), float(angle_deg(rotation, batch))
        return StepFigures(*parts, apart=apart, batch_off_deg=batch_off_deg, rehearsed=rehearsed)

    @torch.no_grad()
    def _predict(self, pairs: CropPairs) -> tuple[TwoViewPredictions, PerView[Maps]]:
        """The teacher's predictions, in the cameras' axes, and its maps."""
        network, frame_from_crop = map_network(self.teacher), pairs.frame_from_crop(self.manifest.axes)
        maps = pairs.images.map(lambda images: network(normalise(images).contiguous(memory_format=torch.channels_last)))
        decoded = maps.map(lambda m: network.decode(m, self.manifest.crop_size))
        joints = PerView.of(lambda view: decoded[view].joints @ frame_from_crop[view].to(decoded[view].joints).mT)
        confidence = decoded.map(lambda d: d.confidence)
        return TwoViewPredictions(joints, confidence, confidence.map(lambda c: c >= self.recipe.least_confidence)), maps

    def _rotation_of(self, labels: PseudoLabels) -> Tensor:
        if self.recipe.published_rotation:
            return published_batch_rotation(labels.joints, labels.weight)
        return batch_rotation(labels.rooted, labels.weight)

    def _targets(
        self,
        pairs: CropPairs,
        joints: PerView[Tensor],
        maps: PerView[Maps],
        by: "TwoViewPredictions | PerView[GeometryLabelBatch]",
        turns: PerView[Turn | None],
    ) -> PerView[Targets]:
        """Targets of joints (N, 21, 3) in the cameras' axes, with the momentum network's heat or that of the labelled pixels.

        Targets of augmented crops are turned by the same `turns`.
        """
        frame_from_crop = pairs.frame_from_crop(self.manifest.axes)
        size = self.manifest.crop_size

        def of(view: View) -> Targets:
            heat, log_error, turn = maps[view].heat, maps[view].log_error, turns[view]
            in_crop = joints[view] @ frame_from_crop[view].to(joints[view])
            if turn is not None:
                in_crop = turn.vectors(in_crop)
            expected = None if log_error is None else read_scalar(log_error, heat)
            location, delta = location_target(in_crop, self.manifest.root), delta_target(in_crop)
            if isinstance(by, TwoViewPredictions):
                if turn is not None:
                    heat = map_network(self.student).normalise_heat(turn.pictures(heat, heat.shape[-1], "zeros"))
                return Targets(location, delta, heat, by.visible[view], expected)
            label = by[view].to(self.device)
            pixels = label.pixels if turn is None else turn.pixels(label.pixels, size, size)
            inside = ((pixels > -0.5) & (pixels < size - 0.5)).all(-1)
            read = pixels if self.recipe.pixel_term else None
            return Targets(location, delta, self._heat(pixels, inside, heat), inside, expected, label.weight, read)

        return PerView.of(of)

    def _heat(self, pixels: Tensor, inside: Tensor, like: Tensor) -> Tensor:
        """(N, 21, M, M) target heat of joints at crop pixels (N, 21, 2); a joint outside of its crop has none."""
        network = map_network(self.student)
        heat = heat_target(pixels, like.shape[-1], self.manifest.crop_size, network.heat_sigma)
        return network.normalise_heat(heat * inside[..., None, None])

    def _train(self, pairs: CropPairs, targets: list[PerView[Targets]], turns: PerView[Turn | None]) -> tuple[list[Loss], float]:
        """One step of Adam on both views, all targets counting alike; the views' losses, and the error on synthetic hands.

        One view's graph at a time is held, which halves the memory.
        """
        self._optimiser.zero_grad()
        losses = []
        for view, images in pairs.images.items():
            turn = turns[view]
            augmented = images if self._augment is None or turn is None else self._augment(images, turn)
            loss = adaptation_loss(map_network(self.student), augmented, [each[view] for each in targets])
            loss.total.backward()
            losses.append(Loss(*(part.detach() for part in loss)))
        rehearsed = float("nan") if self._rehearsal is None else self._rehearse(pairs, self._rehearsal)
        self._optimiser.step()
        self.steps += 1
        return losses, rehearsed

    def _rehearse(self, pairs: CropPairs, rehearsal: Rehearsal) -> float:
        """Add the gradients of synthetic hands, each image counting like one of a real hand; their mean error, hands."""
        drawn = rehearsal.batch_for(torch.cat(list(pairs.images)))
        loss = drawn_loss(map_network(self.student), drawn, self.manifest.crop_size)
        (loss.total * (len(drawn.images) / len(pairs))).backward()
        return float(loss.joints.detach())

    @torch.no_grad()
    def _update_teacher(self) -> None:
        """The teacher's weights ← a moving average that begins as the mean of all steps."""
        memory = min(1 - 1 / (self.steps + 1), self.recipe.memory)
        for old, new in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            old.lerp_(new, 1 - memory)

    def _tensor(self, rotation: np.ndarray) -> Tensor:
        return torch.tensor(rotation, dtype=torch.float64, device=self.device)


def _copy(network: HandNetwork, device: torch.device) -> HandNetwork:
    return deepcopy(network).eval().to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
