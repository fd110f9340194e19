"""Validation metrics: how good a network is on held-out pairs, by measures that adaptation cannot improve by overfitting.

Two views come to agree through a wrong rotation as well, and confidence grows with every step; both are reported, and decide
nothing. The decisive metrics use the joints' pixels, the calibration, which was found from other pairs, the proportions of
a hand, and synthetic hands, whose joints are known.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch

from adapt.core.learner import predict
from adapt.core.training_samples import TrainingSet
from capture.views import VIEWS, PerView, View
from hand.joints import unit_hand
from hand.synth.crops import SyntheticCrops
from runtime.calibration.initialization import wrist_position
from runtime.calibration.self_calibrator import mean_bone_lengths
from runtime.calibration.variables import CHILD, PARENT
from runtime.estimators.uncertainty import px_per_hand
from runtime.geometry.two_view import TwoViewGeometry
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest

BATCH = 64
FARTHEST = 30.0
"""Baselines; rays that meet farther off, or behind a camera, count as not meeting."""
LOST = 1.0
"""Hands; largest error that a hand counts with."""
HUMAN = (0.5, 1.8)
"""Range of human bone lengths, as shares of the mean hand's: both hands scaled to one palm."""


@dataclass(frozen=True, slots=True)
class ValidationMetrics:
    """Means or medians over held-out hands; lengths in hands, the smaller the better, except the last."""

    labels: float
    """Mean distance of each view's own 3D hand from its pseudo-label."""
    depth: float
    """Mean distance of each view's own 3D hand from the hand that is triangulated from both views' pixels."""
    rays: float
    """Median Sampson distance of the two views' pixels under the calibration."""
    within: float
    """Median reprojection distance of a view's 3D hand, placed where it fits best, from its own pixels."""
    bones: float
    """Standard deviation of bone lengths over the hands, as a share of the length."""
    inhuman: float
    """Share of bones whose lengths no person has."""
    drawn: float
    """Mean distance from the truth on synthetic hands."""
    apart: float
    """Mean distance between two views' 3D hands through the rotation. Reported, never decisive."""
    confidence: float
    """Mean over the joints. Reported, never decisive."""

    def __str__(self) -> str:
        return ", ".join(f"{field.name} {getattr(self, field.name):.3f}" for field in fields(self))


@dataclass(frozen=True, slots=True)
class ValidationPredictions:
    """A network's predictions for N held-out hands."""

    joints: PerView[np.ndarray]
    """(N, 21, 3) unit hands in each camera's axes."""
    pixels: PerView[np.ndarray]
    """(N, 21, 2) in each frame."""
    confidence: PerView[np.ndarray]
    """(N, 21)."""


@torch.inference_mode()
def predict_samples(network: HandNetwork, manifest: Manifest, samples: TrainingSet) -> ValidationPredictions:
    """The network's predictions for both views' crops."""
    frame_from_crop, inputs = samples.pairs.frame_from_crop(manifest.axes), samples.pairs.inputs

    def of(view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        joints, pixels, confidence = predict(network, samples.pairs.images[view], inputs and inputs[view], BATCH)
        turned = (joints.double() @ frame_from_crop[view].double().mT).numpy()
        crops = [sample.crops[view].camera for sample in samples.samples]
        in_frame = [crop.frame_from_crop(of_crop) for crop, of_crop in zip(crops, pixels.double().numpy(), strict=True)]
        return unit_hand(turned), np.stack(in_frame), confidence.double().numpy()

    left, right = PerView.of(of)
    joints, pixels, confidence = (PerView(*both) for both in zip(left, right, strict=True))
    return ValidationPredictions(joints, pixels, confidence)


def validate(
    predictions: ValidationPredictions, samples: TrainingSet, geometry: TwoViewGeometry, drawn: float
) -> ValidationMetrics:
    """Metrics of a network's predictions for `samples`; `drawn`: its `synthetic_error`."""
    pixels, joints = predictions.pixels, predictions.joints
    scale = PerView.of(lambda view: px_per_hand(joints[view], pixels[view])[:, 0])
    missed = np.abs(geometry.sampson_px(pixels)) / np.sqrt(scale.left * scale.right)[:, None]
    labels = PerView.of(lambda view: _apart(joints[view], samples.labels[view].joints.double().numpy()).mean())
    turned = joints.left @ geometry.R_right_from_left.T
    bones = np.concatenate([np.linalg.norm(joints[view][:, CHILD] - joints[view][:, PARENT], axis=-1) for view in VIEWS])
    share = np.median(bones, 0) / mean_bone_lengths()
    return ValidationMetrics(
        labels=_mean(labels),
        depth=_mean(_from_rays(predictions, geometry)),
        rays=float(np.median(missed)),
        within=_mean(PerView.of(lambda view: _within(joints[view], pixels[view], geometry, view))),
        bones=float((bones.std(0) / bones.mean(0)).mean()),
        inhuman=float(((share < HUMAN[0]) | (share > HUMAN[1])).mean()),
        drawn=drawn,
        apart=float(_apart(turned, joints.right).mean()),
        confidence=_mean(predictions.confidence.map(lambda of_view: of_view.mean())),
    )


@torch.inference_mode()
def synthetic_error(network: HandNetwork, hands: SyntheticCrops, inputs: torch.Tensor | None = None) -> float:
    """Mean distance from the truth on synthetic hands, hands; `inputs`: theirs, where they are kept (`adapt.core.learner`)."""
    joints, _, _ = predict(network, hands.images, inputs, BATCH)
    return float((joints - hands.joints).norm(dim=-1)[hands.present & ~hands.mirrored].mean())


def _from_rays(predictions: ValidationPredictions, geometry: TwoViewGeometry) -> PerView[float]:
    """Mean distance of 3D hands from the triangulation of the same network's pixels; `LOST` where rays do not meet."""
    sigma = predictions.pixels.map(lambda pixels: np.ones(pixels.shape[:-1]))
    met = geometry.in_view_axes(geometry.triangulate(predictions.pixels, sigma))
    farthest_mm = FARTHEST * float(np.linalg.norm(geometry.t_right_from_left_mm))
    near = PerView.of(lambda view: ((met[view][..., 2] > 0) & (met[view][..., 2] < farthest_mm)).all(1))
    meet = near.left & near.right

    def of(view: View) -> float:
        apart = _fitted_apart(predictions.joints[view], met[view]).mean(1)
        return float(np.where(meet, apart, LOST).clip(max=LOST).mean())

    return PerView.of(of)


def _within(joints: np.ndarray, pixels: np.ndarray, geometry: TwoViewGeometry, view: View) -> float:
    """Median distance, hands, of hands (N, 21, 3) where they fit pixels (N, 21, 2) best."""
    camera = geometry.cameras[view]
    place = wrist_position(joints, pixels, np.ones(pixels.shape[:-1]), camera.focal_px, np.array(camera.centre_px))
    off = np.linalg.norm(camera.project(joints + place[:, None]) - pixels, axis=-1)
    return float(np.median(off / px_per_hand(joints, pixels)[:, 0][:, None]))


def _fitted_apart(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N, 21) distances between hands (N, 21, 3), the others moved and scaled to fit best, never turned; in the first's unit."""
    own, other = (hand - hand.mean(1, keepdims=True) for hand in (own, other))
    scale = (own * other).sum((1, 2)) / np.maximum((other * other).sum((1, 2)), 1e-12)
    return np.linalg.norm(own - scale[:, None, None] * other, axis=-1)


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a - b, axis=-1)


def _mean(both: PerView[float]) -> float:
    return float((both.left + both.right) / 2)
