"""Rendered rigs: two cameras of any sort watch a drawn hand, and real estimators find it; each is rendered once and kept.

Lenses bend, principal points are off the middle, hands are left and right and move little or much. A rig's landmarks stay in
a file whose name tells by a digest what made it, so an interrupted run goes on, and other settings make other files.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.synth.backgrounds import Backgrounds
from runtime.estimators.registry import EstimatorName, EstimatorOptions, LoadedEstimator, load_estimator
from runtime.types import Side
from tools.evaluate.streams.landmarks import Landmarks, Truth
from tools.evaluate.synthetic_stream import SyntheticStream, render_stream
from tools.evaluate.two_views import Rig, sample_rig

VERSION = 1
"""Of the pictures: to be raised with every change after which a seed gives others."""
BEND_MEAN, BEND_SPREAD, BEND_LIMIT = -0.02, 0.025, 0.08
"""By how much lenses stretch the image at its left and right rims, as a share: mostly barrels, as webcams' are."""
OFF_CENTRE = 0.006
"""Standard deviation of principal points about the middle, image widths."""
MOTION = (0.3, 1.0)
"""How far hands turn and travel, as a share of a hand that is shown to the cameras."""


@dataclass(frozen=True, slots=True)
class RenderSettings:
    """What the pictures of a rig depend on, besides its number."""

    seed: int = 0
    seconds: float = 10.0
    fps: float = 15.0
    width: int = 480
    """Of the frames, px; they are 4:3."""


@dataclass(frozen=True, slots=True)
class RigPlan:
    """One rig to be rendered."""

    rig: Rig
    """As for a right hand."""
    radial: PerView[float]
    motion: float
    side: Side


def plan(settings: RenderSettings, number: int) -> tuple[RigPlan, np.random.Generator]:
    """Rig `number`, and what its pictures are drawn with."""
    rng = np.random.default_rng([settings.seed, number, VERSION])
    rig = sample_rig(rng)
    width, height = settings.width, settings.width * 3 // 4

    def camera(view: View) -> PinholeCamera:
        ideal = PinholeCamera.from_fov(width, height, float(rig.fov_deg[view]))
        x, y = (np.array(ideal.centre_px) + rng.normal(0, OFF_CENTRE * width, 2)).tolist()
        return replace(ideal, centre_px=(x, y))

    def radial(view: View) -> float:
        bend = np.clip(rng.normal(BEND_MEAN, BEND_SPREAD), -BEND_LIMIT, BEND_LIMIT)
        return float(bend / np.tan(np.radians(rig.fov_deg[view] / 2)) ** 2)

    geometry = replace(rig.geometry, cameras=PerView.of(camera))
    bends = PerView.of(radial)
    side: Side = "left" if rng.random() < 0.5 else "right"
    return RigPlan(replace(rig, geometry=geometry), bends, float(rng.uniform(*MOTION)), side), rng


def draw(settings: RenderSettings, number: int, backgrounds: Backgrounds | None = None) -> tuple[SyntheticStream, Side]:
    """The pictures of rig `number`, and which hand they show."""
    one, rng = plan(settings, number)
    stream = render_stream(
        rng,
        one.rig,
        settings.seconds,
        settings.fps,
        backgrounds=backgrounds,
        radial=one.radial,
        motion=one.motion,
        side=one.side,
    )
    return stream, one.side


def estimate(stream: SyntheticStream, loaded: LoadedEstimator, name: str, side: Side) -> Landmarks:
    """What an estimator sees in a stream that knows nothing of its cameras."""
    sizes_px = stream.rig.geometry.cameras.map(lambda camera: camera.size_px)
    estimator, assumed = loaded.make(sizes_px), sizes_px.map(lambda size: PinholeCamera.from_fov(*size))
    hands = [estimator(pair, assumed) for pair in stream.pairs]
    captured_ns = np.array([pair.left.captured_ns for pair in stream.pairs])
    truth = Truth(stream.rig, stream.joints_mm, stream.pixels, stream.radial, side)
    return Landmarks.of(name, captured_ns, sizes_px, hands, truth)


@dataclass(frozen=True, slots=True)
class RenderedRigs:
    """A store of rendered rigs, as it may be told to another process."""

    folder: Path
    settings: RenderSettings
    estimators: tuple[EstimatorName, ...]

    def store(self) -> "RigStore":
        """The same one for all rigs of a process, since loading estimators takes a while. Raises UserError."""
        return _store(self)


@cache
def _store(asked: RenderedRigs) -> "RigStore":
    return RigStore(asked.folder, asked.settings, asked.estimators)


class RigStore:
    """A folder of landmark files, one for each rig and estimator."""

    def __init__(
        self,
        folder: Path,
        settings: RenderSettings,
        estimators: Sequence[EstimatorName],
        backgrounds: Backgrounds | None = None,
    ):
        """`backgrounds`: procedural ones if not given, the same on every machine. Raises UserError for settings that are no
        stream, and where an estimator cannot be loaded.
        """
        if settings.seconds * settings.fps < 2 or settings.width < 96:
            asked = f"{settings.seconds:g} s at {settings.fps:g} a second, {settings.width} px wide"
            raise UserError(f"{asked}, is no stream of pictures: expected two frames or more of at least 96 px")
        self.folder, self.settings = folder, settings
        self._loaded: dict[EstimatorName, LoadedEstimator] = {
            name: load_estimator(name, EstimatorOptions(threads=_threads(name))) for name in estimators
        }
        self._digests: dict[EstimatorName, str] = {name: _digest(settings, loaded) for name, loaded in self._loaded.items()}
        self._backgrounds = backgrounds

    def file(self, number: int, name: EstimatorName) -> Path:
        """Where the landmarks of a rig are, or will be."""
        return self.folder / f"rig-{number:04d}-{name}-{self._digests[name]}.npz"

    def make(self, number: int) -> bool:
        """Render a rig where an estimator's landmarks are missing; whether that was so. Raises UserError."""
        missing: list[EstimatorName] = [name for name in self._loaded if not self.file(number, name).is_file()]
        if not missing:
            return False
        self._backgrounds = self._backgrounds or Backgrounds.load(None, "held_out")
        stream, side = draw(self.settings, number, self._backgrounds)
        for name in missing:
            estimate(stream, self._loaded[name], name, side).save(self.file(number, name))
        return True

    def load(self, number: int, name: EstimatorName) -> Landmarks:
        """Raises UserError where they are missing."""
        return Landmarks.load(self.file(number, name))


def _threads(name: EstimatorName) -> int | None:
    # LiteRT takes no such option.
    return None if name.startswith("mediapipe") and name != "mediapipe-3d" else 1


def _digest(settings: RenderSettings, loaded: LoadedEstimator) -> str:
    weights = hashlib.sha256(loaded.weights.read_bytes()).hexdigest() if loaded.weights else ""
    made_by = [VERSION, asdict(settings), weights]
    return hashlib.sha256(msgspec.json.encode(made_by)).hexdigest()[:8]
