"""A solution is accepted only where every figure is within its threshold; otherwise the reason is named."""

from dataclasses import replace

import numpy as np
import pytest

from capture.views import PerView
from runtime.calibration.acceptance import confirms, figures_of, rejection_reason
from runtime.calibration.status import RejectionReason, Uncertainty
from tests.runtime.dual_hands import facing
from tests.runtime.solutions import elsewhere, solution_at, turned

GEOMETRY = facing(60, 500)
BONES = np.full(20, 0.4)
UNCERTAIN = Uncertainty(20.0, 1.0, PerView(2.0, 2.0))


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({}, None),
        ({"inliers": 0.4}, RejectionReason.VIEWS_DISAGREE),
        ({"noise": PerView(1.0, 3.0)}, RejectionReason.VIEWS_DISAGREE),
        ({"shape_error": PerView(0.6, 0.2)}, RejectionReason.SHAPE_MISMATCH),
        ({"uncertainty": UNCERTAIN}, RejectionReason.TOO_UNCERTAIN),
        ({"uncertainty": Uncertainty(1.0, 1.0, PerView(2.0, 2.0), hand_mm=40.0)}, RejectionReason.TOO_UNCERTAIN),
        ({"uncertainty": Uncertainty(1.0, 1.0, PerView(2.0, 2.0), hand_mm=float("nan"))}, RejectionReason.TOO_UNCERTAIN),
        ({"uncertainty": Uncertainty(1.0, 30.0, PerView(2.0, 30.0), hand_mm=6.0)}, None),
        ({"uncertainty": replace(UNCERTAIN, rotation_deg=float("nan"))}, RejectionReason.TOO_UNCERTAIN),
        ({"rival": 0.5}, RejectionReason.AMBIGUOUS),
    ],
)
def test_a_solution_beyond_a_threshold_is_rejected_with_its_reason(figures: dict, reason: RejectionReason | None):
    assert rejection_reason(solution_at(GEOMETRY, BONES, **figures)) is reason


def test_a_solution_confirms_cameras_within_its_uncertainty_only():
    before = solution_at(GEOMETRY, BONES).cameras
    assert confirms(solution_at(turned(GEOMETRY, 1.4), BONES), before)
    assert not confirms(solution_at(turned(GEOMETRY, 8), BONES), before)
    assert not confirms(solution_at(elsewhere(GEOMETRY, 8), BONES), before)
    assert not confirms(solution_at(turned(GEOMETRY, 2.4), BONES), before)
    assert confirms(solution_at(turned(GEOMETRY, 2.4), BONES, rotation_deg=2.0), before)


def test_the_figures_are_those_of_the_solution():
    solution = solution_at(GEOMETRY, BONES)
    figures = figures_of(solution)
    assert figures.angle_deg == pytest.approx(60) and figures.uncertainty is solution.uncertainty
    assert figures.inliers == solution.inliers
