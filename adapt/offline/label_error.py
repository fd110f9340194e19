"""How far a network is from pseudo-labels that it was not trained on: decides whether an offline run saves its weights."""

from dataclasses import dataclass

import numpy as np
import torch

from adapt.core.learner import predict
from adapt.core.training_samples import TrainingSet
from capture.views import PerView, View
from runtime.estimators.uncertainty import px_per_hand
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest

CHANCE = 1.05
"""The pixel error on held-out hands may be so many times what it was."""


@dataclass(frozen=True, slots=True)
class LabelError:
    """Distance of a network's predictions from the pseudo-labels by geometry of held-out hands; hands."""

    joints: float
    """Mean distance in 3D."""
    pixels: float
    """Median distance in the image."""

    def better_than(self, other: "LabelError") -> bool:
        """Better in 3D, and not worse in 2D beyond chance."""
        return self.joints < other.joints and self.pixels < CHANCE * other.pixels

    def __str__(self) -> str:
        return f"{self.joints:.3f} (3D) and {self.pixels:.3f} (2D)"


@torch.inference_mode()
def label_error(network: HandNetwork, manifest: Manifest, samples: TrainingSet) -> LabelError:
    """Mean over both views. Labels come from before the adaptation: views that merely come to agree are no nearer to them."""
    frame_from_crop, inputs = samples.pairs.frame_from_crop(manifest.axes), samples.pairs.inputs

    def of(view: View) -> LabelError:
        labels = samples.labels[view]
        joints, pixels, _ = predict(network, samples.pairs.images[view], inputs and inputs[view], 64)
        turned = joints @ frame_from_crop[view].to(joints).mT
        truth = labels.joints.double().numpy(), labels.pixels.double().numpy()
        in_crop = labels.joints @ frame_from_crop[view].to(labels.joints)
        size_px = px_per_hand(in_crop.double().numpy(), truth[1])
        in_3d = np.linalg.norm(turned.double().numpy() - truth[0], axis=-1)
        in_2d = np.linalg.norm(pixels.double().numpy() - truth[1], axis=-1) / size_px
        return LabelError(float(in_3d.mean()), float(np.median(in_2d)))

    left, right = PerView.of(of)
    return LabelError((left.joints + right.joints) / 2, (left.pixels + right.pixels) / 2)
