"""What the calibration of the cameras came to in a run: when they became known, or why they did not and what the user can do."""

import logging
from dataclasses import dataclass

from hand.findings import Finding
from runtime.calibration.self_calibrator import FIRST_PAIRS
from runtime.calibration.status import CalibrationPhase, CalibrationStatus, RejectionReason, SolutionFigures
from runtime.reporting.calibration_text import motion_text
from runtime.reporting.run_stats import CalibrationStats
from runtime.watch.watched import WatchedPair

log = logging.getLogger(__name__)

CAMERAS_UNKNOWN = "cameras_unknown"
"""Kind of the finding that says why."""
REJECTED_NS, UNDECIDED_NS = 2_000_000_000, 20_000_000_000
"""Time with hands in both views for which solutions are rejected before it is said: since the views do not fit each other, and
since too little motion was seen yet."""
_UNDECIDED = (RejectionReason.TOO_UNCERTAIN, RejectionReason.AMBIGUOUS)
_MAX_STEP_NS = 200_000_000
"""Pairs farther apart do not count as a time in which hands were seen."""


@dataclass(frozen=True, slots=True)
class _Known:
    """When the cameras became known, and how well."""

    after_ns: int
    """Since the run's first pair."""
    figures: SolutionFigures


class CalibrationWatch:
    """A `Watcher` of the calibration's status; also keeps the figures for the end."""

    def __init__(self) -> None:
        self._pairs = self._both = self._hands = self._placed = 0
        self._status: CalibrationStatus | None = None
        self._known: _Known | None = None
        self._moved_ns: list[int] = []
        """When a camera was found to have been moved, since the run's first pair."""
        self._unknown_ns = 0
        """Time with hands in both views since the cameras were last known."""
        self._misfit_ns = 0
        """Of that, the time in which the views did not fit one hand."""
        self._last_ns: int | None = None
        self.contradicted = False
        """Whether the views are known not to show one hand from two places: no solution is to be trusted then, and why there is
        none is said elsewhere."""

    def take(self, watched: WatchedPair) -> None:
        """See `Watcher`."""
        self._pairs += 1
        self._both += watched.both
        self._hands += watched.hand is not None
        self._placed += watched.hand is not None and watched.hand.wrist_mm is not None
        step_ns = 0 if self._last_ns is None else min(max(watched.captured_ns - self._last_ns, 0), _MAX_STEP_NS)
        self._last_ns = watched.captured_ns
        status, before = watched.calibration, self._status
        self._status = status
        if status is None:
            return
        if status.phase is CalibrationPhase.MOVED and (before is None or before.phase is not CalibrationPhase.MOVED):
            self._moved_ns.append(watched.passed_ns)
        if status.phase in (CalibrationPhase.CALIBRATED, CalibrationPhase.GIVEN):
            self._unknown_ns = self._misfit_ns = 0
            self._take_known(status, watched.passed_ns)
            return
        self._known = None
        if watched.both:
            self._unknown_ns += step_ns
            self._misfit_ns += step_ns if _misfits(status) else 0

    def _take_known(self, status: CalibrationStatus, passed_ns: int) -> None:
        if status.figures is None:
            return
        if self._known is None:
            self._known = _Known(passed_ns, status.figures)
            log.info(f"cameras known after {passed_ns / 1e9:.1f} s: {_certainty(status.figures)}")
        elif status.figures is not self._known.figures:
            self._known = _Known(self._known.after_ns, status.figures)

    @property
    def findings(self) -> list[Finding]:
        """See `Watcher`."""
        found = []
        if self._moved_ns:
            times = f"{len(self._moved_ns)} times, last" if len(self._moved_ns) > 1 else ""
            found.append(
                Finding(
                    "camera_moved",
                    f"a camera was moved {times or 'once,'} at {self._moved_ns[-1] / 1e9:.1f} s: from there on its place was "
                    "found "
                    "anew, and until then hands are worse; fix the cameras, and cut a recording there",
                )
            )
        status = self._status
        if status is None:
            return found
        if _misfits(status) and self._misfit_ns >= REJECTED_NS:
            found.append(Finding(CAMERAS_UNKNOWN, f"the cameras are not known: {self._missing(status)}"))
        elif self._unknown_ns >= UNDECIDED_NS and status.phase is not CalibrationPhase.VERIFYING:
            seconds = self._unknown_ns / 1e9
            found.append(
                Finding(
                    CAMERAS_UNKNOWN,
                    f"the cameras are not known after {seconds:.0f} s of a hand in both views: {self._missing(status)}",
                )
            )
        return found

    @property
    def figures(self) -> CalibrationStats:
        """For `--stats`."""
        status, known = self._status, self._known
        figures = known.figures if known else None
        return CalibrationStats(
            phase=None if status is None else status.phase.value,
            known_after_s=None if known is None else known.after_ns / 1e9,
            angle_deg=None if figures is None else figures.angle_deg,
            rotation_uncertainty_deg=None if figures is None else figures.uncertainty.rotation_deg,
            baseline_uncertainty_deg=None if figures is None else figures.uncertainty.baseline_deg,
            inliers=None if status is None or status.figures is None else status.figures.inliers,
            moved=len(self._moved_ns),
            pairs_with_both=self._both,
            hands=self._hands,
            hands_with_place=self._placed,
            sentence=self._sentence(),
        )

    def lines(self) -> list[tuple[str, str]]:
        """Labels and texts for the summary."""
        sentence = self._sentence()
        lines = [] if sentence is None else [("calibrated", sentence)]
        return [*lines, ("place", f"known of {self._placed} of {self._hands} hands")] if self._hands else lines

    def _sentence(self) -> str | None:
        status = self._status
        if status is None:
            return None
        ended = "; the process that calibrates ended, so nothing more was found" if status.stopped else ""
        if self._known:
            advice = self._known.figures.advice
            better = "" if advice is None else f"; for a better calibration {motion_text(advice)}"
            trust = ", not to be trusted: see the findings" if self.contradicted else ""
            return f"after {self._known.after_ns / 1e9:.1f} s: {_certainty(self._known.figures)}{better}{trust}{ended}"
        if status.phase is CalibrationPhase.GIVEN:
            return f"by --calibration{ended}"
        return f"no: {'see the findings' if self.contradicted else self._missing(status)}{ended}"

    def _missing(self, status: CalibrationStatus) -> str:
        """Why the cameras are not known, and what to do."""
        match status.phase:
            case CalibrationPhase.NO_HANDS | CalibrationPhase.COLLECTING:
                return self._too_few(round(status.progress * 2 * FIRST_PAIRS))
            case CalibrationPhase.NEEDS_MOTION:
                return (
                    f"the hand hardly moved in the {self._both} pairs that show it to both cameras; move it through both "
                    "pictures and turn it, for five seconds or more"
                )
            case CalibrationPhase.VIEW_FROZEN:
                return f"the {status.view} view's hand stands still while the other one's moves; see whether its picture moves"
            case CalibrationPhase.REJECTED:
                assert status.rejection is not None and status.figures is not None, status
                return rejection_sentence(status.rejection, status.figures)
            case CalibrationPhase.VERIFYING:
                assert status.figures is not None, status
                return f"a first solution ({_certainty(status.figures)}) was not confirmed by a second one; move the hand longer"
            case CalibrationPhase.MOVED:
                return "a camera was moved, and too few hands were seen since; move the hand in both pictures again"
            case CalibrationPhase.CALIBRATED | CalibrationPhase.GIVEN:
                raise AssertionError(status)

    def _too_few(self, varied: int) -> str:
        if not self._both:
            return (
                f"no hand was seen by both cameras at once in {self._pairs} pairs; turn both to the same place, and show one "
                "hand there"
            )
        return (
            f"both cameras saw the hand in {self._both} of {self._pairs} pairs, and {varied} of the {FIRST_PAIRS} clear ones "
            "that are needed were found; show one hand to both, in good light, and move and turn it"
        )


def rejection_sentence(reason: RejectionReason, figures: SolutionFigures) -> str:
    """Why a solution with these figures was not accepted, and what to do."""
    match reason:
        case RejectionReason.VIEWS_DISAGREE:
            return (
                f"the views do not show one hand at one time, only {100 * figures.inliers:.0f} % of the joints agree; see "
                "whether one picture lags, is mirrored, or shows another hand"
            )
        case RejectionReason.SHAPE_MISMATCH:
            return (
                "the hand where both views' rays meet has not the shape that each view sees; see whether one picture is "
                "mirrored, lags, or is distorted by a wide lens (--calibration)"
            )
        case RejectionReason.TOO_UNCERTAIN:
            return f"they are {_certainty(figures)}, which is too uncertain; {_request(figures)}"
        case RejectionReason.AMBIGUOUS:
            return "two places fit about as well; move the hand nearer and farther, and turn it"


def _misfits(status: CalibrationStatus) -> bool:
    """Whether something is wrong with what the views show, which more of the same does not mend."""
    rejected = status.rejection is not None and status.rejection not in _UNDECIDED
    return rejected or status.phase is CalibrationPhase.VIEW_FROZEN


def _request(figures: SolutionFigures) -> str:
    """What to do for cameras that are too uncertain."""
    return "move the hand through both pictures and turn it" if figures.advice is None else motion_text(figures.advice)


def _certainty(figures: SolutionFigures) -> str:
    return f"{figures.angle_deg:.1f} deg apart, +- {figures.uncertainty.rotation_deg:.1f} deg"
