"""Rendered frame pairs of two cameras with ground truth, to evaluate adaptation on a stream.

`capture.sources.synthetic` is one fixed stream; here cameras, person, motion, light and backgrounds are sampled.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from tqdm import tqdm

from capture.frames import Frame, FramePair
from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.joints import DEFAULT_HAND_SIZE_MM, unit_hand
from hand.model import HandModel
from hand.synth.appearance import Appearance, sample_appearance
from hand.synth.backgrounds import Backgrounds
from hand.synth.light import Lights
from hand.synth.render import render
from hand.synth.sleeves import sleeved
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import Side
from tools.evaluate.motion import PALM_MM, sample_path, smooth_poses
from tools.evaluate.two_views import Rig
from tools.make.headset_picture import Room

_PLACE_SIDE = 160
"""Side of the pictures that places are made of, px: what is behind hands is out of focus."""
_MARGIN_PX = 2
NO_BEND = PerView(0.0, 0.0)
"""Lenses without distortion."""
_FARTHEST_BEND = 0.2
"""Most by which a lens stretches or shrinks an image, as a share of the distance from its middle."""
_NOISE_SHIFT = 64
_NOISE = 0.012
"""Of the sensors; standard deviation, of 1."""


@dataclass(frozen=True, slots=True)
class SyntheticStream:
    """Frame pairs of two cameras, and the true hand."""

    rig: Rig
    pairs: list[FramePair]
    joints_mm: np.ndarray
    """(N, 21, 3) true joints, left camera's axes."""
    radial: PerView[float] = NO_BEND
    """Each lens's radial distortion, as in `distorted`."""

    @property
    def pixels(self) -> PerView[np.ndarray]:
        """(N, 21, 2) where each view's frames show the true joints."""
        seen = self.rig.geometry.in_view_axes(self.joints_mm)
        return PerView.of(lambda view: distorted(self.rig.geometry.cameras[view], seen[view], self.radial[view]))

    @property
    def truth(self) -> PerView[np.ndarray]:
        """(N, 21, 3) true unit hands in each camera's axes."""
        return self.rig.geometry.in_view_axes(self.joints_mm).map(unit_hand)

    def number(self, captured_ns: int) -> int:
        """Of the pair that was captured then."""
        times = np.array([pair.left.captured_ns for pair in self.pairs])
        return int(np.argmin(np.abs(times - captured_ns)))


@dataclass(frozen=True, slots=True)
class _Scene:
    """What all frames of a view share."""

    model: HandModel
    look: Appearance
    lights: Lights
    place: np.ndarray
    """(H, W, 3) linear light behind the hand."""
    picture: np.ndarray
    """(H, W, 3) the same, as an image in [0, 1]."""
    noise: np.ndarray
    """(H + N, W + N, 3) of the sensor; each frame has another part of it."""


def render_stream(
    rng: np.random.Generator,
    rig: Rig,
    seconds: float,
    fps: float = 15.0,
    *,
    model: HandModel | None = None,
    texture: int | None = None,
    backgrounds: Backgrounds | None = None,
    start_ns: int = 1_000_000_000,
    radial: PerView[float] = NO_BEND,
    motion: float = 1.0,
    side: Side = "right",
) -> SyntheticStream:
    """A hand of a random person moves before the cameras of `rig`; `model` and `texture` as for `CropRenderer`.

    `radial`: the lenses' distortion, as in `distorted`. `motion`: how far the hand turns and travels, 1 as if it were shown to
    the cameras. A left hand is the mirrored stream of a right one, its rig mirrored too.
    """
    model = model or HandModel.load()
    backgrounds = backgrounds or Backgrounds.load(None, "held_out")
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
    count = round(seconds * fps)
    look = sample_appearance(1, generator, torch.device("cpu"), 1 if texture is None else texture)
    shape = torch.randn(1, model.components, generator=generator).expand(count, -1)
    hands = model.pose(shape, smooth_poses(generator, count, fps, model))
    R, path = sample_path(rng, count, fps, motion)
    room = Room.random(rng)

    def in_left(points: torch.Tensor) -> np.ndarray:
        """(N, P, 3) mm, left camera's axes, from hand axes, unit hands."""
        moved = (points.double().numpy() * DEFAULT_HAND_SIZE_MM - PALM_MM) @ R.swapaxes(1, 2) + path[:, None]
        return rig.in_left(moved)

    joints_mm = in_left(hands.joints)
    skin = torch.cat([sleeved(one[None], model, look) for one in hands.vertices])
    skin_mm = rig.geometry.in_view_axes(in_left(skin))
    R_camera_from_space = PerView(rig.R_left_from_space, rig.geometry.R_right_from_left @ rig.R_left_from_space)
    captured_ns = [start_ns + round(number * 1e9 / fps) for number in range(count)]

    def frames(view: View) -> list[Frame]:
        width, height = rig.geometry.cameras[view].size_px
        place = _place(backgrounds, width, height, generator)
        noise = _NOISE * rng.standard_normal((height + _NOISE_SHIFT, width + _NOISE_SHIFT, 3), np.float32)
        scene = _Scene(model, look, room.seen(R_camera_from_space[view]), place, _exposed(place), noise)
        drawn = []
        for number in tqdm(range(count), desc=f"rendering the {view} view", unit="frame", leave=False, disable=None):
            pixels = distorted(rig.geometry.cameras[view], skin_mm[view][number], radial[view])
            image = _take(scene, skin_mm[view][number], pixels, rng)
            image.flags.writeable = False
            drawn.append(Frame(view, number, captured_ns[number], captured_ns[number], image))
        return drawn

    pairs = [FramePair(left, right) for left, right in zip(*PerView.of(frames), strict=True)]
    stream = SyntheticStream(rig, pairs, joints_mm, radial)
    return stream if side == "right" else mirrored(stream)


def distorted(camera: PinholeCamera, points: np.ndarray, radial: float) -> np.ndarray:
    """Pixels (..., 2) of points (..., 3), camera's axes, through a lens with the radial coefficient k1 of OpenCV.

    Far outside of the picture the distortion stays what it is at `_FARTHEST_BEND`, so that nothing is folded back into it.
    """
    if radial == 0:
        return camera.project(points)
    sight = points[..., :2] / points[..., 2:]
    bend = np.clip(radial * (sight**2).sum(-1, keepdims=True), -_FARTHEST_BEND, _FARTHEST_BEND)
    return sight * (1 + bend) * camera.focal_px + np.asarray(camera.centre_px)


def mirrored(stream: SyntheticStream) -> SyntheticStream:
    """The stream as in a mirror: a hand becomes one of the other side, before cameras that are mirrored too."""
    mirror = np.array([-1.0, 1.0, 1.0])
    rig, g = stream.rig, stream.rig.geometry

    def camera(of_view: PinholeCamera) -> PinholeCamera:
        return replace(of_view, centre_px=(of_view.size_px[0] - 1 - of_view.centre_px[0], of_view.centre_px[1]))

    def frame(one: Frame) -> Frame:
        image = np.ascontiguousarray(one.image[:, ::-1])
        image.flags.writeable = False
        return replace(one, image=image)

    geometry = TwoViewGeometry(
        g.cameras.map(camera), mirror[:, None] * g.R_right_from_left * mirror, mirror * g.t_right_from_left_mm
    )
    there = replace(
        rig,
        geometry=geometry,
        R_left_from_space=mirror[:, None] * rig.R_left_from_space * mirror,
        t_left_from_space_mm=mirror * rig.t_left_from_space_mm,
    )
    pairs = [FramePair(frame(pair.left), frame(pair.right)) for pair in stream.pairs]
    return SyntheticStream(there, pairs, stream.joints_mm * mirror, stream.radial)


def _place(backgrounds: Backgrounds, width: int, height: int, generator: torch.Generator) -> np.ndarray:
    crop = backgrounds.crops(1, _PLACE_SIDE, generator)[0].permute(1, 2, 0).numpy()
    scale = max(width, height) / _PLACE_SIDE
    grown = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)[:height, :width]
    return cv2.GaussianBlur(grown, (0, 0), scale).clip(0) * np.float32(0.7)


def _take(scene: _Scene, skin_mm: np.ndarray, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8 RGB."""
    image = scene.picture.copy()
    height, width = image.shape[:2]
    in_front = pixels[skin_mm[:, 2] > 0.1 * DEFAULT_HAND_SIZE_MM]
    if len(in_front):
        low = np.clip(np.floor(in_front.min(0)).astype(int) - _MARGIN_PX, 0, (width, height))
        high = np.clip(np.ceil(in_front.max(0)).astype(int) + _MARGIN_PX, 0, (width, height))
        if (high > low).all():
            _paint(image, scene, skin_mm, pixels - low, low, high - low)
    x, y = rng.integers(0, _NOISE_SHIFT, 2)
    image += scene.noise[y : y + height, x : x + width]
    return (image.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _paint(image: np.ndarray, scene: _Scene, skin_mm: np.ndarray, pixels: np.ndarray, low: np.ndarray, size: np.ndarray) -> None:
    """Paint the hand into a window of the image at `low` (2,) of `size` (2,); `pixels` (V, 2) in the window."""
    # The renderer's soft effects work on blocks of four pixels.
    across, down = (-(-np.maximum(size, 32) // 4) * 4).tolist()
    drawn = render(
        scene.model,
        torch.tensor(skin_mm[None] / DEFAULT_HAND_SIZE_MM, dtype=torch.float32),
        torch.tensor(pixels[None], dtype=torch.float32),
        (down, across),
        scene.look,
        scene.lights,
        samples=1,
        per_vertex=True,
    )
    area = (slice(low[1], low[1] + down), slice(low[0], low[0] + across))
    window = scene.place[area]
    alpha = drawn.alpha[0, 0, : window.shape[0], : window.shape[1], None].numpy()
    hand = drawn.light[0, :, : window.shape[0], : window.shape[1]].permute(1, 2, 0).numpy()
    image[area] = _exposed(cv2.GaussianBlur(window * (1 - alpha) + hand * alpha, (0, 0), 0.8))


def _exposed(light: np.ndarray) -> np.ndarray:
    """An image in [0, 1] of linear light."""
    return light.clip(0, 1) ** np.float32(1 / 2.2)
