"""Hands in photographs: `python -m tools.predict IMAGE… --save predictions.jsonl --draw FOLDER`.

One JSON line a photograph, hands best first:
{"image": name, "hands": [{"side", "score", "keypoints_px" (21×2), "joints" (21×3), "confidence" (21)}]}
Keypoints are pixels of the picture as it is shown (its EXIF orientation taken into account), joints unit hands in the axes of
the camera that took it.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np
import torch
import tyro
from tqdm import tqdm

from hand import program
from hand.camera import DEFAULT_FOV_DEG
from hand.errors import UserError
from hand.files import saving
from hand.joints import BONES, FINGERS
from hand.outputs import ProgramFiles, with_manifest
from runtime.estimator_setup import BestNetwork, settle_name
from runtime.estimators import locator
from runtime.estimators.auto import Task
from runtime.estimators.registry import EstimatorName, EstimatorSetting
from runtime.estimators.search import SearchHit
from runtime.networks.weights import architecture_of
from tools.photographs import load_search

log = logging.getLogger(__name__)

COLOURS = ((255, 90, 80), (255, 200, 60), (90, 220, 110), (80, 190, 255), (200, 130, 255))
"""RGB of the fingers, from the thumb on."""


@dataclass
class Settings:
    """Find hands in photographs."""

    images: tyro.conf.Positional[list[Path]]
    """Pictures that OpenCV reads (JPEG, PNG, …)."""
    save: Path | None = None
    """JSON lines file to write."""
    draw: Path | None = None
    """Folder to draw the hands into, one PNG a picture."""
    estimator: EstimatorSetting = "auto"
    """What finds the joints, as in `duohand stream`; auto: mediapipe-3d where it can be had, else detnet, and weights' own."""
    fetch: bool = True
    """Fetch MediaPipe's models (36 MB, once) where the estimator needs them and they are not there."""
    weights: Path | None = None
    """Of the estimator's network; none: those that it comes with."""
    locator_weights: Path = locator.DEFAULT_WEIGHTS
    """Of the locator, for detnet."""
    fov: float = DEFAULT_FOV_DEG
    """Horizontal field of view of the cameras, degrees."""
    min_score: float = 0.35
    """Threshold of the score; the best hand of each picture is kept whatever its score."""
    threads: int = 1
    """Of a CPU."""
    overwrite: bool = False
    """Replace files that are there already."""


class HandLine(msgspec.Struct, frozen=True):
    """A hand in a picture, as it is saved."""

    side: str
    score: float
    keypoints_px: list[list[float]]
    """(21, 2)."""
    joints: list[list[float]]
    """(21, 3) unit hand."""
    confidence: list[float]
    """(21,)."""

    @classmethod
    def of(cls, found: SearchHit) -> "HandLine":
        hand = found.hand
        return cls(
            hand.side,
            round(found.score, 4),
            hand.pixels.round(2).tolist(),
            hand.joints.round(4).tolist(),
            hand.confidence.round(4).tolist(),
        )


class PictureLine(msgspec.Struct, frozen=True):
    """A picture's line."""

    image: str
    hands: list[HandLine]


def check_picture(path: Path) -> None:
    """Raises UserError where it is missing or no picture, as far as its first bytes tell."""
    if path.is_dir():
        raise UserError(f"{path} is a folder: give its pictures, such as {path}/*.jpg")
    if not path.is_file():
        raise UserError(f"{path} is not there: give the path of a picture")
    if not cv2.haveImageReader(str(path)):
        raise _no_picture(path)


def read_picture(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB, turned as its EXIF orientation says. Raises UserError where it is missing or no picture."""
    check_picture(path)
    # imread would print warnings of its own and fails on some paths.
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.stat().st_size else None
    if image is None:
        raise _no_picture(path)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _no_picture(path: Path) -> UserError:
    return UserError(f"{path} is not a picture that OpenCV reads, or not a whole one: give a JPEG or PNG")


def filter_by_score(found: Iterable[SearchHit], min_score: float) -> list[SearchHit]:
    """The best of `found`, which are best first, and the others that score at least `min_score`."""
    return [one for number, one in enumerate(found) if number == 0 or one.score >= min_score]


def draw_hands(image: np.ndarray, found: Iterable[SearchHit]) -> np.ndarray:
    """A copy of the image (H, W, 3) RGB, small ones enlarged, with each hand's skeleton, side and score."""
    scale = max(1, round(640 / max(image.shape[:2])))
    picture = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    unit = max(picture.shape[:2]) / 640
    thick = max(1, round(2.5 * unit))
    for one in found:
        points = np.round(((one.hand.pixels + 0.5) * scale - 0.5).clip(-1e5, 1e5)).astype(int).tolist()
        for start, end in BONES:
            cv2.line(picture, points[start], points[end], _colour(end), thick, cv2.LINE_AA)
        for joint, point in enumerate(points):
            cv2.circle(picture, point, round(3.5 * unit) + 1, (20, 20, 20), -1, cv2.LINE_AA)
            cv2.circle(picture, point, round(2 * unit) + 1, _colour(joint), -1, cv2.LINE_AA)
        x, y = np.clip(np.min(points, axis=0) - [0, round(8 * unit)], [2, round(16 * unit)], picture.shape[1::-1]).tolist()
        for colour, width in (((0, 0, 0), 3 * thick), ((255, 255, 255), thick)):
            text = f"{one.hand.side} {one.score:.2f}"
            cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_DUPLEX, 0.7 * unit, colour, width, cv2.LINE_AA)
    return picture


def _colour(joint: int) -> tuple[int, int, int]:
    for colour, chain in zip(COLOURS, FINGERS.values(), strict=True):
        if joint in chain:
            return colour
    return (235, 235, 235)


def drawing_of(picture: Path, folder: Path) -> Path:
    """The file that the hands of a picture are drawn into."""
    return folder / f"{picture.stem}.png"


def check_files(settings: Settings) -> None:
    """Raises UserError for an output that is an input or another output, is there already, or cannot be written."""
    files = ProgramFiles(overwrite=settings.overwrite).reads("IMAGES", *settings.images)
    for option, weights in (("--weights", settings.weights), ("--locator-weights", settings.locator_weights)):
        files.reads(option, *with_manifest(weights))
    files.writes("--save", settings.save).fills("--draw", settings.draw)
    if settings.draw:
        files.writes("--draw", *(drawing_of(picture, settings.draw) for picture in settings.images), plain=True)
    files.check()


def named_estimator(settings: Settings) -> EstimatorName:
    """The estimator, `auto` decided, its models there. Raises UserError where what was named cannot be had."""
    task = Task(architecture=architecture_of(settings.weights) if settings.weights else None)
    name, choice = settle_name(settings.estimator, lambda: task, BestNetwork("torch", settings.threads), fetch=settings.fetch)
    if choice is not None and choice.compromise:
        log.warning(str(choice))
    return name


@torch.no_grad()
def main(settings: Settings) -> None:
    check_files(settings)
    for path in settings.images:
        check_picture(path)
    find = load_search(
        named_estimator(settings), settings.weights, locator_weights=settings.locator_weights, threads=settings.threads
    )
    lines = []
    for path in tqdm(settings.images, desc="pictures", unit="picture"):
        image = read_picture(path)
        found = filter_by_score(find(image, settings.fov), settings.min_score)
        lines.append(msgspec.json.encode(PictureLine(path.name, [HandLine.of(one) for one in found])))
        if settings.draw:
            picture = cv2.cvtColor(draw_hands(image, found), cv2.COLOR_RGB2BGR)
            with saving(drawing_of(path, settings.draw)) as part:
                part.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    text = b"".join(line + b"\n" for line in lines)
    if settings.save:
        with saving(settings.save) as part:
            part.write_bytes(text)
    elif not settings.draw:
        print(text.decode(), end="")


if __name__ == "__main__":
    program.run(main, Settings)
