"""A network's predictions for a data set's hand pairs, next to the truth: `python -m tools.visualize data/headsets --pair 1,2`.

Each row of the page is a pair: the predicted hand of each view, then the merged hand in both cameras, moved to the true wrist and
scaled to the true size, as Dual-M compares it; the truth is white. The data set is AssemblyHands, or one rendered by
`tools.make.headset_set`. The printed line scores all predicted pairs; the rotation between the cameras is estimated from them,
as the live program does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import tyro
from tqdm import tqdm

from adapt.core.metrics import PairScores, joint_errors_mm, score_pairs
from adapt.datasets.assembly_hands import PAIRS, AssemblyHands, Boxes, TrueHand, TruePair
from capture.views import VIEWS, PerView
from hand import program
from hand.errors import UserError
from hand.joints import MIDDLE_MCP, WRIST
from hand.outputs import ProgramFiles, with_manifest
from hand.rotations import angle_deg
from runtime.engines.engine import Engine
from runtime.estimators.adaptable_networks import adaptable_engine
from runtime.estimators.crop import CropCamera
from runtime.estimators.crop_prediction import CropRequest, predict_crops
from runtime.estimators.framing import BOX_MARGIN, Framing, box_around
from runtime.estimators.network_settings import NetworkSettings
from runtime.fusion.merge import MergeRule, merge
from runtime.geometry.rotation_estimator import RotationEstimator
from runtime.types import ViewHand
from tools.report.figures import Tile, add_legend, draw_tiles, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRUE, OWN, MERGED = "white", "orange", "lime"
_TILE_PX = 300
_WIDER = 1.9
"""Side of what is shown, over the joints' bounding box."""


@dataclass
class Settings(NetworkSettings):
    """Draw predictions and truth of a data set's hand pairs."""

    data: tyro.conf.Positional[Path]
    """Folder that holds `annotations` and `images`."""
    out: Path = Path("out/pairs.png")
    """PNG file to draw into."""
    setup: int = 0
    """Headset, 0 or 1."""
    pair: str = "1,2"
    """Camera pair: 0,1 0,2 0,3 1,2 1,3 or 2,3."""
    sample: tuple[int, ...] = (0,)
    """Numbers of the hand pairs to draw, one row each."""
    pic: int = 64
    """Number of hand pairs that are predicted and scored, from the first on; -1 for all."""
    split: str = "val"
    merge: MergeRule = "softmax"
    boxes: Boxes = "joints"
    """Where crops are cut: by the annotated joints, as the network frames hands, or at the given boxes."""
    cache: Path | None = None
    """Where index and list of invalid hands are kept; beside the annotations if not given."""
    threads: int = 1
    """Of a CPU."""
    overwrite: bool = False
    """Replace files that are there already."""


@dataclass(frozen=True, slots=True)
class PairPrediction:
    """The network's prediction for a pair."""

    true: TruePair
    views: PerView[ViewHand]
    """Joints are unit hands in each camera's axes."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A pair as it is drawn."""

    true: TruePair
    own: PerView[np.ndarray]
    """(21, 2) px, each view's own hand."""
    merged: PerView[np.ndarray]
    """(21, 2) px, the merged hand in both pictures."""
    own_mm: PerView[float]
    merged_mm: PerView[float]


def predict_pair(engine: Engine, pair: TruePair, boxes: Boxes = "joints") -> PairPrediction:
    """Predict the hand in both views."""
    framing = Framing.of(engine.manifest)
    requests = [CropRequest(hand.box(boxes, framing), hand.camera, hand.read()) for hand in pair.hands]
    left, right = (prediction.hand for prediction in predict_crops(engine, requests))
    return PairPrediction(pair, PerView(left, right))


def estimate_rotation(predicted: Sequence[PairPrediction]) -> np.ndarray:
    """(3, 3) R_right_from_left from the network's hands alone."""
    estimator = RotationEstimator(capacity=len(predicted))
    for one in predicted:
        left, right = one.views
        estimator.update(0, left.joints, right.joints, np.sqrt(left.confidence * right.confidence))
    if estimator.rotation is None:
        raise UserError("no predicted hand determines the rotation between the cameras: give more pairs with --pic")
    return estimator.rotation


def score(predicted: Sequence[PairPrediction], R_right_from_left: np.ndarray, rule: MergeRule) -> PairScores:
    """Mono-M and Dual-M of all pairs."""
    total = PairScores()
    for one in predicted:
        merged = merge(one.views, R_right_from_left, rule).joints
        joints = one.views.map(lambda hand: hand.joints[None])
        truth_mm, valid = one.true.hands.map(lambda hand: hand.joints_mm[None]), one.true.hands.map(lambda hand: hand.valid[None])
        total += score_pairs(joints, merged[None], R_right_from_left, truth_mm, valid)
    return total


def compare(seen: PairPrediction, R_right_from_left: np.ndarray, rule: MergeRule) -> Compared:
    """A pair with its merged hand in both views."""
    joints = merge(seen.views, R_right_from_left, rule).joints
    turned = PerView(joints, joints @ R_right_from_left.T)
    true = seen.true.hands
    return Compared(
        seen.true,
        seen.views.map(lambda hand: hand.pixels),
        PerView.of(lambda view: true[view].camera.project(aligned_to_truth(turned[view], true[view].joints_mm))),
        PerView.of(lambda view: _mean_error_mm(seen.views[view].joints, true[view])),
        PerView.of(lambda view: _mean_error_mm(turned[view], true[view])),
    )


def aligned_to_truth(joints: np.ndarray, truth_mm: np.ndarray) -> np.ndarray:
    """A hand (21, 3) of any unit, moved to the true wrist and scaled to the true length from wrist to middle knuckle."""
    length, true_mm = (np.linalg.norm(hand[MIDDLE_MCP] - hand[WRIST]) for hand in (joints, truth_mm))
    return (joints - joints[WRIST]) * (true_mm / length) + truth_mm[WRIST]


def draw(compared: Sequence[Compared], title: str) -> "Figure":
    """A row a pair. Raises UserError where matplotlib is missing."""
    figure = new_figure(4 * _TILE_PX, 80 + len(compared) * (_TILE_PX + 20))
    figure.suptitle(title, fontsize=11)
    colours = {"truth": TRUE, "each view's own hand": OWN, "merged hand, on the true wrist": MERGED}
    add_legend(figure, colours, loc="outside lower center", facecolor="0.5")
    tiles: list[Tile] = []
    for one in compared:
        kinds = ("own", OWN, one.own, one.own_mm), ("merged", MERGED, one.merged, one.merged_mm)
        for kind, colour, pixels, error_mm in kinds:
            for view in VIEWS:
                caption = f"{one.true.side} hand, {view} view, {kind}: {error_mm[view]:.1f} mm"
                tiles.append(_tile(one.true.hands[view], pixels[view], colour, caption))
    draw_tiles(figure, tiles, columns=4)
    return figure


def _tile(true: TrueHand, pixels: np.ndarray, colour: str, caption: str) -> Tile:
    """The picture around a hand, as a camera turned to it sees it, with truth and prediction (21, 2) px."""
    centre, box_px = box_around(true.pixels)
    camera = CropCamera.at(true.camera, centre, box_px * _WIDER / BOX_MARGIN, 2 * _TILE_PX, mirror=False)
    hands = [(camera.crop_from_frame(joints), ink) for joints, ink in ((true.pixels, TRUE), (pixels, colour))]
    return Tile(camera.cut(true.read()), caption, hands)


def _mean_error_mm(joints: np.ndarray, true: TrueHand) -> float:
    return float(joint_errors_mm(joints[None], true.joints_mm[None])[0][true.valid].mean())


@torch.no_grad()
def main(settings: Settings) -> None:
    a, _, b = settings.pair.partition(",")
    cameras = next((pair for pair in PAIRS if (str(pair[0]), str(pair[1])) == (a.strip(), b.strip())), None)
    if cameras is None:
        raise UserError(f"--pair {settings.pair} is no camera pair: expected one of {' '.join(f'{a},{b}' for a, b in PAIRS)}")
    files = ProgramFiles(overwrite=settings.overwrite).reads("DATA", settings.data / "annotations", settings.data / "images")
    files.reads("--weights", *with_manifest(settings.weights_file)).writes("--out", settings.out).check()
    pairs = AssemblyHands(settings.data, settings.split, settings.cache).pairs(settings.setup, cameras)
    for number in settings.sample:
        if number not in range(len(pairs)):
            raise UserError(f"--sample {number} is not there: expected numbers from 0 to {len(pairs) - 1}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    engine = adaptable_engine(*settings.load_network(), settings.threads, device)
    subset = pairs[: settings.pic] if settings.pic >= 0 else pairs
    bar = tqdm(subset, desc="predicting", unit="pair", total=len(subset))
    predicted = [predict_pair(engine, pair, settings.boxes) for pair in bar]
    R = estimate_rotation(predicted)
    line = score(predicted, R, settings.merge).line(0, settings.setup, cameras)
    off_deg = np.median([angle_deg(R, one.true.R_right_from_left) for one in predicted])
    print(f"{line}, rotation {off_deg:.1f} deg off")
    more = {number: predict_pair(engine, pairs[number], settings.boxes) for number in settings.sample if number >= len(predicted)}
    shown = [more[number] if number in more else predicted[number] for number in settings.sample]
    page = draw([compare(one, R, settings.merge) for one in shown], f"{line}, rotation {off_deg:.1f} deg off")
    save_figure(page, settings.out)


if __name__ == "__main__":
    program.run(main, Settings)
