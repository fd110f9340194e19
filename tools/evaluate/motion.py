"""How a synthetic hand moves: smooth poses, turns and paths, in space axes (origin in the middle of the hand's space, mm)."""

import numpy as np
import torch

from hand.joints import DEFAULT_HAND_SIZE_MM, unit_hand
from hand.model import HandModel, HandPose
from hand.prior import sample_poses
from hand.rotations import from_vector

TRAVEL_MM, SPEED_MM_S = (200.0, 400.0), 1000.0
"""Room that a moving hand takes along each axis, and the fastest that its wrist's path gets."""
PERSON_SPREAD = 0.5
"""Of the hand model's deviations: people's finger bones differ by 7 % (standard deviation) against the length of their palms."""


PALM_MM = np.array([0.0, DEFAULT_HAND_SIZE_MM, 0.0])
"""What counts as the middle of a moving hand, hand axes."""


def sample_person(rng: np.random.Generator) -> torch.Tensor:
    """(K,) the shape of one person's hand, for `HandModel`."""
    return torch.from_numpy(rng.normal(0, PERSON_SPREAD, HandModel.load().components)).float()


def sample_motion(rng: np.random.Generator, seconds: float, fps: float = 30, person: torch.Tensor | None = None) -> np.ndarray:
    """(N, 21, 3) mm, space axes: a hand that changes its pose, turns and travels, as if shown to the cameras."""
    hand = _posed(rng, round(seconds * fps), fps, person)
    R, path = sample_path(rng, len(hand), fps)
    return hand @ R.swapaxes(1, 2) + path[:, None]


def sample_path(rng: np.random.Generator, count: int, fps: float, amount: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """How a hand turns and travels: (count, 3, 3) R_space_from_hand and (count, 3) mm, the palm's middle, space axes.

    `amount`: how far, as a share of what a hand does that is shown to the cameras.
    """
    R = from_vector(smooth_noise(rng, count, 3, 1.0, fps) * 0.6 * amount) @ from_vector(rng.normal(0, 1.2, 3))
    path = smooth_noise(rng, count, 3, rng.uniform(0.4, 1.0), fps) * (rng.uniform(*TRAVEL_MM) / 4 * amount)
    path = path.clip(-TRAVEL_MM[1] / 2, TRAVEL_MM[1] / 2)
    if count > 1:
        path *= min(1.0, SPEED_MM_S / (np.linalg.norm(np.diff(path, axis=0), axis=1).max() * fps))
    return R, path


def in_place(rng: np.random.Generator, seconds: float, fps: float = 30, person: torch.Tensor | None = None) -> np.ndarray:
    """(N, 21, 3) mm, space axes: only the fingers move; the palm neither turns nor travels."""
    return _posed(rng, round(seconds * fps), fps, person) @ from_vector(rng.normal(0, 1.2, 3)).T + rng.normal(0, 25, 3)


def still(rng: np.random.Generator, seconds: float, fps: float = 30, person: torch.Tensor | None = None) -> np.ndarray:
    """(N, 21, 3) mm, space axes: a hand that does not move."""
    return np.repeat(in_place(rng, 1 / fps, fps, person), round(seconds * fps), axis=0)


def _posed(rng: np.random.Generator, count: int, fps: float, person: torch.Tensor | None) -> np.ndarray:
    """(count, 21, 3) mm in hand axes, about the palm's middle: from one of the prior's poses to the next, one a second."""
    model = HandModel.load()
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
    person = sample_person(rng) if person is None else person
    pose = smooth_poses(generator, count, fps, model)
    joints = unit_hand(model.pose_joints(person.expand(count, -1), pose).double().numpy()) * DEFAULT_HAND_SIZE_MM
    return joints - PALM_MM


def smooth_poses(generator: torch.Generator, count: int, fps: float, model: HandModel) -> HandPose:
    """`count` poses, from one of the prior's to the next, one a second."""
    time = np.arange(count) / fps
    first, share = time.astype(int), torch.from_numpy(time % 1).float()
    share = share * share * (3 - 2 * share)
    keys, _ = sample_poses(int(first.max(initial=0)) + 2, generator, model)

    def mixed(values: torch.Tensor) -> torch.Tensor:
        s = share.view(-1, *[1] * (values.ndim - 1))
        return values[first] * (1 - s) + values[first + 1] * s

    return HandPose(mixed(keys.flex), mixed(keys.spread), mixed(keys.twist), mixed(keys.wrist))


def smooth_noise(rng: np.random.Generator, count: int, width: int, period_s: float, fps: float) -> np.ndarray:
    """(count, width) of about unit variance: cubic B-splines through one random number every `period_s`."""
    at = np.arange(count) / fps / period_s
    first, u = at.astype(int), (at % 1)[:, None]
    knots = rng.normal(size=(int(at[-1]) + 4 if count else 4, width))
    basis = ((1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3)
    # Without the factor the variance lies between 16.5 and 18.
    return np.sum([b * knots[first + k] for k, b in enumerate(basis)], axis=0) / np.sqrt(17.3)
