"""A pseudo-label is the fitted hand as each camera sees it, weighted by its certainty."""

import numpy as np
import pytest

from adapt.core.geometry_labels import STUDENT_ERROR, view_labels
from capture.views import VIEWS, PerView
from hand.joints import unit_hand
from runtime.fusion.hand_fit import FittedHand
from tests.adapt.recordings import GEOMETRY
from tests.runtime.scenes import Scene


def fitted(joints_mm: np.ndarray, sigma_mm: np.ndarray) -> FittedHand:
    weight = np.full(21, 0.5)
    return FittedHand(joints_mm, unit_hand(joints_mm), sigma_mm, weight, 1.0, GEOMETRY.project(joints_mm))


@pytest.mark.parametrize("seq", [0, 11])
def test_labels_are_the_hand_in_each_cameras_axes_and_picture(seq):
    scene = Scene()
    scene.seq = seq
    labels = view_labels(fitted(scene.joints("left") * 1000, np.full(21, 5.0)), "right", GEOMETRY)
    for view in VIEWS:
        label = labels[view]
        assert (label.view, label.side) == (view, "right")
        np.testing.assert_allclose(label.joints, scene.truth(view), atol=1e-9)
        np.testing.assert_allclose(label.pixels, scene.pixels(view), atol=1e-6)
        np.testing.assert_allclose(label.camera.project(scene.joints(view)), label.pixels, atol=1e-6)


def test_a_pixels_deviation_is_that_of_joints_scattered_about_theirs():
    scene, random = Scene(), np.random.default_rng(0)
    joints_mm, sigma_mm = scene.joints("left") * 1000, np.linspace(2, 12, 21)
    labels = view_labels(fitted(joints_mm, sigma_mm), "right", GEOMETRY)
    near = joints_mm + random.normal(size=(4000, 21, 3)) * (sigma_mm / np.sqrt(3))[:, None]
    seen = GEOMETRY.project(near)
    for view in VIEWS:
        scatter = np.sqrt(((seen[view] - labels[view].pixels) ** 2).mean((0, 2)))
        np.testing.assert_allclose(labels[view].sigma_px, scatter, rtol=0.15)
        np.testing.assert_allclose(labels[view].sigma, sigma_mm / 90, rtol=1e-6)


def test_the_more_certain_a_joint_the_higher_its_weight():
    sigma_mm = np.linspace(0, 200, 21)
    weight = PerView.of(lambda view: view_labels(fitted(Scene().joints("left") * 1000, sigma_mm), "right", GEOMETRY)[view].weight)
    assert np.array_equal(weight.left, weight.right)
    assert weight.left[0] == 1 and (np.diff(weight.left) < 0).all() and weight.left[-1] > 0
    assert np.interp(STUDENT_ERROR * 90, sigma_mm, weight.left) == pytest.approx(0.5, abs=0.02)
