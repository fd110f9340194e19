"""Where hand, cameras and eye stand in the viewer's picture now, gliding where that changes.

There are two pictures. While only the rotation between the cameras is known, both look at the hand from a fixed distance. Once
the geometry is known, everything stands where it is in the room, and the hand moves through it.
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
    Eye,
    Floor,
    Frustum,
    blend,
    measured_frustum,
    measured_size_mm,
    picture_camera,
    place_cameras,
    place_eye,
    place_floor,
    place_measured_eye,
)
from runtime.view.transitions import Glide, Pose

_SETTLED_DEG = 3.0
"""The eye follows the cameras in steps of this size, so that it does not swim."""
_SETTLED_SHARE = 0.04
"""The same for lengths."""
_HOLD_NS = 500_000_000
"""A hand that lacks a place in the room stays where it was for so long before the picture changes."""
_NOTHING = 1e-3
"""A smaller share of the measured picture is not seen."""
_WANDERS_MM = (50.0, 200.0)
"""Least and largest radius of the ball of the hand's recent places."""
_FORGETS_S = 15.0
_SPARE = 1.25
"""The room left for the hand, of that radius: the eye follows in steps."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Everything's place in one picture, axes as in `runtime.view.scene`."""

    frusta: PerView[Frustum | None]
    wrist: np.ndarray
    """(3,)."""
    eye: Eye
    floor: Floor | None
    """None where no length is known."""
    measured: float
    """In [0, 1]: 0 where the cameras stand at a fixed distance, 1 where the geometry has them, between on the way."""


@dataclass(frozen=True, slots=True)
class Ball:
    """Where the hand's middle knuckle has been lately."""

    centre: np.ndarray
    """(3,) mm, left camera's axes."""
    radius_mm: float

    def follow(self, place: np.ndarray, seconds: float) -> "Ball":
        """The smallest ball with `place` (3,) and this one, shrunk for `seconds`; at its largest it moves along instead."""
        least, most = _WANDERS_MM
        radius = max(least, self.radius_mm * float(np.exp(-seconds / _FORGETS_S)))
        away = place - self.centre
        distance = float(np.linalg.norm(away))
        if distance <= radius:
            return Ball(self.centre, radius)
        radius = min((radius + distance) / 2, most)
        return Ball(place - radius / distance * away, radius)

    def fits(self, other: "Ball") -> bool:
        """Whether `other` is inside, and not lost in it."""
        inside = float(np.linalg.norm(self.centre - other.centre)) + other.radius_mm <= self.radius_mm
        return inside and self.radius_mm < 2 * other.radius_mm


class ViewerLayout:
    """Follows the hands of one stream. Its clock is the frames' capture time."""

    def __init__(self, cameras: PerView[PinholeCamera], hand_size_mm: float, size_px: tuple[int, int]):
        """`size_px`: the picture's (width, height)."""
        self._cameras = cameras
        self._hand_size_mm = hand_size_mm
        self._size_px = size_px
        self._now_ns: int | None = None
        self._rotation: np.ndarray | None = None
        self._geometry: TwoViewGeometry | None = None
        """The last one, kept while the picture glides away from it."""
        self._wrist_mm = np.zeros(3)
        self._knuckle_mm = np.zeros(3)
        """From the wrist."""
        self._placed_ns: int | None = None
        """When the hand last had a place in the room."""
        self._lacks_place = False
        self._recent: Ball | None = None
        self._room: Ball | None = None
        """Where the hand may go without the eye following; None where that is nowhere in the room."""
        self._framed: TwoViewGeometry | np.ndarray | None = None
        """What the eye was turned to."""
        eye = place_eye(*size_px, place_cameras(cameras, None))
        nothing, nowhere, straight = np.zeros(1), np.zeros(3), np.eye(3)
        self._glide = Glide(
            Pose(nothing, nowhere, nowhere, nowhere, straight, nothing, eye.position, eye.R_eye_from_scene, straight, nothing)
        )

    def update(self, hand: DualHand | None, captured_ns: int) -> None:
        """Take one pair's hand; without one, everything goes on to where it was going."""
        seconds = 0.0 if self._now_ns is None else max(0.0, (captured_ns - self._now_ns) * 1e-9)
        self._now_ns = captured_ns
        self._glide.advance(seconds)
        if hand is None:
            return
        is_new = self._rotation is None
        self._knuckle_mm = self._hand_size_mm * (hand.joints[MIDDLE_MCP] - hand.joints[WRIST])
        if hand.R_right_from_left is not None:
            self._rotation = hand.R_right_from_left
        if hand.geometry is not None and hand.wrist_mm is not None:
            self._follow_measured(hand.geometry, hand.wrist_mm, captured_ns, seconds)
        else:
            self._lacks_place = True
            if self._placed_ns is None or not 0 <= captured_ns - self._placed_ns <= _HOLD_NS:
                self._follow_fixed()
        if is_new and self._rotation is not None:
            # The right camera appears: the picture is a new one.
            self._glide.settle()

    def placement(self) -> Placement:
        """How things stand now."""
        now, geometry = self._glide.now, self._geometry
        eye = Eye(picture_camera(*self._size_px), now.eye_turn, now.eye)
        fixed = place_cameras(self._cameras, self._rotation)
        if geometry is None or now.share[0] < _NOTHING:
            return Placement(fixed, -self._knuckle_mm, eye, None, 0.0)
        share = float(now.share[0])
        turns, places = PerView(np.eye(3), now.right_turn), PerView(-now.centre, now.right - now.centre)
        measured = PerView.of(lambda view: measured_frustum(geometry.cameras[view], turns[view], places[view], now.size[0]))
        wrist = share * (self._wrist_mm + now.lag - now.centre) - (1 - share) * self._knuckle_mm
        floor = Floor(now.floor_axes, float(now.floor_level[0]))
        return Placement(blend(share, fixed, measured), wrist, eye, floor, share)

    def _follow_fixed(self) -> None:
        """Only the rotation is known."""
        rotation, framed = self._rotation, self._framed
        if rotation is None:
            return
        if not isinstance(framed, np.ndarray) or angle_deg(framed, rotation) > _SETTLED_DEG:
            self._framed, self._room = rotation, None
            eye = place_eye(*self._size_px, place_cameras(self._cameras, rotation))
            self._glide.goal = replace(self._glide.goal, share=np.zeros(1), eye=eye.position, eye_turn=eye.R_eye_from_scene)

    def _follow_measured(self, geometry: TwoViewGeometry, wrist_mm: np.ndarray, captured_ns: int, seconds: float) -> None:
        """The cameras and the wrist are known to stand here."""
        if self._rotation is None:
            self._rotation = geometry.R_right_from_left
        is_hidden = self._glide.now.share[0] < _NOTHING
        knuckle = wrist_mm + self._knuckle_mm
        if self._recent is None or is_hidden and self._room is None:
            self._recent = Ball(knuckle, _WANDERS_MM[0])
        self._recent = self._recent.follow(knuckle, seconds)
        if self._room is None or not self._room.fits(self._recent) or _differ(self._framed, geometry):
            self._room = Ball(self._recent.centre, _SPARE * self._recent.radius_mm)
            self._framed = geometry
            self._glide.goal = self._frame(geometry, self._room)
        self._glide.goal = replace(self._glide.goal, right=geometry.right_in_left_mm, right_turn=geometry.R_right_from_left)
        if is_hidden:
            now = self._glide.now
            self._glide.now = replace(self._glide.goal, share=now.share, eye=now.eye, eye_turn=now.eye_turn)
        elif self._lacks_place:
            self._glide.now = replace(self._glide.now, lag=self._glide.now.lag + self._wrist_mm - wrist_mm)
        self._geometry, self._wrist_mm, self._placed_ns = geometry, wrist_mm, captured_ns
        self._lacks_place = False

    def _frame(self, geometry: TwoViewGeometry, room: Ball) -> Pose:
        """How all is to stand for these cameras and a hand in `room`."""
        size = measured_size_mm(geometry, room.centre)
        turns, places = PerView(np.eye(3), geometry.R_right_from_left), PerView(np.zeros(3), geometry.right_in_left_mm)
        frusta = PerView.of(lambda view: measured_frustum(geometry.cameras[view], turns[view], places[view] - room.centre, size))
        radius = room.radius_mm + HAND_RADIUS_MM * self._hand_size_mm / DEFAULT_HAND_SIZE_MM
        eye = place_measured_eye(*self._size_px, frusta, radius)
        floor = place_floor(frusta, radius)
        return Pose(
            share=np.ones(1),
            lag=np.zeros(3),
            centre=room.centre,
            right=places.right,
            right_turn=turns.right,
            size=np.array([size]),
            eye=eye.position,
            eye_turn=eye.R_eye_from_scene,
            floor_axes=floor.axes,
            floor_level=np.array([floor.level]),
        )


def _differ(framed: TwoViewGeometry | np.ndarray | None, geometry: TwoViewGeometry) -> bool:
    """Whether cameras stand so differently that the eye must follow."""
    if not isinstance(framed, TwoViewGeometry):
        return True
    baseline, moved = (np.linalg.norm(v) for v in (framed.right_in_left_mm, geometry.right_in_left_mm - framed.right_in_left_mm))
    focal = [camera.focal_px / before.focal_px for camera, before in zip(geometry.cameras, framed.cameras, strict=True)]
    turned = angle_deg(framed.R_right_from_left, geometry.R_right_from_left) > _SETTLED_DEG
    return bool(turned or moved > _SETTLED_SHARE * baseline or max(np.abs(np.log(focal))) > _SETTLED_SHARE)
