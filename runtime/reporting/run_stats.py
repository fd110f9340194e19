"""`--stats`: one JSON file with the figures of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from hand.files import beside
from runtime.reporting.histogram import Quantiles
from runtime.reporting.skew import SkewStats

Section = Callable[[], Any]
"""Returns figures of another part of the program: a msgspec struct or a dict, or None for nothing."""


class RotationStats(msgspec.Struct, frozen=True, kw_only=True):
    """Rotation of the last hand that had one."""

    angle_deg: float
    """Between the two cameras."""
    uncertainty_deg: float | None
    """Standard deviation; null for a given calibration that hands have not confirmed."""


class CalibrationStats(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the cameras at the end of a run, and what it brought."""

    phase: str | None
    """A `runtime.calibration.status.CalibrationPhase`; null where nothing is calibrated (--merge rotation)."""
    known_after_s: float | None
    """Time from the first pair to the solution from which on the cameras are known; null where they are not, or were given."""
    angle_deg: float | None
    """Between the two cameras; this and the next two are null where the cameras are not known, or were given."""
    rotation_uncertainty_deg: float | None
    """Standard deviation, as the next."""
    baseline_uncertainty_deg: float | None
    """Of the direction of the line between the cameras."""
    inliers: float | None
    """Share of the joints that fit the last solution, accepted or not, in [0, 1]."""
    moved: int
    """How often a camera was found to have been moved."""
    pairs_with_both: int
    """Pairs in which both views saw the hand."""
    hands: int
    hands_with_place: int
    """Of them, those whose place is known in mm."""
    sentence: str | None
    """How well the cameras are known, or why they are not and what to do; as in the summary."""


class FindingStats(msgspec.Struct, frozen=True, kw_only=True):
    """See `hand.findings.Finding`."""

    kind: str
    level: str
    view: str | None
    text: str


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """A run's figures; null where nothing was measured."""

    version: int = 1
    """Of this file's format."""
    live: bool
    """False where frames wait for the reader; stages before `started` are not counted then, nor is `latency`."""
    pairs: int
    pairs_per_s: float
    """From the first finished pair to the last."""
    seen_by: dict[str, int]
    """Pairs whose hand was seen by both, left, right or none of the views."""
    work: Quantiles
    """Time that the pipeline spends on a pair, with or without a hand."""
    latency: Quantiles
    """From the capture to the merged hand."""
    steps: dict[str, Quantiles]
    """Times between two stages of `runtime.types.STAGES`, such as "captured_received"; the last one of shown hands only."""
    skew: SkewStats
    drops: dict[str, int]
    """Frames by reason."""
    faults: dict[str, int]
    """Camera events by kind: lost, process restarted, clock set."""
    rotation: RotationStats | None
    calibration: CalibrationStats | None = None
    error_mm: float | None
    """Mean error of a joint against the truth of synthetic cameras."""
    findings: list[FindingStats]
    """What the run found out that its user should know."""
    sections: dict[str, Any]
    """Figures of other parts of the program, by name."""


def write_stats(path: Path, stats: Stats, *, overwrite: bool = False) -> None:
    """Raises OSError where the file cannot be written."""
    with beside(path, overwrite=overwrite) as part:
        part.write_bytes(msgspec.json.format(msgspec.json.encode(stats), indent=2) + b"\n")
