"""Opposite handedness in the views names a mirrored picture; doubtful votes do so only where the calibration fails too."""

import numpy as np

from runtime.calibration.status import CalibrationPhase, CalibrationStatus, RejectionReason
from runtime.watch.mirrored_view import MirroredView
from runtime.watch.watched import WatchedPair
from tests.runtime.watch.watching import both, figures, rejected, show, watched

CALIBRATED = CalibrationStatus(CalibrationPhase.CALIBRATED, 1.0, figures())


def votes(
    left: float, right: float, status: CalibrationStatus | None, *, scatter: float = 0.1, every: int = 3, last: int = 120
) -> list[WatchedPair]:
    """Pairs of which every third tells how much the views prefer a right hand, on average."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, scatter, (last, 2)).clip(-0.5, 0.5)
    noise -= noise[::every].mean(0)
    margins = noise + [left, right]
    return [
        watched(n, both(left_margin=margins[n, 0], right_margin=margins[n, 1]) if n % every == 0 else both(), status)
        for n in range(last)
    ]


def test_views_that_clearly_show_two_sides_are_named_whatever_calibration_found():
    (finding,) = show(MirroredView(), votes(0.2, -0.2, CALIBRATED))
    assert (finding.kind, finding.view, finding.level) == ("view_mirrored", None, "error")
    assert "left view shows a right hand and the right view a left one" in finding.text


def test_views_of_one_hand_are_not():
    for side in (0.2, -0.2):
        assert not show(MirroredView(), votes(side, side, rejected(RejectionReason.SHAPE_MISMATCH)))


def test_weak_votes_count_where_the_views_do_not_fit_either():
    weak = (0.06, -0.16)
    assert show(MirroredView(), votes(*weak, rejected(RejectionReason.SHAPE_MISMATCH)))
    assert not show(MirroredView(), votes(*weak, CALIBRATED))
    assert not show(MirroredView(), votes(*weak, rejected(RejectionReason.TOO_UNCERTAIN)))
    assert not show(MirroredView(), votes(*weak, None))


def test_a_view_that_cannot_tell_is_not_mirrored():
    assert not show(MirroredView(), votes(0.2, -0.005, rejected(RejectionReason.VIEWS_DISAGREE)))


def test_a_moment_is_not_enough():
    assert not show(MirroredView(), votes(0.9, -0.9, None, every=1, last=50))


def test_it_is_withdrawn_once_the_views_agree():
    watcher = MirroredView()
    assert show(watcher, votes(0.9, -0.9, None, every=1))
    assert not show(watcher, votes(0.9, 0.9, None, every=1))
