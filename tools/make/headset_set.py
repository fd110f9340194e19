"""Render a data set in AssemblyHands' layout: `python -m tools.make.headset_set data/headsets --frames 128`.

Two headsets of four grey-scale cameras each, rotated to each other as the real ones are, view synthetic hands: the foreign hand,
which networks are never trained on, or our own. Light, skin and backgrounds differ from training's. Existing pictures are kept,
so an interrupted run resumes, and more frames or sequences may be added. `adapt.datasets.assembly_hands` reads
such a folder as it reads the real data set.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import msgspec
import numpy as np
import torch
import tyro
from tqdm import tqdm

from adapt.datasets.assembly_annotations import CAMERA_SUFFIX, HEADSETS, SIDES
from hand import program
from hand.errors import UserError
from hand.joints import JOINTS
from hand.model import FOREIGN_ASSET, HandModel
from hand.outputs import ProgramFiles
from hand.synth.backgrounds import Backgrounds
from runtime.types import Side
from tools.evaluate.held_out_hands import FOREIGN_TEXTURE
from tools.make.headset import WIDTH, Head, Headset, HeldHand, Person
from tools.make.headset_annotations import AnnotationFiles, assembly_order, save
from tools.make.headset_picture import Painter, Room
from tools.train.backgrounds import DEFAULT_BANK

FRAME_STEP = 2
"""Between frame numbers, as in the real data set."""
_JPEG_QUALITY = 92
_SAME = ("headsets", "hand", "sides", "width", "split", "seed")
"""Settings that pictures of one folder must share."""


@dataclass
class Settings:
    """Render a data set in AssemblyHands' layout."""

    folder: tyro.conf.Positional[Path]
    """Where `annotations` and `images` go; existing pictures are kept."""
    frames: int = 128
    """Of each sequence; each shows each hand to four cameras."""
    sequences: int = 1
    """Of each headset; each has a person and a room of its own."""
    headsets: tuple[int, ...] = (0, 1)
    """Which of them."""
    hand: Literal["foreign", "our"] = "foreign"
    """Whose hand: WebXR's, which training never renders, or the one that it renders."""
    sides: Literal["both", "right", "left"] = "both"
    """Hands before the cameras."""
    split: str = "val"
    width: int = WIDTH
    """Of the pictures, px; their height goes with it."""
    seed: int = 0
    backgrounds: Path | None = DEFAULT_BANK
    """Bank made by tools.train.backgrounds; procedural backgrounds are used where it is missing."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame to be rendered, with its ground truth."""

    frame: int
    head: Head
    hands: list[HeldHand]
    generator: torch.Generator
    """For what only its pictures need."""


class Sequence:
    """One person before one headset; every moment of it is always the same."""

    def __init__(self, settings: Settings, headset: int, number: int, backgrounds: Backgrounds):
        self.headset, self._settings = headset, settings
        self._seed = (settings.seed, headset, number)
        self.name = f"drawn-{settings.hand}_headset{headset}_{number:03d}"
        model = HandModel.load() if settings.hand == "our" else HandModel.load(asset=FOREIGN_ASSET)
        texture = 1 if settings.hand == "our" else FOREIGN_TEXTURE
        random, generator = self._random()
        self._sides: tuple[Side, ...] = SIDES if settings.sides == "both" else (settings.sides,)
        self._cameras = Headset.of(headset, settings.width)
        self._painter = Painter(self._cameras, Person.random(model, texture, generator), Room.random(random), backgrounds)

    def moment(self, number: int) -> Moment:
        random, generator = self._random(number)
        head = Head.random(random)
        hands = [self._painter.person.hold(side, generator, random) for side in self._sides]
        return Moment(FRAME_STEP * (number + 1), head, hands, generator)

    def picture_name(self, frame: int, camera: int) -> str:
        folder = f"ego_images_rectified/{self._settings.split}/{self.name}/{HEADSETS[self.headset][camera]}{CAMERA_SUFFIX}"
        return f"{folder}/{frame:06d}.jpg"

    def draw(self, moment: Moment) -> int:
        """Render the missing pictures of a moment; returns their number."""
        world_to_camera = self._cameras.world_to_camera(moment.head)
        seeds = torch.randint(2**31, (len(world_to_camera),), generator=moment.generator).tolist()
        drawn = 0
        for camera, seed in enumerate(seeds):
            file = self._settings.folder / "images" / self.picture_name(moment.frame, camera)
            if not file.is_file():
                own = torch.Generator().manual_seed(seed)
                _save_picture(file, self._painter.paint(camera, moment.hands, world_to_camera[camera, :, :3], own))
                drawn += 1
        return drawn

    def annotate(self, moment: Moment, files: AnnotationFiles) -> None:
        """Add the ground truth of a moment."""
        key = f"{moment.frame:06d}"
        names = [name + CAMERA_SUFFIX for name in HEADSETS[self.headset]]
        seen_by = self._cameras.camera
        calib = files.calibration.setdefault(self.name, {"intrinsics": {name: seen_by.matrix.tolist() for name in names}})
        extrinsics = self._cameras.world_to_camera(moment.head)
        calib.setdefault("extrinsics", {})[key] = dict(zip(names, extrinsics.tolist(), strict=True))
        world, held = np.zeros((len(SIDES), JOINTS, 3)), np.zeros((len(SIDES), JOINTS))
        for hand in moment.hands:
            world[SIDES.index(hand.side)] = moment.head.in_world(hand.joints_mm)
            held[SIDES.index(hand.side)] = 1
        files.joints.setdefault(self.name, {})[key] = {
            "world_coord": assembly_order(world).tolist(),
            "joint_valid": assembly_order(held).tolist(),
        }
        for camera, name in enumerate(HEADSETS[self.headset]):
            number = len(files.images)
            width, height = seen_by.size_px
            files.images.append(
                {
                    "id": number,
                    "file_name": self.picture_name(moment.frame, camera),
                    "seq_name": self.name,
                    "camera": name,
                    "frame_idx": moment.frame,
                    "width": width,
                    "height": height,
                }
            )
            files.annotations.append({"id": number, "image_id": number, **self._seen(moment, camera)})

    def _seen(self, moment: Moment, camera: int) -> dict[str, Any]:
        """Boxes, pixels and valid joints of a picture: a joint is valid in it that lies in it; a hand has a box that has one."""
        pixels = np.zeros((len(SIDES), JOINTS, 2))
        valid = np.zeros((len(SIDES), JOINTS))
        boxes: dict[str, list[float] | None] = dict.fromkeys(SIDES)
        seen_by = self._cameras.camera
        for hand in moment.hands:
            joints_mm = self._cameras.in_camera(camera, hand.joints_mm)
            side = SIDES.index(hand.side)
            in_front = joints_mm[:, 2] > 1
            pixels[side, in_front] = seen_by.project(joints_mm[in_front])
            limit = np.array(seen_by.size_px) - 1
            inside = in_front & (pixels[side] >= 0).all(1) & (pixels[side] <= limit).all(1)
            if inside.any():
                valid[side] = inside
                low, high = pixels[side, in_front].min(0).clip(0, limit), pixels[side, in_front].max(0).clip(0, limit)
                boxes[hand.side] = [*low.tolist(), *high.tolist()]
        return {
            "bbox": boxes,
            "keypoints": assembly_order(pixels).tolist(),
            "joint_valid": assembly_order(valid).tolist(),
        }

    def _random(self, *more: int) -> tuple[np.random.Generator, torch.Generator]:
        random = np.random.default_rng([*self._seed, *more])
        return random, torch.Generator().manual_seed(int(random.integers(2**62)))


def make(settings: Settings) -> int:
    """Render the missing pictures and write the annotations of all; returns the number of rendered pictures.

    Raises UserError for a folder that holds another set.
    """
    _check(settings)
    ProgramFiles().reads("--backgrounds", settings.backgrounds).fills("FOLDER", settings.folder).check()
    bank = settings.backgrounds
    if bank is not None and not bank.is_file():
        print(f"{bank} is not there ('python -m tools.train.backgrounds' makes it): procedural backgrounds only")
        bank = None
    backgrounds, files, drawn = Backgrounds.load(bank, "held_out"), AnnotationFiles(), 0
    sequences = [
        Sequence(settings, headset, number, backgrounds) for headset in settings.headsets for number in range(settings.sequences)
    ]
    with tqdm(desc="rendering", unit="frame", total=len(sequences) * settings.frames) as bar:
        for sequence in sequences:
            for number in range(settings.frames):
                moment = sequence.moment(number)
                drawn += sequence.draw(moment)
                sequence.annotate(moment, files)
                bar.update()
    files.save(settings.folder, settings.split)
    return drawn


def _check(settings: Settings) -> None:
    """Raises UserError where the folder was made with other settings; else notes these."""
    if settings.frames < 1 or settings.sequences < 1 or settings.width < 64:
        raise UserError(
            f"{settings.frames} frames of {settings.sequences} sequences, {settings.width} px wide, are no data set: expected at "
            "least one of each, and 64 px"
        )
    if not settings.headsets or not set(settings.headsets) <= set(range(len(HEADSETS))):
        raise UserError(f"--headsets {' '.join(map(str, settings.headsets))}: expected 0, 1 or both")
    file = settings.folder / "made_with.json"
    asked = {name: getattr(settings, name) for name in _SAME}
    if file.is_file():
        made = msgspec.json.decode(file.read_bytes())
        for name, value in asked.items():
            # A tuple comes back as a list.
            if made.get(name, value) != (list(value) if isinstance(value, tuple) else value):
                made_with = f"{settings.folder} was made with {name} {made.get(name)!r}, not {value!r}"
                raise UserError(f"{made_with}: give another folder, or the same {name}")
    else:
        save(file, msgspec.json.encode(asked))


def _save_picture(file: Path, image: np.ndarray) -> None:
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    save(file, encoded.tobytes())


@torch.no_grad()
def main(settings: Settings) -> None:
    drawn = make(settings)
    frames = len(settings.headsets) * settings.sequences * settings.frames
    print(f"{settings.folder}: {frames:,} frames before {len(HEADSETS[0])} cameras, {drawn:,} pictures rendered now")


if __name__ == "__main__":
    program.run(main, Settings)
