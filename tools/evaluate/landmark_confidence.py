"""Which expected error MediaPipe's landmarks have: `python -m tools.evaluate.landmark_confidence --hands 400`.

Renders hands of known joints, predicts them by MediaPipe's landmark model, and fits the expected error of
`runtime.networks.landmark_error` to the true one. Prints that file's constants, how well they rank errors of hands
that they were not fitted to (cross-validation), and, for hands off the middle of the picture, whether rotating the prediction
to the viewing ray helps.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

from hand import program
from hand.camera import PinholeCamera
from hand.joints import FINGER_MCPS, WRIST, unit_hand
from hand.rotations import align, angle_deg, between, from_vector
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer
from runtime.estimators.hand_landmarks import LandmarkModel, Landmarks, next_square
from runtime.estimators.landmark_confidence import error_indicators
from runtime.estimators.litert import Model
from runtime.estimators.mediapipe import MIN_PRESENCE
from runtime.estimators.uncertainty import px_per_hand
from runtime.networks.landmark_error import bone_lengths
from runtime.networks.mediapipe_files import LANDMARKS, model_file
from tools.train.backgrounds import DEFAULT_BANK

CROP_PX, BORDER_PX = 224, 64
FOLDS = 5
OFF_AXIS_DEG = 20.0


@dataclass
class Settings:
    """Fit the expected error of MediaPipe's landmarks."""

    hands: int = 400
    seed: int = 4_000_000
    backgrounds: Path | None = DEFAULT_BANK
    """Bank made by tools.train.backgrounds; 'None' for procedural backgrounds alone."""
    threads: int = 1


@dataclass(frozen=True, slots=True)
class LandmarkSample:
    """A synthetic hand, and the model's prediction."""

    joints: np.ndarray
    """(21, 3) true unit hand, camera axes."""
    pixels: np.ndarray
    """(21, 2) true."""
    camera: PinholeCamera
    predicted: Landmarks

    @property
    def error(self) -> np.ndarray:
        """(21,) distance of joints, hands."""
        return np.linalg.norm(unit_hand(self.predicted.world) - self.joints, axis=1)

    @property
    def pixel_error(self) -> np.ndarray:
        """(21,) distance of pixels, hands as large as this one is in the picture."""
        return np.linalg.norm(self.predicted.pixels - self.pixels, axis=1) / px_per_hand(self.joints, self.pixels)[0]


def draw(settings: Settings, model: LandmarkModel) -> tuple[list[LandmarkSample], list[LandmarkSample]]:
    """Hands in the middle of their pictures, and the same hands off the middle; only those that the model detects."""
    torch.set_num_threads(settings.threads)
    renderer = CropRenderer(CROP_PX, Backgrounds.load(settings.backgrounds, "held_out"), settings.seed, border=BORDER_PX)
    rng = np.random.default_rng(settings.seed)
    middle, off = [], []
    for _ in tqdm(range(settings.hands), unit="hands"):
        drawn = renderer.render(1)
        image, joints, pixels = drawn.images[0].numpy(), drawn.joints[0].double().numpy(), drawn.pixels[0].double().numpy()
        size = image.shape[0]
        camera = PinholeCamera(float(drawn.focal[0]), ((size - 1) / 2, (size - 1) / 2), (size, size))
        for sample, to in (
            (_predict(model, image, joints, pixels, camera), middle),
            (_predict(model, *_aside(rng, image, joints, camera, pixels)), off),
        ):
            if sample is not None:
                to.append(sample)
    return middle, off


def _predict(
    model: LandmarkModel, image: np.ndarray, joints: np.ndarray, pixels: np.ndarray, camera: PinholeCamera
) -> LandmarkSample | None:
    first = model(image, next_square(pixels))
    if first.presence < MIN_PRESENCE:
        return None
    predicted = model(image, next_square(first.pixels))
    return LandmarkSample(joints, pixels, camera, predicted) if predicted.presence >= MIN_PRESENCE else None


def _aside(
    rng: np.random.Generator, image: np.ndarray, joints: np.ndarray, camera: PinholeCamera, pixels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, PinholeCamera]:
    """Picture, joints and pixels of a camera that is rotated away from the hand; its picture shows the part around the hand."""
    direction = rng.uniform(0, 2 * np.pi)
    R = from_vector(np.radians(OFF_AXIS_DEG) * np.array([np.cos(direction), np.sin(direction), 0.0]))
    ahead = R[:, 2]
    x, y = (np.array(camera.centre_px) - camera.focal_px * ahead[:2] / ahead[2]).tolist()
    turned = PinholeCamera(camera.focal_px, (x, y), camera.size_px)
    H = turned.matrix @ R @ np.linalg.inv(camera.matrix)
    moved = np.column_stack([pixels, np.ones(len(pixels))]) @ H.T
    return cv2.warpPerspective(image, H, camera.size_px), joints @ R.T, moved[:, :2] / moved[:, 2:], turned


def fit(signs_: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(21,) typical errors and (3,) powers of log indicators (N, 3), as shares of the usual, and errors (N, 21), hands."""
    logs = np.log(np.maximum(errors[:, 1:], 0.01))
    powers = np.linalg.lstsq(signs_ - signs_.mean(0), (logs - logs.mean(0)).mean(1), rcond=None)[0]
    # Means of distances, not of their logarithms.
    typical = (errors / np.exp(signs_ @ powers)[:, None]).mean(0)
    typical[WRIST] = typical[list(FINGER_MCPS)].mean()
    return typical, powers


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, of two arrays of one shape."""
    first, second = (np.argsort(np.argsort(values.ravel())) for values in (a, b))
    return float(np.corrcoef(first, second)[0, 1])


def report(middle: list[LandmarkSample], off: list[LandmarkSample], asked: int) -> str:
    """The figures, line by line."""
    errors = np.array([sample.error for sample in middle])
    predicted = np.stack([unit_hand(sample.predicted.world) for sample in middle])
    lengths = np.median(bone_lengths(torch.from_numpy(predicted)).numpy(), axis=0)
    shown = np.array([error_indicators(sample.predicted, lengths) for sample in middle])
    pixel_errors = np.array([sample.pixel_error for sample in middle])
    usual = np.median(shown, axis=0)
    logs = np.log(shown / usual)
    typical, powers = fit(logs, errors)
    fold = np.random.default_rng(0).permutation(len(middle)) % FOLDS
    expected, by_joint = np.empty_like(errors), np.empty_like(errors)
    for k in range(FOLDS):
        own_typical, own_powers = fit(logs[fold != k], errors[fold != k])
        expected[fold == k] = own_typical * np.exp(logs[fold == k] @ own_powers)[:, None]
        by_joint[fold == k] = own_typical
    # Of two Gaussian axes, the median distance is 1.18 standard deviations of one.
    share = np.median(pixel_errors / 1.18 / expected)
    ranks = [rank_correlation(one[:, 1:], errors[:, 1:]) for one in (expected, by_joint)]
    plain, turned = np.median([_tips(sample) for sample in off], axis=0)
    in_middle, _ = np.median([_tips(sample) for sample in middle], axis=0)
    return "\n".join(
        [
            f"found in {len(middle)} of {asked} pictures; off the middle in {len(off)}",
            f"TYPICAL_ERROR = {typical.round(2).tolist()}",
            f"POWERS = {powers.round(3).tolist()}, USUAL = {usual.round(3).tolist()} (absence, misfit, bones)",
            f"PIXEL_SHARE = {share:.2f}",
            f"BONES = {lengths.round(2).tolist()}",
            f"rank correlation with the true error: {ranks[0]:.2f}, by the joint alone {ranks[1]:.2f}; on hands not fitted to",
            f"{OFF_AXIS_DEG:g} deg off the axis, the hand as a whole is turned wrong by {plain:.1f} deg (median), "
            f"turned along the ray by {turned:.1f}; in the middle by {in_middle:.1f}",
        ]
    )


def _tips(sample: LandmarkSample) -> tuple[float, float]:
    """Rotation error of the model's hand in degrees: as predicted, and rotated to the viewing ray."""
    predicted, along = unit_hand(sample.predicted.world), sample.camera.rays(np.array(sample.predicted.square.centre_px))
    turned = predicted @ between(np.array([0.0, 0.0, 1.0]), along).T
    plain, better = (angle_deg(align(own, sample.joints), np.eye(3)) for own in (predicted, turned))
    return float(plain), float(better)


def main(settings: Settings) -> None:
    model = LandmarkModel(Model(model_file(LANDMARKS["mediapipe"]), threads=settings.threads))
    print(report(*draw(settings, model), settings.hands))


if __name__ == "__main__":
    program.run(main, Settings)
