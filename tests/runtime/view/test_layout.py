"""The measured layout shows cameras and hand at their measured positions, in view, without jumps."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.views import PerView
from hand.joints import DEFAULT_HAND_SIZE_MM, MIDDLE_MCP
from hand.rotations import from_vector
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import DualHand
from runtime.view.layout import Placement, ViewerLayout
from runtime.view.scene import Frustum, place_cameras, place_viewpoint
from tests.runtime.dual_hands import MS, dual_hand, facing, frame_pair
from tests.runtime.hands import flexed_hand

SIZE_PX = (1280, 720)
FRAME_NS = 33 * MS
DISTANCE_MM = 500.0
GEOMETRY = facing(70, DISTANCE_MM)
WRIST_MM = np.array([0.0, 60, DISTANCE_MM])
BEFORE = dual_hand(frame_pair(0), rotation=GEOMETRY.R_right_from_left)


def placed(geometry: TwoViewGeometry, wrist_mm: np.ndarray) -> DualHand:
    return replace(BEFORE, geometry=geometry, R_right_from_left=geometry.R_right_from_left, wrist_mm=wrist_mm)


def new_layout(geometry: TwoViewGeometry = GEOMETRY) -> ViewerLayout:
    return ViewerLayout(geometry.cameras, DEFAULT_HAND_SIZE_MM, SIZE_PX)


def layout_after(hands: list[DualHand], geometry: TwoViewGeometry) -> ViewerLayout:
    """After these hands, 33 ms apart."""
    layout = new_layout(geometry)
    for number, hand in enumerate(hands):
        layout.update(hand, number * FRAME_NS)
    return layout


def drawn_joints(placement: Placement, hand: DualHand = BEFORE) -> np.ndarray:
    return placement.wrist + DEFAULT_HAND_SIZE_MM * (hand.joints - hand.joints[0])


def drawn(placement: Placement) -> np.ndarray:
    """(31, 2) pixels of the joints, and of both cameras and their images' corners."""
    cameras = [np.vstack([frustum.apex, frustum.corners]) for frustum in placement.frusta if frustum]
    return placement.viewpoint.project(np.vstack([drawn_joints(placement), *cameras]))


def seen_through(frustum: Frustum, points: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """(N, 2) pixels at which rays from the apex to `points` (N, 3) pass the drawn image."""
    corner = frustum.corners[0]
    across, down = frustum.corners[1] - corner, frustum.corners[3] - corner
    ray = points - frustum.apex
    on_image = frustum.apex + ray * ((corner - frustum.apex) @ np.cross(across, down) / (ray @ np.cross(across, down)))[:, None]
    measured_share = np.stack([(on_image - corner) @ side / (side @ side) for side in (across, down)], -1)
    return measured_share * np.array(size_px) - 0.5


@st.composite
def rooms(draw) -> tuple[TwoViewGeometry, np.ndarray]:
    """Two cameras, side by side or facing each other, and where the wrist is."""
    number = st.floats
    fov = draw(number(45, 110)), draw(number(45, 110))
    distance = draw(number(300, 1200))
    geometry = facing(draw(number(10, 165)), distance, fov, draw(number(-0.3, 0.3)))
    if draw(st.booleans()):
        turn = from_vector(np.radians([draw(number(-10, 10)), draw(number(-10, 10)), 0]))
        geometry = TwoViewGeometry(geometry.cameras, turn, -turn @ np.array([draw(number(60, 1500)), 0, 0]))
    aside = np.array([draw(number(-0.3, 0.3)), draw(number(-0.3, 0.3)), draw(number(-0.2, 0.2))])
    return geometry, np.array([0, 0, distance]) + distance * aside


@settings(max_examples=40, deadline=None)
@given(rooms())
def test_cameras_and_hand_are_drawn_at_their_measured_positions_in_view(sphere):
    geometry, wrist_mm = sphere
    layout = new_layout(geometry)
    layout.update(placed(geometry, wrist_mm), 0)
    placement = layout.placement()
    left, right = placement.frusta
    assert left and right
    np.testing.assert_allclose(right.apex - left.apex, geometry.right_in_left_mm, atol=1e-6)
    np.testing.assert_allclose(right.R_camera_from_scene, geometry.R_right_from_left, atol=1e-9)
    joints = drawn_joints(placement)
    truth = geometry.project(wrist_mm + DEFAULT_HAND_SIZE_MM * BEFORE.joints)
    in_front = geometry.in_view_axes(wrist_mm + DEFAULT_HAND_SIZE_MM * BEFORE.joints).map(lambda points: points[:, 2] > 50)
    for frustum, camera, pixels, before in zip(placement.frusta, geometry.cameras, truth, in_front, strict=True):
        assert frustum
        np.testing.assert_allclose(seen_through(frustum, joints, camera.size_px)[before], pixels[before], atol=1e-6)

    pixels = drawn(placement)
    assert (pixels > 0).all() and (pixels < np.array([SIZE_PX[0], 0.94 * SIZE_PX[1]])).all()
    depths = (np.vstack([joints, left.apex, right.apex]) - placement.viewpoint.position) @ placement.viewpoint.R_eye_from_scene[2]
    assert (depths > 100).all()
    # Off the live images, and not a speck.
    assert (np.abs(pixels[:21, 0] - SIZE_PX[0] / 2) < SIZE_PX[0] / 2 - 320).all()
    assert np.ptp(pixels[:21], axis=0).max() > 40
    lowest = (np.vstack([joints, left.corners, right.corners]) @ placement.floor.axes[1]).max() if placement.floor else np.inf
    assert placement.floor and lowest < placement.floor.level + 1e-6


def test_layout_without_geometry_uses_the_rotation():
    layout = new_layout()
    frusta = place_cameras(GEOMETRY.cameras, BEFORE.R_right_from_left)
    for number in range(3):
        layout.update(replace(BEFORE, joints=flexed_hand(0.2 * number)), number * FRAME_NS)
        placement = layout.placement()
        for drawn_frustum, frustum in zip(placement.frusta, frusta, strict=True):
            assert drawn_frustum and frustum
            np.testing.assert_array_equal(drawn_frustum.corners, frustum.corners)
        np.testing.assert_allclose(
            drawn_joints(placement, replace(BEFORE, joints=flexed_hand(0.2 * number)))[MIDDLE_MCP], 0, atol=1e-9
        )
        np.testing.assert_allclose(placement.viewpoint.position, place_viewpoint(*SIZE_PX, frusta).position, atol=1e-9)
        assert placement.floor is None


@pytest.mark.parametrize(
    "geometry", [GEOMETRY, facing(20, 1100), facing(150, 400, (50, 100), 0.2)], ids=["near", "far", "facing"]
)
def test_layout_transitions_take_half_a_second_both_ways(geometry):
    layout = new_layout(geometry)
    wrist_mm = np.array([0.0, 60, 600])
    hands = [replace(BEFORE, R_right_from_left=geometry.R_right_from_left)] * 10
    hands += [placed(geometry, wrist_mm)] * 45 + [hands[0]] * 70
    pictures, shares = [], []
    for number, hand in enumerate(hands):
        layout.update(hand, number * FRAME_NS)
        pictures.append(drawn(layout.placement()))
        shares.append(layout.placement().measured)
    steps = np.linalg.norm(np.diff(pictures, axis=0), axis=-1).max(-1)
    there, back = pictures[54], pictures[-1]
    whole = np.linalg.norm(there - pictures[0], axis=-1).max()
    assert steps.max() < 0.2 * whole
    assert (steps[:9] < 1e-6).all()
    assert shares[9] == 0 and 0.85 < shares[10 + 15] < 0.95 and shares[54] > 0.999
    np.testing.assert_allclose(back, pictures[0], atol=0.5)
    floor = layout_after(hands[:55], geometry).placement().floor
    settled = layout_after([hands[20]], geometry).placement().floor
    assert floor and settled
    np.testing.assert_allclose(floor.axes, settled.axes, atol=1e-3)
    assert floor.level == pytest.approx(settled.level, abs=0.1)
    # The hand never leaves the picture on its way.
    hand_pixels = np.array(pictures)[:, :21]
    assert (hand_pixels > 0).all() and (hand_pixels < np.array(SIZE_PX)).all()


def test_a_short_gap_in_position_causes_no_jump():
    layout = new_layout()
    moved = WRIST_MM + np.array([40.0, 0, 0])
    hands = [placed(GEOMETRY, WRIST_MM)] * 20 + [BEFORE] * 10 + [placed(GEOMETRY, moved)] * 60
    pictures = []
    for number, hand in enumerate(hands):
        layout.update(hand, number * FRAME_NS)
        pictures.append(drawn(layout.placement()))
    np.testing.assert_allclose(pictures[29], pictures[0], atol=1e-6)
    steps = np.linalg.norm(np.diff(pictures, axis=0), axis=-1).max(-1)
    whole = np.linalg.norm(pictures[-1] - pictures[0], axis=-1).max()
    assert whole > 20 and steps.max() < 0.2 * whole
    np.testing.assert_allclose(layout.placement().wrist + layout_origin(layout), moved, atol=0.01)


def layout_origin(layout: ViewerLayout) -> np.ndarray:
    """(3,) the scene's origin, left camera's axes."""
    left = layout.placement().frusta.left
    assert left
    return -left.apex


def test_viewpoint_follows_the_hand_only_outside_its_sphere():
    layout = new_layout()
    viewpoints, hands = [], []
    path = np.concatenate([30 * np.sin(np.arange(60) / 4), np.linspace(0, 400, 60), np.full(40, 400.0)])
    for number, x in enumerate(path):
        layout.update(placed(GEOMETRY, WRIST_MM + np.array([x, 0, 0])), number * FRAME_NS)
        placement = layout.placement()
        viewpoints.append(placement.viewpoint.position + layout_origin(layout))
        hands.append(placement.viewpoint.project(drawn_joints(placement)))
    assert np.ptp(viewpoints[:60], axis=0).max() < 1e-6
    assert np.linalg.norm(viewpoints[-1] - viewpoints[0]) > 50
    assert np.linalg.norm(np.diff(viewpoints, axis=0), axis=-1).max() < 60
    assert (np.array(hands) > 0).all() and (np.array(hands) < np.array(SIZE_PX)).all()


def test_a_moved_camera_transitions_to_its_new_position():
    layout, moved = new_layout(), facing(100, DISTANCE_MM)
    for number in range(60):
        layout.update(placed(GEOMETRY if number < 5 else moved, WRIST_MM), number * FRAME_NS)
        left, right = layout.placement().frusta
        assert left and right
        if number in (5, 59):
            was, now = right.apex - left.apex, GEOMETRY if number == 5 else moved
            np.testing.assert_allclose(was, now.right_in_left_mm, atol=0.1)


def test_layout_handles_equal_reversed_and_jumping_timestamps():
    layout = new_layout()
    for ms, hand in (
        (0, BEFORE),
        (0, placed(GEOMETRY, WRIST_MM)),
        (-5000, None),
        (-4000, BEFORE),
        (10**9, placed(GEOMETRY, WRIST_MM)),
    ):
        layout.update(hand, ms * MS)
        assert np.isfinite(drawn(layout.placement())).all()
    layout.update(None, 2 * 10**9 * MS)
    np.testing.assert_allclose(layout.placement().wrist + layout_origin(layout), WRIST_MM, atol=1e-6)


def test_cameras_of_any_field_of_view_are_drawn_about_equally_large():
    layout = new_layout(geometry := facing(60, DISTANCE_MM, (45, 110)))
    layout.update(placed(geometry, WRIST_MM), 0)
    sizes = PerView(
        *(np.ptp(np.vstack([f.apex, f.corners]) @ f.R_camera_from_scene.T, axis=0) for f in layout.placement().frusta if f)
    )
    areas = sizes.map(lambda size: size[0] * size[2])
    assert areas.left == pytest.approx(areas.right)
