"""Laws of synthetic two-view observations: they are the truth but for the errors asked for; each fault does what it says."""

import numpy as np
import pytest
import torch

from capture.views import VIEWS, PerView
from hand.camera import PinholeCamera
from hand.joints import BONES, DEFAULT_HAND_SIZE_MM, unit_hand
from hand.model import HandModel
from hand.rotations import angle_deg
from runtime.types import ViewHand
from tools.evaluate import faults, motion, two_views
from tools.evaluate.motion import sample_motion
from tools.evaluate.two_views import Observed, Rig, observe, sample_rig

SECONDS = 3.0


def drawn(seed: int = 0, **asked: float) -> Observed:
    """A rig and a motion of some seconds."""
    rng = np.random.default_rng(seed)
    return observe(rng, sample_rig(rng), sample_motion(rng, SECONDS), **asked)


def seen(observed: Observed) -> tuple[np.ndarray, PerView[np.ndarray]]:
    """Numbers (M,) of the pairs that there are, and both views' pixels (M, 21, 2)."""
    there = np.array([number for number, pair in enumerate(observed.pairs) if pair is not None])
    return there, PerView.of(lambda view: np.stack([hand.pixels for hand in hands(observed, view) if hand]))


def hands(observed: Observed, view: str) -> list[ViewHand | None]:
    return [pair and (pair.left if view == "left" else pair.right) for pair in observed.pairs]


def same(one: ViewHand | None, other: ViewHand | None) -> bool:
    """Whether two hands are of the same view and equal, number by number; nothing equals nothing."""
    if one is None or other is None:
        return one is other
    arrays = zip((one.joints, one.pixels, one.confidence), (other.joints, other.pixels, other.confidence), strict=True)
    return one.view == other.view and all(np.array_equal(a, b) for a, b in arrays)


def bones_mm(joints: np.ndarray) -> np.ndarray:
    return np.stack([np.linalg.norm(joints[:, child] - joints[:, parent], axis=1) for parent, child in BONES], 1)


@pytest.mark.parametrize("seed", range(4))
def test_undisturbed_views_agree_with_the_rig_and_the_joints(seed: int):
    observed = drawn(seed, noise_px=0, outliers=0, own_noise=0)
    geometry, (there, pixels) = observed.rig.geometry, seen(observed)
    assert np.abs(geometry.sampson_px(pixels)).max() < 1e-6
    met = geometry.triangulate(pixels, pixels.map(lambda of_view: np.ones(of_view.shape[:-1])))
    np.testing.assert_allclose(met, observed.joints_mm[there], atol=1e-3)
    truth = geometry.in_view_axes(observed.joints_mm[there])
    for view in VIEWS:
        own = np.stack([hand.joints for hand in hands(observed, view) if hand])
        np.testing.assert_allclose(own, unit_hand(truth[view]), atol=1e-12)


@pytest.mark.parametrize("sample", [sample_motion, motion.in_place, motion.still])
def test_bones_keep_their_length_and_the_palm_is_90_mm(sample):
    lengths = bones_mm(sample(np.random.default_rng(3), SECONDS))
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[0], lengths.shape), rtol=1e-4)
    np.testing.assert_allclose(lengths[:, BONES.index((0, 9))], DEFAULT_HAND_SIZE_MM, rtol=1e-6)


def test_people_differ_as_people_do():
    model = HandModel.load()
    people = torch.stack([motion.sample_person(np.random.default_rng(seed)) for seed in range(200)])
    rest = model.joints + torch.einsum("nk,kjc->njc", people, model.shape_joints)
    fingers = bones_mm(unit_hand(rest.numpy()))[:, [number for number, (parent, _) in enumerate(BONES) if parent != 0]]
    assert 0.05 < (fingers.std(0) / fingers.mean(0)).mean() < 0.09


def test_one_person_keeps_the_bones_from_motion_to_motion():
    person = motion.sample_person(np.random.default_rng(0))
    one, other = (sample_motion(np.random.default_rng(seed), 0.2, person=person) for seed in (1, 2))
    np.testing.assert_allclose(bones_mm(one)[0], bones_mm(other)[0], rtol=1e-4)
    assert np.abs(one - other).max() > 10


def test_the_same_seed_gives_the_same_data_and_another_one_other_data():
    one, again, other = drawn(5), drawn(5), drawn(6)
    np.testing.assert_array_equal(one.joints_mm, again.joints_mm)
    assert all(same(a, b) for view in VIEWS for a, b in zip(hands(one, view), hands(again, view), strict=True))
    assert not any(same(a, b) for a, b in zip(hands(one, "left"), hands(other, "left"), strict=True) if a or b)


def test_noise_and_outliers_are_as_many_as_asked():
    observed = drawn(7, noise_px=2, outliers=0.2)
    there, pixels = seen(observed)
    true = observed.rig.geometry.project(observed.joints_mm[there])
    off = np.stack(list(pixels)) - np.stack(list(true))
    gross = np.linalg.norm(off, axis=-1) > 10
    # An outlier of 0.4 spans of some 100 px lies within 10 px by chance in about 3 of 100.
    assert gross.mean() == pytest.approx(0.2, abs=0.02)
    assert off[~gross].std() == pytest.approx(2, rel=0.1)


def test_a_views_own_hand_is_off_as_measured_slowly_and_confidence_falls_with_the_error():
    errors, confidence, steps = [], [], []
    for seed in range(6):
        observed = drawn(seed, outliers=0, noise_px=0)
        there, _ = seen(observed)
        own = np.stack([hand.joints for hand in hands(observed, "left") if hand])
        off = own - unit_hand(observed.joints_mm[there])
        errors.append(np.linalg.norm(off, axis=-1))
        confidence.append(np.stack([hand.confidence for hand in hands(observed, "left") if hand]))
        steps.append(np.linalg.norm(np.diff(off, axis=0), axis=-1)[np.diff(there) == 1])
    error = np.concatenate(errors)
    # The product's network is 26 mm off in each view of the real clip, 29-31 mm on drawn hands.
    assert 20 < error.mean() * DEFAULT_HAND_SIZE_MM < 32
    assert np.concatenate(steps).mean() < 0.25 * error.mean()
    sure = np.concatenate(confidence)
    assert sure.min() > 0 and sure.max() <= 1
    assert error[sure > np.median(sure)].mean() < 0.8 * error[sure < np.median(sure)].mean()


def test_hands_given_are_whole_in_both_pictures_and_before_both_cameras():
    lost = 0
    for seed in range(12):
        observed = drawn(seed, noise_px=0, outliers=0)
        there, pixels = seen(observed)
        lost += len(observed.pairs) - len(there)
        geometry = observed.rig.geometry
        for view in VIEWS:
            assert geometry.in_view_axes(observed.joints_mm[there])[view][..., 2].min() > two_views.IN_FRONT_MM
            assert pixels[view].min() >= 0 and (pixels[view] <= np.array(geometry.cameras[view].size_px) - 1).all()
    assert 0 < lost < 0.4 * 12 * SECONDS * 30


def test_rigs_are_spread_as_told():
    rigs = [sample_rig(np.random.default_rng(seed)) for seed in range(200)]
    axes = np.array([rig.axes_deg for rig in rigs])
    between = [np.degrees(np.arccos(rig.geometry.R_right_from_left[2, 2])) for rig in rigs]
    np.testing.assert_allclose(between, axes, atol=1e-6)
    assert axes.min() < 25 and axes.max() > 155 and 80 < axes.mean() < 100
    fovs = np.array([list(rig.fov_deg) for rig in rigs])
    assert 45 <= fovs.min() < 50 and 105 < fovs.max() <= 110
    assert 0.4 < (fovs[:, 0] == fovs[:, 1]).mean() < 0.6
    asked = sample_rig(np.random.default_rng(0), 40, PerView(50.0, 70.0))
    assert asked.axes_deg == 40 and asked.geometry.cameras.right.size_px == (640, 480)
    assert asked.geometry.cameras.right.focal_px == pytest.approx(320 / np.tan(np.radians(35)))


def test_hands_are_of_a_usual_size_in_the_picture_and_move_as_hands_do():
    spans, speeds, extents = [], [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        rig, joints = sample_rig(rng), sample_motion(rng, 10)
        _, pixels = seen(observe(rng, rig, joints, noise_px=0, outliers=0))
        spans += [np.median(np.ptp(of_view, axis=1).max(-1)) for of_view in pixels]
        palm = joints[:, [0, 9]].mean(1)
        speeds.append(np.linalg.norm(np.diff(palm, axis=0), axis=1).max() * 0.030)
        extents.append(np.ptp(palm, axis=0).max())
    assert min(spans) > 80 and max(spans) < 210
    assert max(speeds) < 1.05 and 200 < np.median(extents) < 400


def test_a_still_hand_is_still_and_one_in_place_moves_fingers_alone():
    still, fingers = (sample(np.random.default_rng(1), SECONDS) for sample in (motion.still, motion.in_place))
    assert np.ptp(still, axis=0).max() == 0
    palm = [0, 5, 9, 13, 17]
    assert np.ptp(fingers[:, palm], axis=0).max() < 1e-2 < 10 < np.ptp(fingers, axis=0).max()


def test_mirroring_flips_one_view_and_twice_is_identity():
    observed = drawn(2)
    flipped = faults.mirrored(observed)
    width = observed.rig.geometry.cameras.right.size_px[0]
    for old, new in zip(hands(observed, "right"), hands(flipped, "right"), strict=True):
        if old and new:
            np.testing.assert_allclose(new.pixels[:, 0], width - 1 - old.pixels[:, 0])
            np.testing.assert_array_equal(new.pixels[:, 1], old.pixels[:, 1])
            np.testing.assert_array_equal(new.joints, old.joints * [-1, 1, 1])
    assert all(same(a, b) for a, b in zip(hands(observed, "left"), hands(flipped, "left"), strict=True))
    there, pixels = seen(faults.mirrored(flipped))
    np.testing.assert_array_equal(there, seen(observed)[0])
    np.testing.assert_allclose(pixels.right, seen(observed)[1].right, atol=1e-9)


def test_a_late_view_shows_what_it_saw_before():
    observed = drawn(2)
    late = faults.unsynchronised(observed, 5)
    right, now = hands(observed, "right"), hands(late, "right")
    assert any(now) and not any(now[:5]) and len(now) == len(right)
    for number, hand in enumerate(now):
        assert hand is None or hand is right[number - 5]
    left = zip(hands(late, "left"), hands(observed, "left"), strict=True)
    assert all(hand is None or hand is old for hand, old in left)


def test_a_frozen_view_repeats_one_hand():
    observed = drawn(2)
    stuck = faults.frozen(observed, 1.0, "left")
    assert stuck.pairs[:30] == observed.pairs[:30]
    later = {id(hand) for hand in hands(stuck, "left")[30:] if hand}
    assert len(later) == 1 and later == {id([hand for hand in hands(observed, "left")[:30] if hand][-1])}
    assert len({id(hand) for hand in hands(stuck, "right")[30:] if hand}) > 30


def test_two_hands_come_from_two_motions_before_the_same_cameras():
    rng = np.random.default_rng(4)
    rig = sample_rig(rng)
    one, other = (observe(rng, rig, sample_motion(rng, SECONDS), noise_px=0, outliers=0) for _ in range(2))
    mixed = faults.two_hands(one, other)
    assert all(same(hand, hands(one, "left")[number]) for number, hand in enumerate(hands(mixed, "left")) if hand)
    assert all(same(hand, hands(other, "right")[number]) for number, hand in enumerate(hands(mixed, "right")) if hand)
    assert np.median(np.abs(rig.geometry.sampson_px(seen(mixed)[1]))) > 5


def test_a_moved_camera_turns_by_what_is_asked_and_only_from_then_on():
    rng = np.random.default_rng(4)
    rig, joints = sample_rig(rng), sample_motion(rng, SECONDS)
    pushed: Rig = two_views.moved(rng, rig, 8)
    assert angle_deg(rig.geometry.R_right_from_left, pushed.geometry.R_right_from_left) == pytest.approx(8)
    middle = rig.in_left(np.zeros(3))
    np.testing.assert_allclose(pushed.geometry.in_view_axes(middle).right, rig.geometry.in_view_axes(middle).right, atol=1e-9)
    before, after = (observe(rng, one, joints, noise_px=0, outliers=0) for one in (rig, pushed))
    both = faults.then(before, after, 1.0)
    assert both.pairs[:30] == before.pairs[:30] and both.pairs[30:] == after.pairs[30:] and both.rig is pushed
    there, pixels = seen(both)
    early = there < 30
    for geometry, right in ((rig.geometry, early), (pushed.geometry, ~early)):
        off = np.abs(geometry.sampson_px(pixels)).max(1)
        assert off[right].max() < 1e-6 and np.median(off[~right]) > 3
    np.testing.assert_allclose(both.joints_mm, before.joints_mm, atol=1e-9)


def test_another_person_takes_over():
    rng = np.random.default_rng(9)
    rig = sample_rig(rng)
    one, other = (observe(rng, rig, sample_motion(rng, SECONDS)) for _ in range(2))
    lengths = bones_mm(faults.then(one, other, 1.0).joints_mm)
    np.testing.assert_allclose(lengths[:30], bones_mm(one.joints_mm)[:30], rtol=1e-9)
    np.testing.assert_allclose(lengths[30:], bones_mm(other.joints_mm)[30:], rtol=1e-9)


def test_a_wrong_field_of_view_turns_hands_off_the_middle():
    rng = np.random.default_rng(1)
    rig = sample_rig(rng, 60, PerView(90.0, 60.0))
    observed = observe(rng, rig, sample_motion(rng, SECONDS), 0, 0, own_noise=0, assumed_fov_deg=60)
    there, pixels = seen(observed)
    truth = rig.geometry.in_view_axes(observed.joints_mm[there])
    own = PerView.of(lambda view: np.stack([hand.joints for hand in hands(observed, view) if hand]))
    np.testing.assert_allclose(own.right, unit_hand(truth.right), atol=1e-9)
    assumed = PinholeCamera.from_fov(640, 480, 60)
    for hand, true, pixel in zip(own.left, unit_hand(truth.left), pixels.left, strict=True):
        turn = np.linalg.lstsq(true, hand, rcond=None)[0].T
        # The network sees the hand along its ray, and a crop that takes the camera for a narrow one places it along another.
        ray = rig.geometry.cameras.left.rays(pixel.mean(0))
        np.testing.assert_allclose(turn @ ray, assumed.rays(pixel.mean(0)), atol=1e-9)
        assert angle_deg(turn, np.eye(3)) == pytest.approx(np.degrees(np.arccos(ray @ turn @ ray)), abs=1e-4)
