"""Data that flows through the pipeline, from a box around a hand to the merged hand."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from capture.views import PerView, View
from hand.joints import DEFAULT_HAND_SIZE_MM
from runtime.geometry.two_view import TwoViewGeometry

Side = Literal["left", "right"]
"""Which hand of the person; not to be confused with the view of the camera."""


@dataclass(frozen=True, slots=True)
class HandBox:
    """Where a hand is in a frame: a square, which may be turned."""

    view: View
    side: Side
    centre_px: tuple[float, float]
    """(x, y) in the frame."""
    size_px: float
    """Side length of the square that holds the hand with its margin."""
    score: float
    """In [0, 1]; 1 for a box that the user gave."""
    roll_deg: float = 0.0
    """Clockwise rotation of the square in the frame."""
    turned: bool = False
    """Whether the square is known to be turned as the hand is; else the hand may be turned any way in it."""


@dataclass(frozen=True, slots=True)
class ViewHand:
    """One view's hand."""

    view: View
    side: Side
    joints: np.ndarray
    """(21, 3) unit hand, that camera's axes."""
    pixels: np.ndarray
    """(21, 2) joints in the frame."""
    confidence: np.ndarray
    """(21,) in [0, 1]."""
    pixel_share: float | np.ndarray = 0.5
    """Standard deviation of a pixel along one axis, as a share of the joint's expected 3D error (`estimators.uncertainty`).

    DetNet-lite's is measured on synthetic recordings. It is smaller for estimators whose depth is worse than their pixels.
    (21,) where the network tells of each joint how far off its pixel is.
    """
    cropped_ns: int | None = None
    """When the crop was cut; monotonic clock. None where the estimator does not give it."""
    inferred_ns: int | None = None
    """When the network's prediction was ready; the same clock."""
    right_margin: float | None = None
    """In [-1, 1]: confidence of this view as a right hand minus that as a left hand; None in pairs that were predicted as one
    side only."""


STAGES = ("captured", "received", "paired", "started", "cropped", "inferred", "merged", "shown")
"""The stages that a hand passes, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """When a hand passed each stage, for the later of its two views; monotonic clock, ns. None: not passed, or unknown."""

    captured_ns: int
    received_ns: int
    paired_ns: int | None = None
    """The two frames were paired."""
    started_ns: int
    """The pipeline started on the pair; until then it was busy with the pair before."""
    cropped_ns: int | None = None
    """The hand was located and its first crop was cut."""
    inferred_ns: int | None = None
    """The last prediction of the network was ready."""
    merged_ns: int
    """The merged hand was ready."""
    shown_ns: int | None = None
    """It was on the screen, or in the video."""

    @property
    def latency_ns(self) -> int:
        """From capture to hand."""
        return self.merged_ns - self.captured_ns

    def stamps(self) -> list[tuple[str, int]]:
        """The stages that it passed, in order, and when."""
        stamps = [(stage, getattr(self, f"{stage}_ns")) for stage in STAGES]
        return [(stage, stamp_ns) for stage, stamp_ns in stamps if stamp_ns is not None]


@dataclass(frozen=True, slots=True)
class DualHand:
    """One hand, merged or fitted from both views."""

    side: Side
    joints: np.ndarray
    """(21, 3) unit hand, left camera's axes; the right one's where `axes` says so."""
    weight_left: np.ndarray
    """(21,) share of the left view in each joint; 1 or 0 throughout where one view carries the hand alone."""
    views: PerView[ViewHand | None]
    """Each view's own hand; None where that view saw none."""
    R_right_from_left: np.ndarray | None
    """(3, 3) rotation in use, None until one is known."""
    rotation_uncertainty_deg: float | None
    """Standard deviation of that rotation; infinite until one is known, None for a given calibration that hands have not
    confirmed."""
    timings: Timings
    geometry: TwoViewGeometry | None = None
    """The cameras that the hand was fitted to, however its joints were merged; None while they are not known."""
    wrist_mm: np.ndarray | None = None
    """(3,) wrist of the fitted hand in the left camera's axes; None without a geometry."""
    reprojection_px: float | None = None
    """Root mean square distance of the fitted hand, projected into the views that see it, from the joints seen there,
    weighted by inverse variance; None without a geometry."""
    axes: View = "left"
    """Whose camera's axes `joints` are in: the right one's only while the left camera is absent and no rotation is known."""
    hand_size_mm: float = DEFAULT_HAND_SIZE_MM
    """Length of one hand, wrist to middle MCP: as the user says, or the default."""
    sigma_mm: np.ndarray | None = None
    """(21,) expected distance of each joint from the truth, root mean square, if all that the fit knows were independent; None
    where `joints` are not the fit's alone."""
