"""How long drawing, merging, fitting and skinning a hand takes: parts of `python -m tools.bench`."""

import numpy as np

from capture.views import PerView
from tools.bench.timed import Make, Timed


def make_draw() -> Timed:
    from hand.synth.backgrounds import Backgrounds
    from hand.synth.crops import CropRenderer

    renderer = CropRenderer(64, Backgrounds.load(None, "train"), 0)
    return Timed(lambda: renderer.render(16), 16, "one rendered training image, 64 px")


def make_rotation() -> Timed:
    from runtime.geometry.rotation_estimator import RotationEstimator

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
    return Timed(update, 1, "one update of the rotation, buffer full")


def make_fit() -> Timed:
    from hand.joints import DEFAULT_HAND_SIZE_MM, unit_hand
    from runtime.fusion.hand_fit import HandFit
    from runtime.fusion.joint_limits import BONES_FROM_JOINTS
    from tools.evaluate.motion import sample_motion
    from tools.evaluate.two_views import observe, sample_rig

    random = np.random.default_rng(0)
    seen = observe(random, sample_rig(random, 60), sample_motion(random, 10))
    bones = np.linalg.norm(BONES_FROM_JOINTS @ unit_hand(seen.joints_mm), axis=2).mean(0)
    fit = HandFit(seen.rig.geometry, bones, DEFAULT_HAND_SIZE_MM)
    pairs = [pair for pair in seen.pairs if pair is not None]
    count = iter(range(10**9))

    def update() -> None:
        number = next(count)
        left, right = pairs[number % len(pairs)]
        fit(number * 33_000_000, PerView(left, right))

    return Timed(update, 1, "one hand fitted to both views")


def make_skin() -> Timed:
    from hand.model import HandModel
    from runtime.view.skin import Skin

    model = HandModel.load()
    skin, joints = Skin(model), model.joints.numpy()
    return Timed(lambda: skin.vertices(joints, "right"), 1, "the merged hand's skin")


PARTS: dict[str, Make] = {"draw": make_draw, "rotation": make_rotation, "fit": make_fit, "skin": make_skin}
