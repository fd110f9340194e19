"""How long the parts take on this machine: `python -m tools.bench`, or some of them: `python -m tools.bench draw network`.

One thread, save where a line says otherwise. Medians over interleaved rounds, so that a busy moment hits all parts alike; compare
ratios within one run.
"""

import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import tyro

from capture.views import VIEWS, PerView, View
from hand.errors import UserError

if TYPE_CHECKING:
    from adapt.targets import Seen
    from capture.synthetic import SyntheticSource
    from hand.camera import PinholeCamera
    from runtime.estimator import Estimator

Part = Literal[
    "draw", "network", "locator", "crop", "detnet-lite", "mediapipe", "mediapipe-lite", "rotation", "fit", "skin", "adapt"
]
_ROWS = {"adapt": ("adapt-labels", "adapt-step", "adapt-published")}
"""Parts of which several things are timed."""
ADAPT_BATCH = 64
"""Pairs that adaptation learns from in one step."""


@dataclass
class Settings:
    """Time the parts."""

    parts: tyro.conf.Positional[tuple[Part, ...]] = get_args(Part)
    rounds: int = 15


def make_draw() -> tuple[Callable[[], object], int, str]:
    from hand.backgrounds import Backgrounds
    from hand.draw import Drawer

    drawer = Drawer(64, Backgrounds.load(None, "train"), 0)
    return lambda: drawer.draw(16), 16, "one drawn training picture, 64 px"


def make_network() -> tuple[Callable[[], object], int, str]:
    from runtime.engine import choose_engine
    from runtime.weights import DEFAULT_WEIGHTS

    engine = choose_engine("auto", DEFAULT_WEIGHTS)
    size = engine.manifest.crop_size
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    return lambda: engine(images), 1, f"both views' crops through {engine.manifest.architecture} ({engine.description})"


def make_locator() -> tuple[Callable[[], object], int, str]:
    from runtime.locator import load_locator

    locate = load_locator()
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    return lambda: locate(image, "left"), 1, "one frame of 640×480 through the locator"


def make_crop() -> tuple[Callable[[], object], int, str]:
    from hand.camera import PinholeCamera
    from runtime.crop import HandCrop
    from runtime.types import HandBox

    image = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    camera = PinholeCamera.from_fov(1280, 720)
    box = HandBox("left", "right", (700.0, 300.0), 280.0, 1.0)
    return lambda: HandCrop.cut(box, camera, image, 64), 1, "one crop of 280 px out of a 720p frame"


def make_estimator(load: "Callable[[PerView[PinholeCamera]], Estimator]") -> tuple[Callable[[], object], int, str]:
    """`load` gives the estimator of these cameras."""
    from capture.frames import Frame, FramePair
    from capture.synthetic import FRAMES, SyntheticSource

    def taken(view: View) -> list[Frame]:
        shown = _shown[view].frames(0, paced=False)
        return [Frame(view, seq, now, now, image) for seq, now, image in itertools.islice(shown, FRAMES)]

    if not _shown:
        _shown.update({view: SyntheticSource(view) for view in VIEWS})
    cameras = PerView.of(lambda view: _shown[view].camera)
    estimator = load(cameras)
    pairs = itertools.cycle([FramePair(*both) for both in zip(*PerView.of(taken), strict=True)])
    return lambda: estimator(next(pairs), cameras), 1, f"both views' joints in a pair of 640×480, {estimator.description}"


_shown: "dict[View, SyntheticSource]" = {}
"""Drawing the synthetic cameras takes seconds: once is enough."""


def make_detnet_lite() -> tuple[Callable[[], object], int, str]:
    from runtime.crop_estimator import CropEstimator
    from runtime.engine import choose_engine
    from runtime.locator import load_locator

    return make_estimator(
        lambda cameras: CropEstimator(choose_engine(threads=1), load_locator(), cameras.map(lambda camera: camera.size_px))
    )


def make_mediapipe() -> tuple[Callable[[], object], int, str]:
    from runtime.mediapipe import load_mediapipe

    return make_estimator(lambda cameras: load_mediapipe("mediapipe"))


def make_mediapipe_lite() -> tuple[Callable[[], object], int, str]:
    from runtime.mediapipe import load_mediapipe

    return make_estimator(lambda cameras: load_mediapipe("mediapipe-lite"))


def make_rotation() -> tuple[Callable[[], object], int, str]:
    from runtime.rotation import RotationEstimator

    random = np.random.default_rng(0)
    estimator = RotationEstimator()
    hands = random.normal(size=(400, 2, 21, 3))
    count = iter(range(10**9))

    def update() -> None:
        number = next(count)
        left, right = hands[number % len(hands)]
        estimator.update(number * 33_000_000, left, right, np.ones(21))

    for _ in range(200):
        update()
    return update, 1, "one update of the rotation, buffer full"


def make_fit() -> tuple[Callable[[], object], int, str]:
    from hand.joints import unit_hand
    from runtime.fit import HandFit
    from runtime.joint_limits import BONES_FROM_JOINTS
    from tools.losses import HAND_MM
    from tools.two_views import observe, sample_motion, sample_rig

    random = np.random.default_rng(0)
    seen = observe(random, sample_rig(random, 60), sample_motion(random, 10))
    bones = np.linalg.norm(BONES_FROM_JOINTS @ unit_hand(seen.joints_mm), axis=2).mean(0)
    fit = HandFit(seen.rig.geometry, bones, HAND_MM)
    pairs = [pair for pair in seen.pairs if pair is not None]
    count = iter(range(10**9))

    def update() -> None:
        number = next(count)
        left, right = pairs[number % len(pairs)]
        fit(number * 33_000_000, PerView(left, right))

    return update, 1, "one hand fitted to both views"


def make_skin() -> tuple[Callable[[], object], int, str]:
    from hand.model import HandModel
    from runtime.skin import Skin

    model = HandModel.load()
    skin, joints = Skin(model), model.joints.numpy()
    return lambda: skin.vertices(joints, "right"), 1, "the merged hand's skin"


def make_adapt_labels() -> tuple[Callable[[], object], float, str]:
    import torch

    from adapt.rotation import batch_rotation
    from adapt.targets import Recipe, delta_target, location_target, pseudo_labels

    seen, R = _seen(ADAPT_BATCH), torch.eye(3)

    def labels() -> None:
        made = pseudo_labels(seen, R, 0, Recipe())
        batch_rotation(made.rooted, made.weight)
        made.joints.map(lambda joints: (location_target(joints, 0), delta_target(joints)))

    return labels, 1, f"pseudo-labels, targets and rotation of {ADAPT_BATCH} pairs"


def make_adapt_step() -> tuple[Callable[[], object], float, str]:
    import torch

    from adapt.pairs import CropPairs
    from adapt.session import Adaptation
    from runtime.weights import DEFAULT_WEIGHTS, load_network

    network, manifest = load_network(DEFAULT_WEIGHTS)
    timed = ADAPT_BATCH // 4
    shape = (timed, manifest.crop_size, manifest.crop_size, 3)
    images = PerView.of(lambda view: torch.randint(0, 256, shape, dtype=torch.uint8))
    pairs = CropPairs(images, PerView.of(lambda view: torch.eye(3).expand(timed, 3, 3)), torch.zeros(timed, dtype=torch.bool))
    adaptation = Adaptation(network, manifest, R_right_from_left=np.eye(3))
    what = f"a whole step of {manifest.architecture} on {ADAPT_BATCH} pairs, timed on {timed}"
    return lambda: adaptation.step(pairs), timed / ADAPT_BATCH, what


def make_adapt_published() -> tuple[Callable[[], object], float, str]:
    try:
        from scipy.optimize import minimize  # pyright: ignore[reportMissingImports] (extra "make")
    except ImportError as error:
        raise UserError("the published refinement needs scipy, which the extra 'make' brings: pip install scipy") from error

    from hand.rotations import align

    timed = 2
    joints = _seen(timed).joints.map(lambda x: x.double().numpy())

    def refine(left: np.ndarray, right: np.ndarray) -> None:
        def objective(x: np.ndarray) -> float:
            moved = x.reshape(2, -1, 3)
            return float(((align(moved[0], moved[1]) - np.eye(3)) ** 2).sum())

        minimize(objective, np.stack([left, right]).ravel(), method="BFGS", options={"maxiter": 20})

    what = f"the published refinement alone (BFGS, numeric gradients) of {ADAPT_BATCH} pairs, timed on {timed}"
    return lambda: [refine(*pair) for pair in zip(*joints, strict=True)], timed / ADAPT_BATCH, what


def _seen(count: int) -> "Seen":
    """So many hands as a network sees them in two cameras that stand alike, 0.1 hands off."""
    import torch

    from adapt.targets import Seen
    from hand.joints import unit_hand
    from tools.two_views import sample_motion

    random = np.random.default_rng(0)
    motion = np.resize(unit_hand(sample_motion(random, 10)), (count, 21, 3))
    joints = PerView.of(lambda view: torch.tensor(motion + random.normal(0, 0.1, motion.shape), dtype=torch.float32))
    confidence = PerView.of(lambda view: torch.rand(count, 21, generator=torch.Generator().manual_seed(len(view))))
    return Seen(joints, confidence, confidence.map(lambda sure: sure >= 0.1))


def main(settings: Settings) -> None:
    import torch

    torch.set_num_threads(1)
    makers = {name: globals()[f"make_{name.replace('-', '_')}"] for part in settings.parts for name in _ROWS.get(part, (part,))}
    parts = {}
    for name, make in makers.items():
        try:
            parts[name] = make()
        except UserError as error:
            print(f"{name}: {error}")
    spent: dict[str, list[float]] = {name: [] for name in parts}
    for number in range(settings.rounds + 2):
        for name, (run, units, _) in parts.items():
            started = time.perf_counter()
            run()
            # The first two rounds warm up.
            if number >= 2:
                spent[name].append((time.perf_counter() - started) / units * 1e3)
    for name, (_, _, what) in parts.items():
        median, p90 = np.percentile(spent[name], [50, 90])
        print(f"{name:14} {median:8.2f} ms  (p90 {p90:.2f})  {what}")


if __name__ == "__main__":
    try:
        if sys.argv[1:2] == ["transport"]:
            # Both ends of it are processes of their own, timed in another way than parts are.
            from tools import bench_transport

            bench_transport.main(tyro.cli(bench_transport.Settings, args=sys.argv[2:]))
            sys.exit()
        main(tyro.cli(Settings))
    except UserError as error:
        raise SystemExit(str(error)) from None
