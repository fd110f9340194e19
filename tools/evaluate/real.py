"""How good a network is on real pictures with a reference: a clip of two cameras, and photographs of one hand each.

For scoring only. A clip's folder holds left.mp4, right.mp4, calibration.json with `R_right_from_left` (3, 3), and
reference.npz with `joints_left_mm`, `joints_right_mm` (frames, 21, 3) in each camera's axes, `keypoints_left_px` and
`keypoints_right_px` (frames, 21, 2), NaN where there is no reference. A folder of photographs holds reference.json, which gives
each file name its `keypoints_px` (21, 2).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from capture.views import VIEWS, PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.joints import MIDDLE_MCP, unit_hand
from hand.rotations import angle_deg
from runtime.engines.engine import Engine
from runtime.estimators.crop_prediction import CropRequest, predict_best_roll, refine_predictions, tells_hand
from runtime.estimators.framing import Framing, box_around
from runtime.estimators.search import SIDES
from runtime.fusion.merge import merge
from runtime.geometry.rotation_estimator import RotationEstimator
from runtime.types import HandBox, Side, ViewHand
from tools.evaluate.clip import check_clip
from tools.evaluate.colours import COLOURS, ColourName
from tools.evaluate.held_out_hands import SIDE_PX, box_side
from tools.evaluate.metrics import pck
from tools.photographs import FindHands
from tools.predict import read_picture

SAME_OVERLAP = 0.3
"""Intersection over union of the joints' bounding boxes from which a photograph's hand counts as found."""


@dataclass(frozen=True, slots=True)
class ClipScores:
    """N pairs of frames, each on its own, boxes given by the reference."""

    mono_mm: np.ndarray
    """(N, 2, 21) left and right view's own hands."""
    dual_mm: np.ndarray
    """(N, 2, 21) the hands merged by the rotation estimated over the clip, in both views' axes."""
    dual_true_mm: np.ndarray
    """(N, 2, 21) the same by the true rotation."""
    error_px: np.ndarray
    """(N, 2, 21) px of a box of `SIDE_PX`."""
    error_share: np.ndarray
    """(N, 2, 21) share of the longer side of the reference's bounding box."""
    rotation_deg: float
    """How far the estimated rotation is off."""


@dataclass(frozen=True, slots=True)
class StillsScores:
    """N photographs of one hand each; errors in shares of the longer side of the reference's bounding box."""

    given: np.ndarray
    """(N, 21) in boxes given by the reference, of both sides the more confident one."""
    searched: np.ndarray
    """(N, 21) of the best hand that the search finds; infinite where it finds none."""
    found: int
    """How often that hand overlaps the reference's by `SAME_OVERLAP` or more."""


def score_clip(engine: Engine, folder: Path, colour: ColourName = "as taken") -> ClipScores:
    """Score a right hand in such colours, cameras being unknown. Raises UserError where files do not fit."""
    check_clip(folder)
    with np.load(folder / "reference.npz") as reference:
        joints = PerView.of(lambda view: reference[f"joints_{view}_mm"])
        pixels = PerView.of(lambda view: reference[f"keypoints_{view}_px"])
    true_R = np.array(json.loads((folder / "calibration.json").read_text())["R_right_from_left"])
    hands: list[PerView[ViewHand]] = []
    numbers: list[int] = []
    estimator = RotationEstimator()
    pairs = zip(*(_frames(folder / f"{view}.mp4", colour) for view in VIEWS), strict=False)
    for number, pair in enumerate(tqdm(pairs, total=len(joints.left), desc="clip", unit="pair")):
        if number >= len(joints.left):
            raise UserError(f"{folder} has more frames than the {number} of its reference: they are not of one clip")
        if not all(np.isfinite(values[number]).all() for values in (*joints, *pixels)):
            continue
        places = [_place(engine, image, truth[number], view) for view, image, truth in zip(VIEWS, pair, pixels, strict=True)]
        left, right = (prediction.hand for prediction in refine_predictions(engine, predict_best_roll(engine, places)))
        estimator.update(number * 33_000_000, left.joints, right.joints, np.sqrt(left.confidence * right.confidence))
        hands.append(PerView(left, right))
        numbers.append(number)
    if not hands or estimator.rotation is None:
        raise UserError(f"{folder} has no pair of frames with a reference in both views, expected one or more")
    truth_mm = np.stack([values[numbers] for values in joints], 1)
    truth_px = np.stack([values[numbers] for values in pixels], 1)
    seen_px = np.stack([np.stack([hand.pixels for hand in pair]) for pair in hands])
    share = np.linalg.norm(seen_px - truth_px, axis=-1) / box_side(truth_px.reshape(-1, 21, 2)).reshape(-1, 2, 1)
    sizes = np.array([[box_around(hand)[1] for hand in pair] for pair in truth_px])[..., None]
    return ClipScores(
        mono_mm=_errors_mm(np.stack([np.stack([hand.joints for hand in pair]) for pair in hands]), truth_mm),
        dual_mm=_errors_mm(_merged(hands, estimator.rotation), truth_mm),
        dual_true_mm=_errors_mm(_merged(hands, true_R), truth_mm),
        error_px=np.linalg.norm(seen_px - truth_px, axis=-1) / sizes * SIDE_PX,
        error_share=share,
        rotation_deg=float(angle_deg(estimator.rotation, true_R)),
    )


def _merged(hands: list[PerView[ViewHand]], R_right_from_left: np.ndarray) -> np.ndarray:
    """(N, 2, 21, 3) merged hands in the left and the right camera's axes."""
    joints = np.stack([merge(pair, R_right_from_left).joints for pair in hands])
    return np.stack([joints, joints @ R_right_from_left.T], 1)


def _errors_mm(joints: np.ndarray, truth_mm: np.ndarray) -> np.ndarray:
    """(..., 21) distances, wrist-aligned and scaled to the reference's wrist to middle MCP length (Mono-M, Dual-M)."""
    rooted = truth_mm - truth_mm[..., :1, :]
    length = np.linalg.norm(rooted[..., MIDDLE_MCP, :], axis=-1)[..., None, None]
    return np.linalg.norm(unit_hand(joints) * length - rooted, axis=-1)


def score_stills(engine: Engine, find: FindHands, folder: Path, colour: ColourName = "as taken") -> StillsScores:
    """Score photographs in such colours, once with boxes given and once by search. Raises UserError where files do not fit."""
    file = folder / "reference.json"
    if not file.is_file():
        raise UserError(f"{file} is not there: give a folder of photographs with their reference")
    given, searched, found = [], [], 0
    for name, reference in tqdm(json.loads(file.read_text()).items(), desc="photographs", unit="picture"):
        image, truth = COLOURS[colour](read_picture(folder / name)), np.array(reference["keypoints_px"])
        size = box_side(truth[None])[0]
        both = refine_predictions(
            engine, predict_best_roll(engine, [_place(engine, image, truth, "left", side) for side in SIDES])
        )
        given.append(np.linalg.norm(max(both, key=lambda prediction: prediction.preference).hand.pixels - truth, axis=1) / size)
        hands = find(image)
        if not hands:
            searched.append(np.full(len(truth), np.inf))
            continue
        best = hands[0].hand.pixels
        searched.append(np.linalg.norm(best - truth, axis=1) / size)
        found += overlap(best, truth) >= SAME_OVERLAP
    return StillsScores(np.stack(given), np.stack(searched), found)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of the bounding boxes of joints (21, 2) and (21, 2)."""
    low, high = np.maximum(a.min(0), b.min(0)), np.minimum(a.max(0), b.max(0))
    common = np.prod((high - low).clip(0))
    return float(common / max(np.prod(np.ptp(a, 0)) + np.prod(np.ptp(b, 0)) - common, 1e-9))


def _frames(file: Path, colour: ColourName) -> Iterator[np.ndarray]:
    """Every frame of a video, RGB, in such colours. Raises UserError for a file that is none."""
    video = cv2.VideoCapture(str(file))
    if not video.isOpened():
        raise UserError(f"{file} cannot be read as a video: give a clip that OpenCV decodes")
    while True:
        there, frame = video.read()
        if not there:
            return
        yield COLOURS[colour](cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def _place(engine: Engine, image: np.ndarray, joints: np.ndarray, view: View, side: Side = "right") -> CropRequest:
    """The network's box around reference joints (21, 2) px, before a camera of which nothing is known.

    Turned as the hand is for networks whose locator says how it is turned.
    """
    framing, turned = Framing.of(engine.manifest), tells_hand(engine.manifest)
    roll_deg = framing.roll(joints, 0.0) if turned else 0.0
    (x, y), size = framing.box(joints, roll_deg)
    height, width = image.shape[:2]
    box = HandBox(view, side, (float(x), float(y)), size, 1.0, roll_deg, turned)
    return CropRequest(box, PinholeCamera.from_fov(width, height), image)


def clip_report(scores: ClipScores, colour: ColourName = "as taken") -> str:
    """The clip's figures as text."""
    mono, dual, dual_true = (values.mean((0, 2)) for values in (scores.mono_mm, scores.dual_mm, scores.dual_true_mm))
    px, share = scores.error_px, scores.error_share
    return "\n".join(
        [
            f"clip, {colour}, {len(scores.mono_mm)} pairs, boxes given",
            f"  Mono-M {mono.mean():.1f} mm (left {mono[0]:.1f}, right {mono[1]:.1f})",
            f"  Dual-M {dual.mean():.1f} mm, rotation {scores.rotation_deg:.1f} deg off;"
            f" with the true rotation {dual_true.mean():.1f} mm",
            f"  2D mean {px.mean():.2f}, median {np.median(px):.2f} px of {SIDE_PX};"
            f" PCK@0.1 {pck(share, 0.1):.3f}, @0.2 {pck(share, 0.2):.3f}",
        ]
    )


def stills_report(scores: StillsScores, colour: ColourName = "as taken") -> str:
    """The photographs' figures as text."""
    lines = [f"photographs, {colour}, {len(scores.given)}, found {scores.found}"]
    for name, errors in (("boxes given", scores.given), ("searched", scores.searched)):
        median = np.median(errors.mean(1))
        lines.append(
            f"  {name:12} PCK@0.1 {pck(errors, 0.1):.3f}, @0.2 {pck(errors, 0.2):.3f}; median error {median:.3f} of the box"
        )
    return "\n".join(lines)
