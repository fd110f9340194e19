"""How good the locator is: `python -m tools.evaluate.locator [--clip FOLDER] [--stills FOLDER]`.

Always on held-out synthetic scenes, with seeds and backgrounds that training never uses; a recorded clip and photographs where
their folders are given. A clip's folder holds `left.mp4`, `right.mp4` and `reference.npz` with `keypoints_left_px` and
`keypoints_right_px` (frames, 21, 2), NaN where there is no reference; a folder of photographs holds `reference.json`, which
gives each file name its `keypoints_px` (21, 2), one hand a photograph.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from tqdm import tqdm

from capture.views import VIEWS
from hand import program
from hand.errors import UserError
from hand.synth.backgrounds import Backgrounds
from hand.synth.cutouts import CutOutBank, PeopleBank
from hand.synth.scenes import SceneRenderer, Scenes
from runtime.estimators.framing import box_around
from runtime.estimators.locator import DEFAULT_WEIGHTS, MIN_SCORE, FoundHand, Locator, find_peaks, load_locator
from runtime.estimators.tracker import overlap
from runtime.networks.network import normalise
from tools.train.backgrounds import DEFAULT_BANK
from tools.train.scene_pool import join

SEED = 2_000_000
"""Neither training nor its validation uses this seed."""
SCENE_SIZE = 96
NEAR, SIZE_RATIO = 0.35, 1.6
"""A synthetic hand is found where a box's centre is off by at most this share of its side, and its side by at most this ratio."""
OVERLAP = 0.3
"""A real hand is found where a box has this intersection over union with the hand's, or more."""
SEARCH_SCORE = 0.02
"""The best box of a frame counts whatever its score; false positives count from the locator's own threshold on."""


@dataclass
class Settings:
    """Evaluate the locator on synthetic scenes, a clip and photographs."""

    weights: Path = DEFAULT_WEIGHTS
    clip: Path | None = None
    """Folder of a recorded clip with a reference."""
    stills: Path | None = None
    """Folder of photographs with a reference."""
    scenes: int = 512
    """Synthetic scenes of each kind."""
    backgrounds: Path | None = DEFAULT_BANK
    """Bank made by tools.train.backgrounds; procedural backgrounds are used where it is missing."""


@dataclass(frozen=True, slots=True)
class DrawnScores:
    """Scores on N synthetic scenes at the locator's threshold."""

    found: float
    """Share of the hands that must be found."""
    precision: float
    """Share of the boxes that are hands; boxes of hands that need not be found do not count."""
    side: float
    """Share of the found hands with the right handedness."""
    centre_boxes: float
    """Mean distance of a found hand's centre, in sides of its box."""
    false_per_frame: float
    false_per_empty_frame: float
    """The same where there is no hand at all."""


class RealScores(NamedTuple):
    """Scores on real pictures with one hand each."""

    frames: int
    best: float
    """Share of them where the best box overlaps the hand's enough."""
    any: float
    """Share where any box does."""
    reported: float
    """Share where any box above the threshold does."""
    false_per_frame: float
    """Boxes above the threshold that do not."""


def score_drawn(found: list[list[FoundHand]], scenes: Scenes) -> DrawnScores:
    """Score the hands `found` in each scene, best first."""
    hits = sides = false = false_empty = 0
    errors: list[float] = []
    centres, sizes, left, shown, unsure = (
        getattr(scenes, name).cpu().numpy() for name in ("centres", "sizes", "left", "shown", "unsure")
    )
    empty = ~(shown | unsure).any(1)
    sizes = sizes.clip(1e-3)
    for number, hands in enumerate(found):
        open_ = np.ones(sizes.shape[1], bool)
        for hand in hands:
            off = np.hypot(*(np.array(hand.centre) - centres[number]).T) / sizes[number]
            ratio = np.maximum(hand.size / sizes[number], sizes[number] / hand.size)
            meant = open_ & (off < NEAR) & (unsure[number] | (shown[number] & (ratio < SIZE_RATIO)))
            if not meant.any():
                false += 1
                false_empty += int(empty[number])
                continue
            nearest = int(np.where(meant, off, np.inf).argmin())
            open_[nearest] = False
            if shown[number, nearest]:
                hits += 1
                sides += hand.left == bool(left[number, nearest])
                errors.append(float(off[nearest]))
    return DrawnScores(
        found=hits / max(1, int(shown.sum())),
        precision=hits / max(1, hits + false),
        side=sides / max(1, hits),
        centre_boxes=float(np.mean(errors)) if errors else float("nan"),
        false_per_frame=false / len(found),
        false_per_empty_frame=false_empty / max(1, int(empty.sum())),
    )


@torch.no_grad()
def find_drawn(network: torch.nn.Module, scenes: Scenes, batch: int = 64) -> list[list[FoundHand]]:
    """The hands that a LocatorNetwork finds in each scene, searched at the scenes' own size."""
    network.eval()
    return [hands for images in scenes.images.split(batch) for hands in find_peaks(network(normalise(images)), MIN_SCORE)]


def score_real(pictures: Iterable[tuple[np.ndarray, np.ndarray]], locate: Locator) -> RealScores:
    """Score a locator with a threshold of `SEARCH_SCORE` on pictures (H, W, 3) RGB and their hand's joints (21, 2) px."""
    best, some, reported, false = [], [], [], 0
    for image, joints in pictures:
        boxes = locate(image, "left")
        hits = [overlap(box.centre_px, box.size_px, *box_around(joints)) >= OVERLAP for box in boxes]
        sure = [box.score >= MIN_SCORE for box in boxes]
        best.append(bool(hits) and hits[0])
        some.append(any(hits))
        reported.append(any(hit and sure_ for hit, sure_ in zip(hits, sure, strict=True)))
        false += sum(sure_ and not hit for hit, sure_ in zip(hits, sure, strict=True))
    if not best:
        raise UserError("no picture has a reference hand, expected one or more: check the folder's reference file")
    return RealScores(len(best), float(np.mean(best)), float(np.mean(some)), float(np.mean(reported)), false / len(best))


def clip_pictures(folder: Path, view: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every frame of one view that has a reference, RGB, and its joints. Raises UserError where a file is missing."""
    file = folder / f"{view}.mp4"
    if not file.is_file() or not (folder / "reference.npz").is_file():
        raise UserError(f"{folder} holds no {file.name} with a reference.npz: give the folder of a recorded clip")
    joints = np.load(folder / "reference.npz")[f"keypoints_{view}_px"]
    video = cv2.VideoCapture(str(file))
    for truth in joints:
        there, frame = video.read()
        if not there:
            return
        if np.isfinite(truth).all():
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), truth


def still_pictures(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every photograph that has a reference, RGB, and its joints. Raises UserError where a file is missing."""
    reference = folder / "reference.json"
    if not reference.is_file():
        raise UserError(f"{folder} holds no reference.json: give a folder of photographs with a reference")
    for name, truth in json.loads(reference.read_text()).items():
        image = cv2.imread(str(folder / name))
        if image is None:
            raise UserError(f"{folder / name} cannot be read as a picture, though reference.json names it")
        yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.array(truth["keypoints_px"])


def held_out_scenes(count: int, backgrounds: Backgrounds) -> dict[str, Scenes]:
    """`count` scenes each of hands among things, and of people, that training never renders."""
    bank, people = CutOutBank(160, SEED), PeopleBank(96, SEED)
    shares = {"hands and things": 0.0, "people": 1.0}
    renderers = {name: SceneRenderer(SCENE_SIZE, bank, backgrounds, SEED, people, share) for name, share in shares.items()}
    return {name: join([renderer.render(32) for _ in range(max(1, count // 32))]) for name, renderer in renderers.items()}


def drawn_table(scores: dict[str, DrawnScores]) -> str:
    """One line a kind of scene."""
    names = [field.name for field in fields(DrawnScores)]
    lines = [f"{'synthetic scenes':18}" + "".join(f"{name.replace('_', ' '):>23}" for name in names)]
    lines += [f"{kind:18}" + "".join(f"{getattr(score, name):23.3f}" for name in names) for kind, score in scores.items()]
    return "\n".join(lines)


def real_table(scores: dict[str, RealScores]) -> str:
    """One line a set of pictures."""
    names = RealScores._fields
    lines = [f"{'real pictures':18}" + "".join(f"{name.replace('_', ' '):>17}" for name in names)]
    for kind, score in scores.items():
        lines.append(f"{kind:18}{score.frames:17d}" + "".join(f"{value:17.3f}" for value in score[1:]))
    return "\n".join(lines)


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    locate = load_locator(settings.weights, SEARCH_SCORE)
    bank = settings.backgrounds
    if bank is not None and not bank.is_file():
        print(f"{bank} is not there ('python -m tools.train.backgrounds' makes it): procedural backgrounds only")
        bank = None
    real: dict[str, RealScores] = {}
    if settings.clip:
        for view in VIEWS:
            real[f"clip, {view}"] = score_real(tqdm(clip_pictures(settings.clip, view), desc=view, unit="frame"), locate)
    if settings.stills:
        real["photographs"] = score_real(tqdm(still_pictures(settings.stills), desc="photographs", unit="picture"), locate)
    scenes = held_out_scenes(settings.scenes, Backgrounds.load(bank, "held_out")) if settings.scenes else {}
    print(f"{settings.weights}, at a score of {MIN_SCORE}")
    if scenes:
        print(drawn_table({kind: score_drawn(find_drawn(locate.network, drawn), drawn) for kind, drawn in scenes.items()}))
    if real:
        print(real_table(real))


if __name__ == "__main__":
    program.run(main, Settings)
