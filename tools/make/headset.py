"""A synthetic headset with real ones' rotations: where its cameras are, and whose hands are before it.

Head axes: x right, y down, z forward, mm, the origin between the eyes. World axes are those of a head that looks straight on.
"""

from dataclasses import dataclass

import numpy as np
import torch

from hand.camera import PinholeCamera
from hand.joints import DEFAULT_HAND_SIZE_MM
from hand.model import HandModel
from hand.prior import sample_poses
from hand.rotations import from_vector, project_to_rotation
from hand.synth.appearance import Appearance, sample_appearance
from hand.synth.sleeves import sleeved
from runtime.types import Side

R_CAMERA_FROM_FIRST = (
    (
        ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        ((-0.10363, -0.206592, 0.972924), (0.165141, -0.968187, -0.187997), (0.980811, 0.141187, 0.13445)),
        ((0.660444, -0.289689, 0.692743), (0.714358, -0.0418, -0.698531), (0.231314, 0.956208, 0.179335)),
        ((0.662876, -0.291423, 0.689686), (0.748102, 0.295483, -0.594166), (-0.030637, 0.909814, 0.413883)),
    ),
    (
        ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        ((-0.084649, -0.199872, 0.976159), (0.166814, -0.968691, -0.183877), (0.982348, 0.147272, 0.11534)),
        ((0.679253, -0.286497, 0.675674), (0.692549, -0.054465, -0.719311), (0.242881, 0.956532, 0.161418)),
        ((0.677482, -0.281497, 0.679542), (0.735474, 0.271596, -0.620737), (-0.009825, 0.920324, 0.391035)),
    ),
)
"""R_camera_from_first of the four cameras of each AssemblyHands headset, after the true rotations between its six pairs that were
published with S2DHand. They agree to 0.001 degrees, but for pair 0,1 of the first headset: the other five make it 0.73 degrees
another."""
PLACES_MM = ((62.0, 45.0, 0.0), (-62.0, 45.0, 0.0), (-45.0, -35.0, 20.0), (45.0, -35.0, 20.0))
"""Where the cameras are on the head: on the side to which they look. Chosen, not measured."""
WIDTH, HEIGHT, FOCAL_PX = 636, 480, 160.0
"""Pictures are as large as AssemblyHands'; the focal length is chosen, so that all four cameras see most hands."""

_PALM_DOWN = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""R_head_from_hand of a right hand that points forward with its back up."""
_RAISED_DEG, _INWARDS_DEG, _TURN_DEG = 50.0, 20.0, 25.0
"""How far fingers point upwards and to the other hand, as elbows are below and apart; standard deviation of a hand's turn about
each axis."""
_LOW_MM, _HIGH_MM = (30.0, 105.0, 370.0), (110.0, 195.0, 520.0)
"""Between these the right hand's middle is; the left hand's is the mirror image."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a head is at a moment."""

    R_world_from_head: np.ndarray
    """(3, 3)."""
    place_mm: np.ndarray
    """(3,) world axes."""

    @classmethod
    def random(cls, random: np.random.Generator) -> "Head":
        return cls(from_vector(np.radians(random.normal(0, [8, 15, 6]))), random.normal(0, [150, 60, 150]))

    def in_world(self, points_mm: np.ndarray) -> np.ndarray:
        """Points (..., 3) in world axes from head axes."""
        return points_mm @ self.R_world_from_head.T + self.place_mm


@dataclass(frozen=True, slots=True)
class Headset:
    """Four cameras on a head."""

    camera: PinholeCamera
    """Any of them: all are alike."""
    R_camera_from_head: np.ndarray
    """(4, 3, 3)."""
    places_mm: np.ndarray
    """(4, 3) head axes."""

    @classmethod
    def of(cls, number: int, width: int = WIDTH) -> "Headset":
        """The headset of `--setup number`, with pictures of `width` px."""
        from_first = project_to_rotation(np.array(R_CAMERA_FROM_FIRST[number]))
        # Forward is where the cameras look on the whole; the upper two are mounted with their x axes downwards.
        forward = from_first[:, 2].sum(0)
        forward /= np.linalg.norm(forward)
        down = from_first[2:, 0].sum(0)
        down -= (down @ forward) * forward
        down /= np.linalg.norm(down)
        R_head_from_first = np.stack([np.cross(down, forward), down, forward])
        height = round(width * HEIGHT / WIDTH)
        camera = PinholeCamera(FOCAL_PX * width / WIDTH, ((width - 1) / 2, (height - 1) / 2), (width, height))
        return cls(camera, from_first @ R_head_from_first.T, np.array(PLACES_MM))

    def in_camera(self, number: int, points_mm: np.ndarray) -> np.ndarray:
        """Points (..., 3) in a camera's axes from head axes."""
        return (points_mm - self.places_mm[number]) @ self.R_camera_from_head[number].T

    def world_to_camera(self, head: Head) -> np.ndarray:
        """(4, 3, 4) [R_camera_from_world, t in mm]."""
        R = self.R_camera_from_head @ head.R_world_from_head.T
        places_mm = head.in_world(self.places_mm)
        return np.concatenate([R, -R @ places_mm[..., None]], -1)


@dataclass(frozen=True, slots=True)
class HeldHand:
    """A hand before the headset."""

    side: Side
    joints_mm: np.ndarray
    """(21, 3) head axes."""
    skin_mm: np.ndarray
    """(V, 3) head axes; of a left hand, the right one's vertices in a mirror."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whose hands they are."""

    model: HandModel
    shape: torch.Tensor
    """(1, K) standard deviations."""
    size_mm: float
    """Of the model's mean hand, from wrist to middle knuckle."""
    look: Appearance

    @classmethod
    def random(cls, model: HandModel, texture: int, generator: torch.Generator) -> "Person":
        shape = torch.randn(1, model.components, generator=generator)
        size_mm = DEFAULT_HAND_SIZE_MM * (0.9 + 0.2 * float(torch.rand(1, generator=generator)))
        return cls(model, shape, size_mm, sample_appearance(1, generator, torch.device("cpu"), texture))

    def hold(self, side: Side, generator: torch.Generator, random: np.random.Generator) -> HeldHand:
        """Hold a hand out in a random pose, turned somehow, at a random place that most cameras see."""
        pose, _ = sample_poses(1, generator, self.model)
        hand = self.model.pose(self.shape, pose)
        held = from_vector(np.radians([0, -_INWARDS_DEG, 0])) @ from_vector(np.radians([_RAISED_DEG, 0, 0])) @ _PALM_DOWN
        R_head_from_hand = from_vector(np.radians(random.normal(0, _TURN_DEG, 3))) @ held
        joints, skin = hand.joints[0].numpy(), sleeved(hand.vertices, self.model, self.look)[0].numpy()
        joints_mm, skin_mm = (points @ R_head_from_hand.T * self.size_mm for points in (joints, skin))
        shift = random.uniform(_LOW_MM, _HIGH_MM) - (joints_mm[0] + joints_mm[9]) / 2
        mirror = np.array([-1.0 if side == "left" else 1.0, 1, 1])
        return HeldHand(side, (joints_mm + shift) * mirror, (skin_mm + shift) * mirror)
