"""The adjustment finds small errors of cameras and stays within bounds; a hand is as large as its cameras' baseline says."""

from dataclasses import replace

import numpy as np
import pytest

from capture.views import PerView
from hand.joints import DEFAULT_HAND_SIZE_MM
from hand.rotations import angle_deg
from runtime.calibration.bundle import Keypoints
from runtime.calibration.check_fit import MAX_ADJUSTMENT, adjusted, agreement, costs, hand_sizes_mm, in_front, noise_of
from runtime.geometry.two_view import TwoViewGeometry
from tests.runtime.keypoints import noiseless
from tests.runtime.solutions import turned
from tools.evaluate.two_views import sample_rig

RIG = sample_rig(np.random.default_rng(3), 60, PerView(60.0, 60.0))
TRUE = RIG.geometry


@pytest.fixture(scope="module")
def views() -> PerView[Keypoints]:
    return noiseless(RIG, 20).views


def test_the_true_cameras_have_no_cost(views):
    assert costs(TRUE, views).max() < 1e-9 and agreement(TRUE, views) == 1 and in_front(TRUE, views).all()
    assert noise_of(TRUE, views) < 1e-9
    assert np.abs(adjusted(TRUE, views).adjustment).max() < 1e-6


@pytest.mark.parametrize("degrees", [1.0, -2.0])
def test_a_small_error_is_adjusted_and_part_of_the_uncertainty(views, degrees: float):
    cameras = adjusted(turned(TRUE, degrees), views)
    assert costs(cameras.geometry, views).mean() < 0.2 * costs(turned(TRUE, degrees), views).mean()
    assert cameras.uncertainty.rotation_deg > 0.5 * abs(degrees) and cameras.penalty > 0


def test_the_adjustment_is_bounded(views):
    far = turned(TRUE, 40)
    cameras = adjusted(far, views)
    assert angle_deg(cameras.geometry.R_right_from_left, far.R_right_from_left) <= np.degrees(MAX_ADJUSTMENT[0]) + 1e-6
    assert costs(cameras.geometry, views).mean() > 1


def test_joints_behind_a_camera_do_not_agree(views):
    behind = TwoViewGeometry(TRUE.cameras, TRUE.R_right_from_left, -TRUE.t_right_from_left_mm)
    assert not in_front(behind, views).any() and agreement(behind, views) == 0


@pytest.mark.parametrize("factor", [0.1, 1.0, 3.0])
def test_the_hand_grows_with_the_baseline(views, factor: float):
    geometry = replace(TRUE, t_right_from_left_mm=TRUE.t_right_from_left_mm * factor)
    assert hand_sizes_mm(geometry, views) == pytest.approx([DEFAULT_HAND_SIZE_MM * factor] * 2, rel=1e-3)
