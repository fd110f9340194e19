"""Advice is a motion that both cameras would see, and that makes the cameras better known than the same hands once more."""

from dataclasses import replace

import numpy as np
import pytest

from capture.views import VIEWS, PerView, View
from hand.joints import JOINTS
from hand.rotations import angle_deg
from runtime.calibration.bundle import Bundle, Keypoints
from runtime.calibration.landmark_bias import hand_axes
from runtime.calibration.minimizer import minimize
from runtime.calibration.motion_advice import KNOWN_DEG, Sighting, advised, imagine
from runtime.calibration.robust_losses import FINAL_LOSSES
from runtime.calibration.status import HandMotion
from runtime.calibration.variables import CHILD, PARENT, Scene
from tests.runtime.keypoints import SyntheticPairs, noiseless, prior_at
from tools.evaluate.two_views import sample_rig

PAIRS = 12


def bundle_of(views: PerView[Keypoints], scene: Scene) -> Bundle:
    return Bundle(views, prior_at(scene), FINAL_LOSSES)


def seen_by(pairs: SyntheticPairs | Sighting, joints: np.ndarray) -> Sighting:
    """The same cameras and other hands, without noise."""
    scene = replace(pairs.scene, joints=joints)

    def keypoints(view: View) -> Keypoints:
        points, like = scene.in_view_axes(view), pairs.views[view]
        pixels = scene.focal(view) * points[..., :2] / points[..., 2:] + like.centre_px
        return replace(like, pixels=pixels, shape=points - points[:, :1])

    return Sighting(PerView.of(keypoints), scene)


@pytest.fixture(scope="module")
def held_still() -> Sighting:
    """Cameras 60° apart see a hand that neither turns nor travels."""
    pairs = noiseless(sample_rig(np.random.default_rng(4), 60, PerView(85.0, 85.0)), PAIRS)
    one = pairs.scene.joints[:1]
    in_middle = one - one.mean(1, keepdims=True) + pairs.scene.joints.mean((0, 1))
    return seen_by(pairs, np.repeat(in_middle, PAIRS, axis=0))


@pytest.mark.parametrize("motion", HandMotion)
def test_an_imagined_hand_keeps_its_bones_and_is_seen_where_it_is(motion: HandMotion, held_still: Sighting):
    imagined = imagine(held_still, motion)
    assert imagined is not None
    joints, before = imagined.scene.joints, held_still.scene.joints
    lengths = np.linalg.norm(joints[:, CHILD] - joints[:, PARENT], axis=-1)
    expected = np.linalg.norm(before[0, CHILD] - before[0, PARENT], axis=-1)
    np.testing.assert_allclose(lengths, np.broadcast_to(expected, lengths.shape))
    residuals = bundle_of(imagined.views, imagined.scene).pixel_residuals(imagined.scene, "right")
    assert residuals.squared.max() < 1e-12
    for view in VIEWS:
        pixels, size = imagined.views[view].pixels, 2 * imagined.views[view].centre_px + 1
        assert ((pixels > 0) & (pixels < size)).all((1, 2)).mean() > 0.5


def test_motions_lead_where_their_names_say(held_still: Sighting):
    def distance(motion: HandMotion | None, view: View) -> float:
        sighting = held_still if motion is None else imagine(held_still, motion)
        assert sighting is not None
        return float(np.linalg.norm(sighting.scene.in_view_axes(view).mean((0, 1))))

    assert distance(HandMotion.NEARER_LEFT, "left") < distance(None, "left")
    assert distance(HandMotion.NEARER_RIGHT, "right") < distance(None, "right")
    assert all(distance(HandMotion.AWAY, view) > distance(None, view) for view in VIEWS)
    assert all(distance(HandMotion.TURN, view) == pytest.approx(distance(None, view)) for view in VIEWS)
    across = imagine(held_still, HandMotion.ACROSS)
    assert across is not None
    assert np.ptp(across.views.left.pixels.mean(1), axis=0).min() > 0.2 * held_still.views.left.centre_px[0]


def test_a_hand_at_the_camera_is_not_asked_nearer(held_still: Sighting):
    scene = held_still.scene
    middle = scene.joints.mean((0, 1))
    near = scene.joints + (1.5 / np.linalg.norm(middle) - 1) * middle
    assert imagine(seen_by(held_still, near), HandMotion.NEARER_LEFT) is None


def test_what_is_advised_lowers_the_error_that_biased_landmarks_make(held_still: Sighting):
    advice = advised(bundle_of(held_still.views, held_still.scene), held_still.scene)
    assert advice is not None
    moved = imagine(held_still, advice)
    assert moved is not None

    def error_deg(more: Sighting, offsets: np.ndarray) -> float:
        scene = replace(held_still.scene, joints=np.concatenate([held_still.scene.joints, more.scene.joints]))
        R = hand_axes(scene.joints)

        def biased(view: View) -> Keypoints:
            off = replace(scene, joints=scene.joints + offsets[VIEWS.index(view)] @ R.swapaxes(1, 2)).in_view_axes(view)
            one, other = held_still.views[view], more.views[view]
            pixels = scene.focal(view) * off[..., :2] / off[..., 2:] + one.centre_px
            sigma_px, shape, shape_sigma = (
                np.concatenate([getattr(one, name), getattr(other, name)]) for name in ("sigma_px", "shape", "shape_sigma")
            )
            return Keypoints(pixels, sigma_px, shape, shape_sigma, one.centre_px)

        found, _ = minimize(bundle_of(PerView.of(biased), scene), scene, 15, 1e-9)
        return float(angle_deg(found.R_right_from_left, scene.R_right_from_left))

    rng = np.random.default_rng(1)
    trials = [rng.normal(0, 0.01, (len(VIEWS), JOINTS, 3)) for _ in range(4)]
    still, after = (np.mean([error_deg(more, offsets) for offsets in trials]) for more in (held_still, moved))
    assert after < still


def test_nothing_is_advised_for_cameras_that_are_given_or_known(held_still: Sighting):
    scene = held_still.scene
    given = Bundle(held_still.views, replace(prior_at(scene), place=False), FINAL_LOSSES)
    assert advised(given, scene) is None
    assert KNOWN_DEG > 0
