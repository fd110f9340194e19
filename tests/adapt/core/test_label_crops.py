"""Crops of labelled hands: what the crop shows is what the frame shows, and labels go there and back."""

import numpy as np
import pytest

from adapt.core.geometry_labels import ViewLabel
from adapt.core.label_crops import LabelledCrop
from capture.views import VIEWS
from runtime.estimators.framing import AROUND_JOINTS, BOX_MARGIN, Framing, palm_box, palm_roll, roll_of
from runtime.types import Side
from tests.runtime.scenes import CAMERAS, IMAGES, Scene

SIZE, BORDER = 64, 8
PALM = Framing(upright=True, around="palm")
both_sides = pytest.mark.parametrize("side", ["right", "left"])


def label_of(scene: Scene, view) -> ViewLabel:
    sure = np.full(21, 0.02)
    return ViewLabel(view, scene.side, CAMERAS[view], scene.pixels(view), sure, scene.truth(view), sure)


def crops_of(
    side: Side, jitter: np.random.Generator | None = None, framing: Framing = AROUND_JOINTS
) -> list[tuple[Scene, ViewLabel, LabelledCrop]]:
    """Of a moving hand, in both views."""
    crops = []
    for seq in range(0, 60, 4):
        scene = Scene(side)
        scene.seq = seq
        for view in VIEWS:
            label = label_of(scene, view)
            crops.append((scene, label, LabelledCrop.cut(label, IMAGES[view], SIZE, framing, BORDER, jitter)))
    return crops


@both_sides
def test_a_crops_label_maps_back_to_the_frames(side):
    for _, label, crop in crops_of(side, np.random.default_rng(1)):
        assert crop.camera.mirror == (side == "left")
        assert crop.image.shape == (SIZE + 2 * BORDER, SIZE + 2 * BORDER, 3)
        np.testing.assert_allclose(crop.camera.joints_in_frame(crop.joints), label.joints, atol=1e-9)
        np.testing.assert_allclose(crop.camera.frame_from_crop(crop.pixels), label.pixels, atol=1e-6)


@both_sides
def test_the_crops_camera_sees_its_joints_at_its_pixels(side):
    for scene, label, crop in crops_of(side, np.random.default_rng(2)):
        joints = crop.camera.joints_in_crop(scene.joints(label.view))
        np.testing.assert_allclose(crop.camera.project(joints), crop.pixels, atol=1e-6)


@both_sides
def test_every_hand_is_shown_as_a_right_one(side):
    # Seen by a mirrored camera, a left hand is the right hand that its mirror image is.
    for _, label, crop in crops_of(side):
        palm = np.cross(label.joints[5], label.joints[17]) @ label.joints[12]
        shown = np.cross(crop.joints[5], crop.joints[17]) @ crop.joints[12]
        assert np.sign(shown) == (np.sign(palm) if side == "right" else -np.sign(palm))


@both_sides
def test_the_picture_shows_the_frame_where_the_label_says(side):
    inside = 0
    for _, label, crop in crops_of(side):
        width, height = label.camera.size_px
        whole = crop.pixels[(np.abs(crop.pixels - (crop.camera.size - 1) / 2) < SIZE / 2).all(1)]
        frame = crop.camera.frame_from_crop(whole)
        seen = frame[((frame > 4) & (frame < [width - 5, height - 5])).all(1)]
        there = np.round(crop.camera.crop_from_frame(seen)).astype(int)
        told = crop.image[there[:, 1], there[:, 0], :2] * [width / 255, height / 255]
        inside += len(seen)
        # Half a crop pixel, and a level of the colours that say which pixel it is.
        step = np.linalg.norm(np.ptp(label.pixels, axis=0)) / SIZE + 255 / 100
        assert (np.linalg.norm(told - seen, axis=1) < 2 * step).all()
    assert inside > 300


def test_without_jitter_the_hand_stands_upright_in_its_margin():
    for _, _, crop in crops_of("right"):
        assert abs(roll_of(crop.pixels)) < 8
        low, high = crop.pixels.min(0), crop.pixels.max(0)
        np.testing.assert_allclose((low + high) / 2, (crop.camera.size - 1) / 2, atol=0.06 * SIZE)
        assert (high - low).max() * BOX_MARGIN == pytest.approx(SIZE, rel=0.12)


def test_around_the_palm_the_hand_stands_in_mediapipes_square():
    for _, label, crop in crops_of("left", framing=PALM):
        assert abs(palm_roll(crop.pixels)) < 8
        centre, side_px = palm_box(crop.pixels, 0.0)
        np.testing.assert_allclose(centre, (crop.camera.size - 1) / 2, atol=0.06 * SIZE)
        assert side_px == pytest.approx(SIZE, rel=0.12)
        np.testing.assert_allclose(crop.camera.frame_from_crop(crop.pixels), label.pixels, atol=1e-6)


def test_a_palm_is_found_with_its_roll():
    random = np.random.default_rng(3)
    crops = [crop for _ in range(3) for _, _, crop in crops_of("right", random, PALM)]
    roll = np.array([palm_roll(crop.pixels) for crop in crops])
    assert np.abs(roll).max() < 60 and roll.std() > 8
    off = np.array([palm_box(crop.pixels, 0.0)[0] - (crop.camera.size - 1) / 2 for crop in crops]) / SIZE
    assert 0.04 < off.std() < 0.15


def test_jitter_is_as_that_of_drawn_hands():
    random = np.random.default_rng(3)
    crops = [crop for _ in range(6) for _, _, crop in crops_of("left", random)]
    roll = np.array([roll_of(crop.pixels) for crop in crops])
    span = np.array([np.ptp(crop.pixels, axis=0).max() for crop in crops]) * BOX_MARGIN / SIZE
    # A fifth stands any way, of which a quarter falls within 45 degrees by chance.
    assert np.mean(np.abs(roll) > 45) == pytest.approx(0.2 * 0.75, abs=0.08)
    assert np.quantile(span, 0.02) > 0.65 and np.quantile(span, 0.98) < 1.4 and span.std() > 0.08
    middle = np.array([(crop.pixels.min(0) + crop.pixels.max(0)) / 2 - (crop.camera.size - 1) / 2 for crop in crops]) / SIZE
    assert 0.04 < middle.std() < 0.15
