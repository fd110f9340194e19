"""A synthetic headset: two cameras that see a rendered hand in a loop of poses, with the ground truth.

The loop runs on the host's monotonic clock, so that both cameras, in processes of their own, show the same moment, and
the ground truth follows from a capture time.
"""

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from capture.views import PerView, View
from hand import rotations
from hand.camera import PinholeCamera
from hand.joints import DEFAULT_HAND_SIZE_MM
from hand.model import HandModel, HandPose, PosedHand
from hand.prior import FAMILIES, family_pose
from hand.synth.appearance import Appearance, linear, sample_appearance
from hand.synth.light import Lights
from hand.synth.render import render

FPS = 30
PERIOD_NS = 1_000_000_000 // FPS
FRAMES = 150
"""Frames in the loop."""
WIDTH, HEIGHT, FOV_DEG = 640, 480, 70.0
PROGRAMME = ("open", "point", "two", "open", "pinch", "fist", "four", "rest")
"""The pose families that the loop goes through."""
SEED = 5

# Two cameras 24 cm apart, turned towards each other by 33 degrees and rolled a little.
R_RIGHT_FROM_LEFT = rotations.from_vector(np.array([0.06, 0.56, 0.08]))
RIGHT_IN_LEFT_MM = np.array([240.0, 12.0, 55.0])
_MIDDLE_MM = np.array([85.0, 10.0, 430.0])
"""Around which the hand moves, left camera's axes."""


def truth(captured_ns: int) -> np.ndarray:
    """(21, 3) joints in mm in the left camera's axes at a capture time."""
    return _JOINTS_MM[_frame(captured_ns)]


def _frame(captured_ns: int) -> int:
    return round(captured_ns / PERIOD_NS) % FRAMES


def _motion(model: HandModel) -> tuple[PosedHand, np.ndarray, np.ndarray]:
    """The loop: hands in hand axes (FRAMES of them), R_left_from_hand (FRAMES, 3, 3), wrists in mm (FRAMES, 3)."""
    phase = np.arange(FRAMES) / FRAMES
    stop = phase * len(PROGRAMME)
    first, share = stop.astype(int), stop % 1
    # Poses are held for a moment and changed smoothly in between.
    share = np.clip((share - 0.25) / 0.75, 0, 1)
    share = torch.tensor(share * share * (3 - 2 * share), dtype=torch.float32)
    keys = family_pose([list(FAMILIES).index(name) for name in PROGRAMME], model)

    def between(values: torch.Tensor) -> torch.Tensor:
        mix = share.view(-1, *[1] * (values.ndim - 1))
        return values[first] * (1 - mix) + values[(first + 1) % len(PROGRAMME)] * mix

    pose = HandPose(between(keys.flex), between(keys.spread), between(keys.twist), between(keys.wrist))
    hands = model.pose(torch.zeros(FRAMES, model.components), pose)
    turn = 2 * np.pi * phase
    # The back of a right hand, fingers up, swinging about all three axes.
    upright = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])
    swing = np.stack([0.35 * np.sin(turn) - 0.2, 0.75 * np.sin(2 * turn + 0.7), 0.4 * np.sin(turn + 2)], 1)
    rotation = rotations.from_vector(swing) @ upright
    path = np.stack([55 * np.sin(turn), 30 * np.sin(2 * turn), 40 * np.cos(turn)], 1)
    middle = (rotation @ hands.joints[:, 9].numpy()[..., None])[..., 0] * DEFAULT_HAND_SIZE_MM
    return hands, rotation, _MIDDLE_MM + path - middle / 2


_MODEL = HandModel.load()
_HANDS, _TURNS, _WRISTS_MM = _motion(_MODEL)
_JOINTS_MM = _HANDS.joints.numpy() @ _TURNS.transpose(0, 2, 1) * DEFAULT_HAND_SIZE_MM + _WRISTS_MM[:, None]


class SyntheticSource:
    """One of the two cameras: 640×480 at 30 Hz. Drawing the loop takes some seconds, on construction."""

    fov_deg = FOV_DEG

    def __init__(self, view: View):
        self.camera = PinholeCamera.from_fov(WIDTH, HEIGHT, FOV_DEG)
        self._images = _draw(view, self.camera)

    def frames(self, start_ns: int, *, paced: bool) -> Iterator[tuple[int, int, np.ndarray]]:
        """(seq, captured_ns, image (480, 640, 3) uint8 RGB) without end; unpaced, as fast as they are taken."""
        tick = -(-start_ns // PERIOD_NS)
        seq = 0
        while True:
            captured_ns = tick * PERIOD_NS
            if paced:
                late_ns = time.monotonic_ns() - captured_ns
                if late_ns < 0:
                    time.sleep(-late_ns / 1e9)
                elif late_ns > PERIOD_NS:
                    # A camera does not wait for a slow host: the frames in between are gone.
                    missed = late_ns // PERIOD_NS
                    tick, seq = tick + missed, seq + missed
                    continue
            yield seq, captured_ns, self._images[_frame(captured_ns)]
            tick, seq = tick + 1, seq + 1


def _draw(view: View, camera: PinholeCamera) -> np.ndarray:
    """(FRAMES, 480, 640, 3) uint8 RGB: the loop as one camera sees it."""
    import cv2

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED)
    look, lights = _look(generator), _lights(view)
    place = _place(view)
    empty = _picture(place)
    images = np.empty((FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    turn, shift = _from_left(view)
    for number in range(FRAMES):
        skin = _HANDS.vertices[number].numpy() @ _TURNS[number].T * DEFAULT_HAND_SIZE_MM + _WRISTS_MM[number]
        seen = (skin - shift) @ turn.T / DEFAULT_HAND_SIZE_MM
        pixels = camera.project(seen)
        # Only the part of the picture where the hand is gets drawn.
        low = np.clip(np.floor(pixels.min(0)).astype(int) - 1, 0, (WIDTH - 1, HEIGHT - 1))
        high = np.clip(np.ceil(pixels.max(0)).astype(int) + 2, 1, (WIDTH, HEIGHT))
        # The renderer's soft effects work on blocks of four pixels.
        width, height = -(-np.maximum(high - low, 32) // 4) * 4
        drawn = render(
            _MODEL,
            torch.tensor(seen[None], dtype=torch.float32),
            torch.tensor((pixels - low)[None], dtype=torch.float32),
            (int(height), int(width)),
            look,
            lights,
            samples=1,
            per_vertex=True,
        )
        area = (slice(low[1], low[1] + height), slice(low[0], low[0] + width))
        window = place[area]
        shape = window.shape[:2]
        alpha = drawn.alpha[0, 0, : shape[0], : shape[1], None].numpy()
        light = drawn.light[0, :, : shape[0], : shape[1]].permute(1, 2, 0).numpy()
        images[number] = empty
        # A lens's softness in place of many samples a pixel.
        images[number][area] = cv2.GaussianBlur(_picture(window * (1 - alpha) + light * alpha), (0, 0), 0.8)
    torch.set_num_threads(threads)
    return images


def _picture(light: np.ndarray) -> np.ndarray:
    """uint8 sRGB of linear light."""
    return (np.clip(light, 0, 1) ** np.float32(1 / 2.2) * 255 + 0.5).astype(np.uint8)


def _from_left(view: View) -> tuple[np.ndarray, np.ndarray]:
    """R_view_from_left (3, 3) and the camera's place in mm, left camera's axes."""
    return PerView((np.eye(3), np.zeros(3)), (R_RIGHT_FROM_LEFT, RIGHT_IN_LEFT_MM))[view]


def _look(generator: torch.Generator) -> Appearance:
    """One person's hand: bare arm, natural nails, medium tone."""
    return replace(
        sample_appearance(1, generator, torch.device("cpu")),
        tone=torch.tensor([4.0]),
        tint=torch.ones(1, 3),
        blotch=torch.tensor([[0.06, 0.3, 0.6, 0.8]]),
        nail=torch.tensor([[0.72, 0.44, 0.38]]),
        cloth=linear(torch.tensor([[[0.2, 0.28, 0.4], [0.25, 0.33, 0.45]]])),
        sleeve=torch.tensor([-1.0]),
        looseness=torch.tensor([0.03]),
        band=torch.tensor([[0.0, -1.0]]),
        gloss=torch.tensor([[0.12, 18.0]]),
        flush=torch.tensor([0.4]),
        ring=torch.tensor([-1.0]),
    )


def _lights(view: View) -> Lights:
    """A window at the left and a lamp above, the same for both cameras."""
    turn = torch.tensor(_from_left(view)[0], dtype=torch.float32)
    towards = torch.nn.functional.normalize(torch.tensor([[-0.6, -0.7, -0.6], [0.5, -1.0, 0.1], [0.0, -1.0, 0.0]]), dim=1)
    colour = torch.tensor([[0.95, 0.97, 1.05], [0.35, 0.3, 0.25], [0.0, 0.0, 0.0]])
    up = turn @ torch.tensor([0.0, -1.0, 0.0])
    return Lights((towards @ turn.T)[None], colour[None], torch.full((1, 3), 0.35), torch.full((1, 3), 0.18), up[None])


def _place(view: View) -> np.ndarray:
    """(480, 640, 3) linear light: a plain wall, lit from one side, above a wooden desk, out of focus."""
    import cv2

    edge = PerView(330, 360)[view]
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    wall = np.array([0.36, 0.39, 0.42]) * (0.45 + 0.6 * PerView(1 - x / WIDTH, 0.6 - 0.4 * x / WIDTH)[view])[..., None]
    grain = 1 + 0.12 * np.sin(y * 0.35 + 2 * np.sin(x * 0.013)) + 0.08 * np.sin(y * 0.9 + np.sin(x * 0.03))
    desk = np.array([0.24, 0.15, 0.09]) * (grain * (0.7 + 0.5 * (y - edge) / HEIGHT))[..., None]
    picture = np.where((y > edge + 0.06 * x)[..., None], desk, wall).astype(np.float32)
    # A picture on the wall and a book on the desk, so that there is something to look at.
    cv2.rectangle(picture, (60, 50), (190, 150), (0.10, 0.16, 0.22), -1)
    cv2.rectangle(picture, (70, 60), (180, 140), (0.45, 0.40, 0.30), -1)
    cv2.fillConvexPoly(picture, np.array([[430, 440], [560, 425], [590, 465], [450, 479]]), (0.30, 0.05, 0.05))
    return cv2.GaussianBlur(picture, (0, 0), 2.5)
