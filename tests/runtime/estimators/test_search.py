"""The search of a single picture finds every hand once, at any position, roll and handedness."""

import msgspec
import numpy as np
import pytest

from hand.camera import PinholeCamera
from runtime.engines.engine import Predictions
from runtime.estimators.framing import box_around, palm_box, palm_roll, roll_of
from runtime.estimators.search import GRID_STEP, LOCATOR_WEIGHT, SearchHit, box_grid, search, without_duplicates
from runtime.networks.weights import Manifest
from runtime.types import HandBox, Side, ViewHand
from tests.runtime.hands import flexed_hand

WIDTH, HEIGHT, SIZE = 160, 120, 64
SPARSE = 8
"""Every so many-th pixel of a crop is read."""
CAMERA = PinholeCamera.from_fov(WIDTH, HEIGHT)


def coordinates() -> np.ndarray:
    """A picture whose red and green encode x and y; blue is 255 inside the picture."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x, y, np.full_like(x, 255)], -1).astype(np.uint8)


def hand_at(centre: tuple[float, float], size: float, roll_deg: float, side: Side) -> np.ndarray:
    """(21, 2) px of a hand whose fingers point to `roll_deg` clockwise from up."""
    flat = flexed_hand()[:, :2] * [1 if side == "right" else -1, 1]
    cos, sin = np.cos(np.radians(roll_deg)), np.sin(np.radians(roll_deg))
    turned = flat @ np.array([[cos, sin], [-sin, cos]])
    low, high = turned.min(0), turned.max(0)
    return (turned - (low + high) / 2) * size / (high - low).max() + centre


class ColourEngine:
    """Engine that reads its crop's place from the colours, and predicts as a network trained on upright right hands.

    Its confidence grows with the fit of the box to the hand.
    """

    description = "reads"
    manifest = Manifest(
        architecture="detnet", root=0, crop_size=SIZE, map_size=8, axes="crop", upright=True, training_data="none"
    )

    def __init__(self, hands: list[np.ndarray], sides: list[Side]):
        self.hands, self.sides = hands, sides

    def __call__(self, images: np.ndarray) -> Predictions:
        answers = [self._answer(image.astype(float)) for image in images]
        pixels, sure = (np.stack([answer[i] for answer in answers]) for i in (0, 1))
        return Predictions(np.tile(flexed_hand(), (len(images), 1, 1)), pixels, np.tile(sure[:, None], 21))

    def _answer(self, image: np.ndarray) -> tuple[np.ndarray, float]:
        rows, columns = SPARSE * np.array(np.nonzero(image[::SPARSE, ::SPARSE, 2] > 254))
        if len(rows) < SIZE * SIZE / 4 / SPARSE**2:
            return np.full((21, 2), SIZE / 2) + flexed_hand()[:, :2], 0.0
        picture_from_crop = np.linalg.lstsq(
            np.stack([columns, rows, np.ones_like(rows)], 1), image[rows, columns, :2], rcond=None
        )[0]
        turn = picture_from_crop[:2]
        best, surest = np.zeros((21, 2)), -1.0
        for pixels, side in zip(self.hands, self.sides, strict=True):
            crop = (pixels - picture_from_crop[2]) @ np.linalg.inv(turn)
            centre, size = box_around(crop)
            off = np.abs(centre - SIZE / 2).max() / SIZE + abs(np.log(size / SIZE)) + abs(roll_of(crop)) / 90
            mirrored = (np.linalg.det(turn) < 0) == (side == "right")
            sure = float(np.exp(-off)) * (0.5 if mirrored else 1.0)
            if sure > surest:
                best, surest = crop, sure
        return best, surest


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize(("centre", "size", "roll_deg"), [((50, 60), 60, 20), ((110, 45), 40, 170), ((95, 80), 50, -80)])
def test_the_hand_is_found_with_its_side_from_a_grid_alone(side, centre, size, roll_deg):
    truth = hand_at(centre, size, roll_deg, side)
    best = search(ColourEngine([truth], [side]), coordinates(), CAMERA, box_grid((WIDTH, HEIGHT)))[0]
    assert best.hand.side == best.box.side == side
    assert np.linalg.norm(best.hand.pixels - truth, axis=1).max() < 2
    assert best.score == pytest.approx(best.hand.confidence.mean() / (1 + LOCATOR_WEIGHT)), "no locator speaks for it"
    assert abs((best.box.roll_deg - roll_deg + 180) % 360 - 180) < 50


def test_two_hands_are_found_once_each_sorted_by_score():
    hands = [hand_at((40, 60), 50, 0, "right"), hand_at((120, 60), 50, 30, "left")]
    found = search(ColourEngine(hands, ["right", "left"]), coordinates(), CAMERA, box_grid((WIDTH, HEIGHT)))
    assert {one.hand.side for one in found[:2]} == {"right", "left"}
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len(found) == len(without_duplicates(found)) <= 3


def test_locator_score_decides_between_equal_hands():
    hands = [hand_at((40, 60), 50, 0, "right"), hand_at((120, 60), 50, 0, "right")]
    engine, everywhere = ColourEngine(hands, ["right", "right"]), box_grid((WIDTH, HEIGHT))
    for hand in hands:
        (x, y), size = box_around(hand)
        first, *_ = search(engine, coordinates(), CAMERA, [*everywhere, HandBox("left", "right", (x, y), size, 0.9)])
        assert np.linalg.norm(first.hand.pixels - hand, axis=1).max() < 2
        assert first.score > first.hand.confidence.mean() / (1 + LOCATOR_WEIGHT)


def test_only_the_given_boxes_are_searched():
    truth = hand_at((110, 45), 40, 0, "right")
    engine = ColourEngine([truth], ["right"])
    near = HandBox("left", "left", (112.0, 47.0), 58.0, 0.1)
    assert np.linalg.norm(search(engine, coordinates(), CAMERA, [near])[0].hand.pixels - truth, axis=1).max() < 2
    assert search(engine, coordinates(), CAMERA, []) == []


def test_overlapping_hits_keep_the_better_one():
    def found(centre: tuple[float, float], size: float, score: float) -> SearchHit:
        pixels = hand_at(centre, size, 0, "right")
        hand = ViewHand("left", "right", flexed_hand(), pixels, np.full(21, score))
        return SearchHit(hand, score, HandBox("left", "right", centre, size, 0.0))

    best, inside, beside = found((60, 60), 60, 0.9), found((65, 60), 20, 0.8), found((130, 60), 60, 0.7)
    assert without_duplicates([best, inside, beside]) == [best, beside]


@pytest.mark.parametrize("size_px", [(640, 480), (224, 224), (200, 900)])
def test_a_grid_covers_the_picture_at_every_scale(size_px):
    boxes = box_grid(size_px)
    points = np.random.default_rng(0).uniform(0, 1, (200, 2)) * (np.array(size_px) - 1)
    for side in {box.size_px for box in boxes}:
        centres = np.array([box.centre_px for box in boxes if box.size_px == side])
        assert (centres - side / 2 >= -0.51).all() and (centres + side / 2 <= np.array(size_px) - 0.49).all()
        nearest = np.abs(points[:, None] - centres).max(-1).min(1)
        assert (nearest <= side / 2 + 1).all()
        columns = np.unique(centres[:, 0])
        assert (np.diff(columns) <= GRID_STEP * side + 1e-6).all()


class TellingEngine(ColourEngine):
    """Tells presence and handedness, and sees left hands as well as right ones; its crops lie around the palm."""

    manifest = msgspec.structs.replace(ColourEngine.manifest, architecture="mediapipe-landmarks")

    def __init__(self, hand: np.ndarray, side: Side):
        super().__init__([hand], [side])
        self.crops = 0

    def __call__(self, images: np.ndarray) -> Predictions:
        self.crops += len(images)
        told = super().__call__(images)
        mirrored = np.linalg.det(np.stack([self._turn(image) for image in images])) < 0
        right = np.where(mirrored == (self.sides[0] == "left"), 0.97, 0.03)
        off = [self._off(pixels) for pixels in told.pixels]
        return Predictions(told.joints, told.pixels, np.full((len(images), 21), 0.3), np.exp(-np.array(off)), right)

    def _off(self, crop: np.ndarray) -> float:
        centre, size = palm_box(crop, 0.0)
        return float(np.abs(centre - SIZE / 2).max() / SIZE + abs(np.log(size / SIZE)) + abs(palm_roll(crop)) / 90)

    def _turn(self, image: np.ndarray) -> np.ndarray:
        """(2, 2) how the picture's pixels change with the crop's."""
        middle = image[SIZE // 2 - 8 : SIZE // 2 + 8, SIZE // 2 - 8 : SIZE // 2 + 8].astype(float)
        return np.stack([np.gradient(middle[..., :2], axis=axis).mean((0, 1)) for axis in (1, 0)])


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_network_that_tells_the_side_needs_no_mirrored_crops_nor_rolls_where_the_roll_is_known(side):
    truth = hand_at((80, 60), 50, 130, side)
    roll_deg = palm_roll(truth)
    (x, y), size = palm_box(truth, roll_deg)
    near = HandBox("left", "right", (float(x) + 4, float(y) - 3), 1.2 * size, 0.9, roll_deg + 10, turned=True)
    engine = TellingEngine(truth, side)
    (best,) = search(engine, coordinates(), CAMERA, [near])
    assert best.hand.side == best.box.side == side
    assert np.linalg.norm(best.hand.pixels - truth, axis=1).max() < 2
    # Once; as the other hand where it is one; and as far off as the box is, once or twice more.
    assert engine.crops <= 3 + (side == "left")
    # The box lies as a stream's next frame would have it.
    centre, size = palm_box(best.hand.pixels, best.box.roll_deg)
    assert np.abs(np.array(best.box.centre_px) - centre).max() < 0.02 * size and best.score > 0.9
