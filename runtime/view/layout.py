"""Viewer layout: where hand, cameras and viewpoint are in the scene, with smooth transitions between layouts.

There are two layouts. While only the rotation between the cameras is known, both cameras are drawn at a fixed distance from the
hand. Once the geometry is known, cameras and hand are drawn at their measured positions.
"""

from dataclasses import dataclass, replace

import numpy as np

from capture.views import PerView
from hand.camera import PinholeCamera
from hand.joints import DEFAULT_HAND_SIZE_MM, MIDDLE_MCP, WRIST
from hand.rotations import angle_deg
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import DualHand
from runtime.view.scene import (
    HAND_RADIUS_MM,
    Floor,
    Frustum,
    Viewpoint,
    blend,
    measured_frustum,
    measured_size_mm,
    picture_camera,
    place_cameras,
    place_floor,
    place_measured_viewpoint,
    place_viewpoint,
)
from runtime.view.transitions import LayoutState, SpringTransition

_HYSTERESIS_DEG = 3.0
"""The viewpoint follows the cameras in steps of this size (hysteresis), which keeps it still between them."""
_HYSTERESIS_SHARE = 0.04
"""The same for lengths."""
_HOLD_NS = 500_000_000
"""A hand without a measured position keeps its last one for this long before the layout changes."""
_INVISIBLE_SHARE = 1e-3
"""A smaller share of the measured layout is invisible."""
_SPHERE_RADII_MM = (50.0, 200.0)
"""Smallest and largest radius of the bounding sphere of the hand's recent positions."""
_SPHERE_DECAY_S = 15.0
"""Time constant of that sphere's shrinking."""
_MARGIN = 1.25
"""Radius of the sphere that the viewpoint frames, as a multiple of the recent sphere's radius."""


@dataclass(frozen=True, slots=True)
class Placement:
    """One picture's layout, axes as in `runtime.view.scene`."""

    frusta: PerView[Frustum | None]
    wrist: np.ndarray
    """(3,)."""
    viewpoint: Viewpoint
    floor: Floor | None
    """None where no length is known."""
    measured: float
    """In [0, 1]: 0 with the cameras at a fixed distance, 1 with them at their measured positions, between during a transition."""


@dataclass(frozen=True, slots=True)
class BoundingSphere:
    """Bounding sphere of the middle knuckle's recent positions."""

    centre: np.ndarray
    """(3,) mm, left camera's axes."""
    radius_mm: float

    def follow(self, place: np.ndarray, seconds: float) -> "BoundingSphere":
        """The smallest sphere around `place` (3,) and this one, shrunk for `seconds`; at its largest radius it moves instead."""
        least, most = _SPHERE_RADII_MM
        radius = max(least, self.radius_mm * float(np.exp(-seconds / _SPHERE_DECAY_S)))
        away = place - self.centre
        distance = float(np.linalg.norm(away))
        if distance <= radius:
            return BoundingSphere(self.centre, radius)
        radius = min((radius + distance) / 2, most)
        return BoundingSphere(place - radius / distance * away, radius)

    def encloses_tightly(self, other: "BoundingSphere") -> bool:
        """Whether `other` is inside and this sphere is less than twice as large."""
        inside = float(np.linalg.norm(self.centre - other.centre)) + other.radius_mm <= self.radius_mm
        return inside and self.radius_mm < 2 * other.radius_mm


class ViewerLayout:
    """Layout state of one stream. Its clock is the frames' capture time."""

    def __init__(self, cameras: PerView[PinholeCamera], hand_size_mm: float, size_px: tuple[int, int]):
        """`size_px`: the picture's (width, height)."""
        self._cameras = cameras
        self._hand_size_mm = hand_size_mm
        self._size_px = size_px
        self._now_ns: int | None = None
        self._rotation: np.ndarray | None = None
        self._geometry: TwoViewGeometry | None = None
        """The last one, kept during the transition away from it."""
        self._wrist_mm = np.zeros(3)
        self._knuckle_mm = np.zeros(3)
        """From the wrist."""
        self._last_position_ns: int | None = None
        """When the hand last had a measured position."""
        self._position_missing = False
        self._recent_sphere: BoundingSphere | None = None
        self._framed_sphere: BoundingSphere | None = None
        """Where the hand may move without a change of viewpoint; None in the layout by rotation alone."""
        self._framed: TwoViewGeometry | np.ndarray | None = None
        """What the viewpoint was chosen for."""
        viewpoint = place_viewpoint(*size_px, place_cameras(cameras, None))
        nothing, nowhere, straight = np.zeros(1), np.zeros(3), np.eye(3)
        self._transition = SpringTransition(
            LayoutState(
                nothing,
                nowhere,
                nowhere,
                nowhere,
                straight,
                nothing,
                viewpoint.position,
                viewpoint.R_eye_from_scene,
                straight,
                nothing,
            )
        )

    def update(self, hand: DualHand | None, captured_ns: int) -> None:
        """Take one pair's hand; without one, only a running transition goes on."""
        seconds = 0.0 if self._now_ns is None else max(0.0, (captured_ns - self._now_ns) * 1e-9)
        self._now_ns = captured_ns
        self._transition.advance(seconds)
        if hand is None:
            return
        is_new = self._rotation is None
        self._knuckle_mm = self._hand_size_mm * (hand.joints[MIDDLE_MCP] - hand.joints[WRIST])
        if hand.R_right_from_left is not None:
            self._rotation = hand.R_right_from_left
        if hand.geometry is not None and hand.wrist_mm is not None:
            self._use_geometry(hand.geometry, hand.wrist_mm, captured_ns, seconds)
        else:
            self._position_missing = True
            if self._last_position_ns is None or not 0 <= captured_ns - self._last_position_ns <= _HOLD_NS:
                self._use_rotation()
        if is_new and self._rotation is not None:
            # The right camera appears: no transition from a layout without it.
            self._transition.finish()

    def placement(self) -> Placement:
        """The layout to draw now."""
        now, geometry = self._transition.current, self._geometry
        viewpoint = Viewpoint(picture_camera(*self._size_px), now.viewpoint_rotation, now.viewpoint)
        fixed = place_cameras(self._cameras, self._rotation)
        if geometry is None or now.measured_share[0] < _INVISIBLE_SHARE:
            return Placement(fixed, -self._knuckle_mm, viewpoint, None, 0.0)
        measured_share = float(now.measured_share[0])
        turns, places = PerView(np.eye(3), now.right_rotation), PerView(-now.centre, now.right - now.centre)
        measured = PerView.of(lambda view: measured_frustum(geometry.cameras[view], turns[view], places[view], now.size[0]))
        wrist = measured_share * (self._wrist_mm + now.lag - now.centre) - (1 - measured_share) * self._knuckle_mm
        floor = Floor(now.floor_axes, float(now.floor_level[0]))
        return Placement(blend(measured_share, fixed, measured), wrist, viewpoint, floor, measured_share)

    def _use_rotation(self) -> None:
        """Lay out by the rotation alone."""
        rotation, framed = self._rotation, self._framed
        if rotation is None:
            return
        if not isinstance(framed, np.ndarray) or angle_deg(framed, rotation) > _HYSTERESIS_DEG:
            self._framed, self._framed_sphere = rotation, None
            viewpoint = place_viewpoint(*self._size_px, place_cameras(self._cameras, rotation))
            self._transition.target = replace(
                self._transition.target,
                measured_share=np.zeros(1),
                viewpoint=viewpoint.position,
                viewpoint_rotation=viewpoint.R_eye_from_scene,
            )

    def _use_geometry(self, geometry: TwoViewGeometry, wrist_mm: np.ndarray, captured_ns: int, seconds: float) -> None:
        """Lay out by the measured cameras and wrist."""
        if self._rotation is None:
            self._rotation = geometry.R_right_from_left
        is_hidden = self._transition.current.measured_share[0] < _INVISIBLE_SHARE
        knuckle = wrist_mm + self._knuckle_mm
        if self._recent_sphere is None or (is_hidden and self._framed_sphere is None):
            self._recent_sphere = BoundingSphere(knuckle, _SPHERE_RADII_MM[0])
        self._recent_sphere = self._recent_sphere.follow(knuckle, seconds)
        if (
            self._framed_sphere is None
            or not self._framed_sphere.encloses_tightly(self._recent_sphere)
            or _needs_new_viewpoint(self._framed, geometry)
        ):
            self._framed_sphere = BoundingSphere(self._recent_sphere.centre, _MARGIN * self._recent_sphere.radius_mm)
            self._framed = geometry
            self._transition.target = self._target_for(geometry, self._framed_sphere)
        self._transition.target = replace(
            self._transition.target, right=geometry.right_in_left_mm, right_rotation=geometry.R_right_from_left
        )
        if is_hidden:
            now = self._transition.current
            self._transition.current = replace(
                self._transition.target,
                measured_share=now.measured_share,
                viewpoint=now.viewpoint,
                viewpoint_rotation=now.viewpoint_rotation,
            )
        elif self._position_missing:
            self._transition.current = replace(
                self._transition.current, lag=self._transition.current.lag + self._wrist_mm - wrist_mm
            )
        self._geometry, self._wrist_mm, self._last_position_ns = geometry, wrist_mm, captured_ns
        self._position_missing = False

    def _target_for(self, geometry: TwoViewGeometry, sphere: BoundingSphere) -> LayoutState:
        """The layout for these cameras and a hand that moves in `sphere`."""
        size = measured_size_mm(geometry, sphere.centre)
        turns, places = PerView(np.eye(3), geometry.R_right_from_left), PerView(np.zeros(3), geometry.right_in_left_mm)
        frusta = PerView.of(
            lambda view: measured_frustum(geometry.cameras[view], turns[view], places[view] - sphere.centre, size)
        )
        radius = sphere.radius_mm + HAND_RADIUS_MM * self._hand_size_mm / DEFAULT_HAND_SIZE_MM
        viewpoint = place_measured_viewpoint(*self._size_px, frusta, radius)
        floor = place_floor(frusta, radius)
        return LayoutState(
            measured_share=np.ones(1),
            lag=np.zeros(3),
            centre=sphere.centre,
            right=places.right,
            right_rotation=turns.right,
            size=np.array([size]),
            viewpoint=viewpoint.position,
            viewpoint_rotation=viewpoint.R_eye_from_scene,
            floor_axes=floor.axes,
            floor_level=np.array([floor.level]),
        )


def _needs_new_viewpoint(framed: TwoViewGeometry | np.ndarray | None, geometry: TwoViewGeometry) -> bool:
    """Whether the cameras have changed beyond the hysteresis."""
    if not isinstance(framed, TwoViewGeometry):
        return True
    baseline, moved = (np.linalg.norm(v) for v in (framed.right_in_left_mm, geometry.right_in_left_mm - framed.right_in_left_mm))
    focal = [camera.focal_px / before.focal_px for camera, before in zip(geometry.cameras, framed.cameras, strict=True)]
    turned = angle_deg(framed.R_right_from_left, geometry.R_right_from_left) > _HYSTERESIS_DEG
    return bool(turned or moved > _HYSTERESIS_SHARE * baseline or max(np.abs(np.log(focal))) > _HYSTERESIS_SHARE)
