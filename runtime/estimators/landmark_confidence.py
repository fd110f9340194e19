"""How uncertain MediaPipe's landmarks are: the expected error of `runtime.networks.landmark_error` for landmarks in a frame."""

import numpy as np
import torch

from hand.joints import unit_hand
from runtime.estimators.hand_landmarks import Landmarks
from runtime.networks import landmark_error
from runtime.networks.detnet_lite import CONFIDENCE_SCALE


def error_indicators(landmarks: Landmarks, bones: np.ndarray | None = None) -> np.ndarray:
    """(3,) positive: 1 − presence; misfit of space and picture, hands; misfit of bones with lengths (20,), a logarithm."""
    return landmark_error.error_indicators(*_one(landmarks), None if bones is None else torch.from_numpy(bones))[0].numpy()


def expected_error(landmarks: Landmarks) -> np.ndarray:
    """(21,) expected distance of the unit hand's joints from the truth, hands."""
    return landmark_error.expected_error(*_one(landmarks))[0].numpy()


def confidence(landmarks: Landmarks) -> np.ndarray:
    """(21,) in [0, 1]: the expected error as all estimators tell it (`runtime.estimators.uncertainty`)."""
    return np.exp(-expected_error(landmarks) / CONFIDENCE_SCALE)


def _one(landmarks: Landmarks) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Its unit hand (1, 21, 3), pixels (1, 21, 2) and presence (1,)."""
    joints, pixels = unit_hand(landmarks.world), landmarks.pixels.astype(float)
    return torch.from_numpy(joints)[None], torch.from_numpy(pixels)[None], torch.tensor([landmarks.presence], dtype=torch.float64)
