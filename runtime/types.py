"""What flows through the pipeline, from a box around a hand to the merged hand."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from capture.views import PerView, View
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
    """By how much the square's up is turned clockwise from the frame's."""


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
    pixel_share: float = 0.5
    """Standard deviation of a pixel along one axis, as a share of the joint's expected 3D error (`estimators.uncertainty`).

    DetNet-lite's is measured on drawn recordings. What judges depth worse than it sees has a smaller one.
    """
    cropped_ns: int | None = None
    """When it was cut out to be looked at; monotonic clock. None where the estimator does not tell."""
    inferred_ns: int | None = None
    """When the network's answer was there; the same clock."""


STAGES = ("captured", "received", "paired", "started", "cropped", "inferred", "merged", "shown")
"""The stations of a hand, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """When a hand passed each station, for the later of its two views; monotonic clock, ns. None: it has not, or nobody tells."""

    captured_ns: int
    received_ns: int
    paired_ns: int | None = None
    """It was settled that the two frames belong together."""
    started_ns: int
    """The pipeline took the pair up; until then it waited for the pair before."""
    cropped_ns: int | None = None
    """The hand was located and cut out, in the way that was looked at first."""
    inferred_ns: int | None = None
    """The last answer of the network was there."""
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
    """The hand that both views agree on."""

    side: Side
    joints: np.ndarray
    """(21, 3) unit hand, left camera's axes."""
    weight_left: np.ndarray
    """(21,) share of the left view in each joint; 1 or 0 throughout where one view carries the hand alone."""
    views: PerView[ViewHand | None]
    """Each view's own hand; None where that view saw none."""
    R_right_from_left: np.ndarray | None
    """(3, 3) rotation in use, None until one is known."""
    rotation_uncertainty_deg: float
    """Standard deviation of that rotation; infinite until one is known."""
    timings: Timings
    geometry: TwoViewGeometry | None = None
    """The cameras that the hand was fitted to; None where the views were merged by rotation alone."""
    wrist_mm: np.ndarray | None = None
    """(3,) wrist in the left camera's axes; None without a geometry."""
    reprojection_px: float | None = None
    """Root mean square distance of the hand, projected into the views that see it, from the joints seen there, weighted by how
    sure each is; None without a geometry."""
