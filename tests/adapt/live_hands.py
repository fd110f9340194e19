"""Hands of a drawn stream as live adaptation is sent them, by a network that looks where they are; and what is true of them."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from adapt.core.label_crops import crop_camera
from adapt.online.live_pairs import Cameras, LivePair
from capture.views import PerView
from hand.joints import DEFAULT_HAND_SIZE_MM, unit_hand
from hand.synth.backgrounds import Backgrounds
from runtime.calibration.keyframes import Keyframe
from runtime.calibration.self_calibrator import mean_bone_lengths
from runtime.engines.torch_engine import TorchEngine
from runtime.estimators.crop import HandCrop
from runtime.estimators.crop_prediction import CropRequest, predict_crops
from runtime.estimators.framing import Framing
from runtime.fusion.hand_fit import FitSettings, HandFit
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest
from runtime.types import HandBox
from tools.evaluate.synthetic_stream import SyntheticStream, render_stream
from tools.evaluate.two_views import sample_rig


@cache
def _backgrounds() -> Backgrounds:
    return Backgrounds.load(None, "held_out")


@dataclass(frozen=True, slots=True)
class LiveHands:
    """A stream's hands."""

    cameras: Cameras
    """As they are."""
    pairs: list[LivePair]
    truth: PerView[np.ndarray]
    """(N, 21, 3) true unit hands of the pairs, in each camera's axes."""
    widths_px: PerView[int]


def drawn(seed: int, seconds: float, fps: float = 10.0, angle_deg: float = 60.0) -> SyntheticStream:
    rng = np.random.default_rng(seed)
    rig = sample_rig(rng, angle_deg, PerView(60.0, 60.0))
    return render_stream(rng, rig, seconds, fps, backgrounds=_backgrounds())


def seen(stream: SyntheticStream, network: HandNetwork, manifest: Manifest) -> LiveHands:
    """All of a stream's hands that lie in both pictures."""
    engine, framing = TorchEngine(network, manifest, device="cpu"), Framing.of(manifest)
    geometry = stream.rig.geometry
    cameras = Cameras(geometry, mean_bone_lengths(), DEFAULT_HAND_SIZE_MM)
    fit = HandFit(geometry, cameras.bones, DEFAULT_HAND_SIZE_MM, FitSettings(motion=None))
    pixels = geometry.project(stream.joints_mm)
    pairs, numbers = [], []
    for number, pair in enumerate(stream.pairs):

        def place(view, number=number, pair=pair):
            roll_deg = framing.standing(pixels[view][number])
            centre, side_px = framing.box(pixels[view][number], roll_deg)
            box = HandBox(view, "right", (float(centre[0]), float(centre[1])), side_px, 1.0, roll_deg)
            return CropRequest(box, geometry.cameras[view], pair[view].image)

        left, right = (answer.hand for answer in predict_crops(engine, list(PerView.of(place))))
        fitted = fit(number, PerView(left, right))
        known = Keyframe.of(pair.left.captured_ns, PerView(left, right))
        if fitted is None or known is None:
            continue

        def crop(view, fitted=fitted, pair=pair):
            camera = crop_camera(fitted.pixels[view], "right", geometry.cameras[view], manifest.crop_size, framing)
            return HandCrop(view, "right", camera, camera.cut(pair[view].image))

        pairs.append(LivePair(known.captured_ns, known.hands, known.sigma_px, PerView.of(crop)))
        numbers.append(number)
    truth = stream.truth.map(lambda hands: hands[numbers])
    return LiveHands(cameras, pairs, truth, geometry.cameras.map(lambda camera: camera.size_px[0]))


@torch.inference_mode()
def true_error(network: HandNetwork, manifest: Manifest, hands: LiveHands) -> float:
    """Mean distance of both views' own hands from the truth, hands."""

    def of(view) -> float:
        crops = [pair.crops[view] for pair in hands.pairs]
        told = network(torch.from_numpy(np.stack([crop.image for crop in crops]))).joints.double().numpy()
        turned = np.stack([crop.camera.joints_in_frame(joints) for crop, joints in zip(crops, told, strict=True)])
        return float(np.linalg.norm(unit_hand(turned) - hands.truth[view], axis=-1).mean())

    return sum(PerView.of(of)) / 2
