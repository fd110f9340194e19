"""Output record of one hand: the fields of a line of `hands.jsonl`, of a published message and of a recording."""

import math

import msgspec
import numpy as np

from capture.frames import FramePair
from capture.views import PerView, View
from hand.bone_frames import joint_rotations
from hand.joints import DEFAULT_HAND_SIZE_MM
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import DualHand, Side

DIGITS = 5
"""Decimals kept of joints: a unit hand's fifth is a micrometre."""

Points = list[list[float]]


class ViewLine(msgspec.Struct, frozen=True, kw_only=True):
    """One view of a hand."""

    seq: int
    """Of the frame."""
    captured_ns: int
    own: bool
    """Whether the view saw the hand itself; where not, `joints` is the merged hand in its axes."""
    joints: Points | None
    """(21, 3) unit hand in that camera's axes; null where no rotation is known to transform it by."""
    confidence: list[float] | None = None
    """(21,) in [0, 1]; null where the view saw none."""
    pixels: Points | None = None
    """(21, 2) in the frame; null where the view saw none."""


class ViewLines(msgspec.Struct, frozen=True):
    """Both views."""

    left: ViewLine
    right: ViewLine


class FusedLine(msgspec.Struct, frozen=True):
    """The merged hand."""

    joints: Points
    """(21, 3) unit hand in the left camera's axes; in the right one's while only that camera gives frames and no rotation is
    known: then neither `R_right_from_left` nor the left view's joints are there."""
    weight_left: list[float]
    """(21,) share of the left view in each joint."""


class FocalLine(msgspec.Struct, frozen=True):
    """Focal lengths of both cameras, px."""

    left: float
    right: float


class PairLine(msgspec.Struct, frozen=True):
    """Two numbers of both cameras, px."""

    left: list[float]
    right: list[float]


class CamerasLine(msgspec.Struct, frozen=True):
    """Both cameras, as the hand was fitted to them: pinholes, of undistorted frames where a calibration says how to."""

    focal_px: FocalLine
    t_right_from_left_mm: list[float]
    """(3,): x_right = R_right_from_left x_left + t_right_from_left_mm."""
    centre_px: PairLine | None = None
    """Principal points (x, y)."""
    size_px: PairLine | None = None
    """Frames' (width, height)."""


class HandLine(msgspec.Struct, frozen=True, kw_only=True):
    """A merged hand. Times are in ns, monotonic clock; null means not known, or a stage that the estimator does not have."""

    index: int
    """The left frame's number."""
    side: Side
    views: ViewLines
    fused: FusedLine
    R_right_from_left: Points | None
    """(3, 3)."""
    rotation_uncertainty_deg: float | None
    """Standard deviation of the rotation; null while there is none, and for a given calibration that hands have not confirmed."""
    wrist_mm: list[float] | None
    """(3,) of the hand fitted to the cameras, left camera's axes; null while the cameras are not known."""
    reprojection_px: float | None
    """Reprojection error of that hand, root mean square."""
    cameras: CamerasLine | None
    skew_ns: int
    """Right capture time − left capture time."""
    captured_ns: int
    """The later of both captures."""
    received_ns: int
    paired_ns: int | None
    started_ns: int
    cropped_ns: int | None
    inferred_ns: int | None
    merged_ns: int
    hand_size_mm: float = DEFAULT_HAND_SIZE_MM
    """Length of one hand, wrist to middle MCP: joints of a unit hand times this are mm."""
    joints_mm: Points | None = None
    """(21, 3) left camera's axes, mm; null while the hand's place is not known."""
    joint_sigma_mm: list[float] | None = None
    """(21,) expected distance of each joint from the truth, mm; null where the joints are not fitted to the cameras alone."""
    rotations: Points | None = None
    """(21, 4) unit quaternions w, x, y, z (`hand.bone_frames`): the wrist's from palm axes to those of `fused.joints`, each other
    joint's from the axes of its bone to those of the bone before; null for joints that span no palm."""


def hand_line(pair: FramePair, hand: DualHand, rotation: np.ndarray | None, *, exact: bool = False) -> HandLine:
    """The record of one hand.

    `rotation`: (3, 3) R_right_from_left; that of a later pair if `hand` came before the first one. `exact`: without rounding.
    """
    timings, digits = hand.timings, None if exact else DIGITS
    in_right_axes = hand.axes == "right" and rotation is None
    fused = hand.joints if hand.axes == "left" or rotation is None else hand.joints @ rotation

    def view_line(view: View) -> ViewLine:
        frame, own = pair[view], hand.views[view]
        if own is None:
            in_left_axes = None if in_right_axes else fused
            joints = in_left_axes if view == "left" else None if rotation is None else fused @ rotation.T
            return ViewLine(seq=frame.seq, captured_ns=frame.captured_ns, own=False, joints=_numbers(joints, digits))
        return ViewLine(
            seq=frame.seq,
            captured_ns=frame.captured_ns,
            own=True,
            joints=_numbers(own.joints, digits),
            confidence=_numbers(own.confidence, digits),
            pixels=_numbers(own.pixels, digits and 2),
        )

    views = PerView.of(view_line)
    rotations = joint_rotations(fused, hand.side)
    wrist_mm = None if in_right_axes else hand.wrist_mm
    uncertainty_deg = hand.rotation_uncertainty_deg
    return HandLine(
        index=pair.left.seq,
        side=hand.side,
        views=ViewLines(views.left, views.right),
        fused=FusedLine(_numbers(fused, digits) or [], _numbers(hand.weight_left, digits) or []),
        R_right_from_left=_numbers(rotation, digits and 9),
        rotation_uncertainty_deg=float(uncertainty_deg)
        if uncertainty_deg is not None and math.isfinite(uncertainty_deg)
        else None,
        wrist_mm=_numbers(hand.wrist_mm, digits and 2),
        reprojection_px=None if hand.reprojection_px is None else float(hand.reprojection_px),
        cameras=None if hand.geometry is None else _cameras(hand.geometry, digits and 3),
        skew_ns=pair.skew_ns,
        captured_ns=timings.captured_ns,
        received_ns=timings.received_ns,
        paired_ns=timings.paired_ns,
        started_ns=timings.started_ns,
        cropped_ns=timings.cropped_ns,
        inferred_ns=timings.inferred_ns,
        merged_ns=timings.merged_ns,
        hand_size_mm=float(hand.hand_size_mm),
        joints_mm=None if wrist_mm is None else _numbers(wrist_mm + fused * hand.hand_size_mm, digits and 2),
        joint_sigma_mm=_numbers(hand.sigma_mm, digits and 2),
        rotations=_numbers(rotations, digits) if np.isfinite(rotations).all() else None,
    )


def _cameras(geometry: TwoViewGeometry, digits: int | None) -> CamerasLine:
    focal_px = geometry.cameras.map(lambda camera: _number(camera.focal_px, digits))
    centre_px = geometry.cameras.map(lambda camera: [_number(value, digits) for value in camera.centre_px])
    size_px = geometry.cameras.map(lambda camera: [float(value) for value in camera.size_px])
    return CamerasLine(
        FocalLine(focal_px.left, focal_px.right),
        _numbers(geometry.t_right_from_left_mm, digits) or [],
        PairLine(centre_px.left, centre_px.right),
        PairLine(size_px.left, size_px.right),
    )


def _number(value: float, digits: int | None) -> float:
    return float(value) if digits is None else round(float(value), digits)


def _numbers(values: np.ndarray | None, digits: int | None) -> list | None:
    if values is None:
        return None
    values = np.asarray(values, float)
    return (values if digits is None else np.round(values, digits)).tolist()
