"""AssemblyHands as hand pairs to adapt to and to test on: one hand in two images of a headset, read on access.

`adapt.datasets.assembly_annotations` says what the published layout is and how far that was verified;
`adapt.datasets.assembly_cache` what is found out once and kept. A split's index, arrays of some hundred bytes a picture, is all
that is held.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

import cv2
import numpy as np

from adapt.datasets.assembly_annotations import HEADSETS, SIDES
from adapt.datasets.assembly_cache import open_index, usable_hands
from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from runtime.estimators.crop import HandCrop
from runtime.estimators.framing import AROUND_JOINTS, Framing
from runtime.types import HandBox, Side

PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
"""The camera pairs of a headset."""
Boxes = Literal["joints", "given"]
"""Where crops are cut: by the annotated joints, rolled as the hand is, as a track that knows the hand would; or at the given
boxes, unrolled, as the published adaptation does. Either way where the hand is comes from the annotation, as it does there."""
_GIVEN_MARGIN, _GIVEN_LEAST_PX = 1.75, 100.0
"""What the published loaders make of a given box: a square of so many times its longer side, and no smaller one than this."""
_SQUARE = 0.01
"""By which share of the focal length the two axes may differ."""


@dataclass(frozen=True, slots=True)
class TrueHand:
    """A hand in one picture, as the annotation has it."""

    view: View
    side: Side
    file: Path
    camera: PinholeCamera
    R_camera_from_world: np.ndarray
    """(3, 3)."""
    joints_mm: np.ndarray
    """(21, 3) this camera's axes."""
    pixels: np.ndarray
    """(21, 2)."""
    valid: np.ndarray
    """(21,) bool."""
    box_px: np.ndarray
    """(4,) x0, y0, x1, y1, as given."""

    def read(self) -> np.ndarray:
        """The picture (H, W, 3) uint8 RGB. Raises UserError where it is missing, damaged, or of another size than annotated."""
        image = _decode(self.file)
        if image is None:
            raise UserError(f"{self.file} is not a whole picture: download it again, or delete the list of invalid hands")
        size_px = image.shape[1], image.shape[0]
        if size_px != self.camera.size_px:
            raise UserError(f"{self.file} is of {size_px} px, annotated with {self.camera.size_px}: download it again")
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    def box(self, boxes: Boxes = "joints", framing: Framing = AROUND_JOINTS) -> HandBox:
        """The square to crop, margin included; by the joints as `framing` has it."""
        if boxes == "joints":
            roll_deg = framing.standing(self.pixels)
            centre, size_px = framing.box(self.pixels, roll_deg)
        else:
            roll_deg = 0.0
            low, high = self.box_px[:2], self.box_px[2:]
            centre, size_px = (low + high) / 2, max(float(_GIVEN_MARGIN * (high - low).max()), _GIVEN_LEAST_PX)
        return HandBox(self.view, self.side, (float(centre[0]), float(centre[1])), size_px, 1.0, roll_deg)

    def crop(self, size: int, boxes: Boxes = "joints", framing: Framing = AROUND_JOINTS) -> HandCrop:
        """What a network of crops of `size` px sees; left hands mirrored. Reads the picture."""
        return HandCrop.cut(self.box(boxes, framing), self.camera, self.read(), size)


@dataclass(frozen=True, slots=True)
class TruePair:
    """One hand in two pictures of one moment."""

    sequence: str
    frame: int
    side: Side
    hands: PerView[TrueHand]
    """The pair's first camera is `left`."""

    @property
    def R_right_from_left(self) -> np.ndarray:
        """(3, 3) true rotation between the cameras at this moment."""
        return self.hands.right.R_camera_from_world @ self.hands.left.R_camera_from_world.T


class HandPairs:
    """The hand pairs of one camera pair, in a fixed order; holds the split's index and nothing else."""

    def __init__(self, hands: "AssemblyHands", setup: int, pair: tuple[int, int], rows: np.ndarray):
        """`rows` (N, 2): moments and sides, indices into the annotations."""
        self.setup, self.pair = setup, pair
        self._hands, self._rows = hands, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, number: int) -> TruePair: ...

    @overload
    def __getitem__(self, number: slice) -> "HandPairs": ...

    def __getitem__(self, number: int | slice) -> "TruePair | HandPairs":
        if isinstance(number, slice):
            return HandPairs(self._hands, self.setup, self.pair, self._rows[number])
        moment, side = (int(index) for index in self._rows[number])
        return self._hands.pair_at(moment, side, self.pair)

    def __iter__(self) -> Iterator[TruePair]:
        return (self[number] for number in range(len(self)))

    def shard(self, number: int, count: int) -> "HandPairs":
        """Every `count`-th pair from `number` on: all shards together are the whole, none shares a pair with another."""
        assert 0 <= number < count, (number, count)
        return self[number::count]


class AssemblyHands:
    """One split of the data set."""

    def __init__(self, root: Path, split: str = "val", cache: Path | None = None):
        """`root` holds `annotations` and `images`; what is found out once is kept in `cache`, next to the annotations if None.

        Raises UserError for what is missing or damaged.
        """
        self.root, self.split = root, split
        self._index = open_index(root, split, cache)
        self._usable = usable_hands(root, split, self._index, cache)

    def pairs(self, setup: int, pair: tuple[int, int], pic: int = -1) -> HandPairs:
        """The hands that both cameras of a pair show, the first `pic` of them, all if that is negative.

        Raises UserError for a headset or a pair that is none, or that the split does not show.
        """
        if setup not in range(len(HEADSETS)) or pair not in PAIRS:
            known = " ".join(f"{a},{b}" for a, b in PAIRS)
            raise UserError(f"there is no camera pair {pair[0]},{pair[1]} of headset {setup}: expected one of {known} of 0 or 1")
        of_headset = (self._index.headset == setup)[:, None]
        rows = np.argwhere(of_headset & self._usable[:, :, pair[0]] & self._usable[:, :, pair[1]])
        if not len(rows):
            raise UserError(
                f"{self.root}: the split {self.split} shows no hand to cameras {pair[0]} and {pair[1]} of headset {setup}: "
                "give another pair or split"
            )
        return HandPairs(self, setup, pair, rows[:pic] if pic >= 0 else rows)

    def pair_at(self, moment: int, side: int, pair: tuple[int, int]) -> TruePair:
        """The hand of one moment, before two cameras."""
        index = self._index
        hands = PerView(*(self._hand(view, moment, side, camera) for view, camera in zip(("left", "right"), pair, strict=True)))
        return TruePair(index.sequences[index.sequence[moment]], int(index.frame[moment]), SIDES[side], hands)

    def _hand(self, view: View, moment: int, side: int, camera: int) -> TrueHand:
        index = self._index
        file = self.root / "images" / index.picture(moment, camera)
        K = index.intrinsics[index.sequence[moment], camera].astype(float)
        width, height = index.size_px[moment, camera].tolist()
        if abs(K[0, 0] / K[1, 1] - 1) > _SQUARE or abs(K[0, 1]) > _SQUARE * K[0, 0]:
            raise UserError(f"{file}: its camera {K.round(1).tolist()} has no square pixels: expected a rectified picture")
        seen_by = PinholeCamera(float(np.sqrt(K[0, 0] * K[1, 1])), (float(K[0, 2]), float(K[1, 2])), (width, height))
        world_to_camera = index.world_to_camera[moment, camera].astype(float)
        R, t = world_to_camera[:, :3], world_to_camera[:, 3]
        joints_mm = index.joints_mm[moment, side].astype(float) @ R.T + t
        return TrueHand(
            view=view,
            side=SIDES[side],
            file=file,
            camera=seen_by,
            R_camera_from_world=R,
            joints_mm=joints_mm,
            pixels=seen_by.project(joints_mm),
            valid=index.valid[moment, side, camera],
            box_px=index.box_px[moment, side, camera].astype(float),
        )


def _decode(file: Path) -> np.ndarray | None:
    """(H, W, 3) BGR; None where the file holds no picture."""
    try:
        data = np.fromfile(file, np.uint8)
    except FileNotFoundError as error:
        raise UserError(f"{file} is not there: download the pictures of its sequence") from error
    return cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if len(data) else None
