"""Every state of live adaptation has a sentence, and statistics keep their keys."""

import pytest

from adapt.online.promotion import GateMetric, PromotionDecision, ValidationResult, ValidationRound
from adapt.online.status import AdaptationFigures, AdaptationPhase, AdaptationStatus, Lacking
from adapt.online.status_text import (
    decision_text,
    figures_record,
    round_record,
    round_sentence,
    status_sentence,
    summary_sentence,
)
from adapt.online.validation import ValidationMetrics

METRICS = ValidationMetrics(0.2, 0.12, 0.04, 0.03, 0.12, 0.0, 0.33, 0.25, 0.5)
ROUND = ValidationRound(
    ValidationResult.PROMOTED, PromotionDecision(True, GateMetric.DEPTH, 0.15, 0.12), 24, 40, METRICS, METRICS
)


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (AdaptationStatus(), "adapting once the cameras are known"),
        (AdaptationStatus(AdaptationPhase.COLLECTING, 0.4, Lacking.PAIRS), "adapting: move and turn the hand, 40% seen"),
        (AdaptationStatus(AdaptationPhase.COLLECTING, 0.999, Lacking.HELD_OUT), "adapting: move and turn the hand, 99% seen"),
        (AdaptationStatus(AdaptationPhase.COLLECTING, 0.5, Lacking.MOTION), "adapting: move and turn the hand"),
        (AdaptationStatus(AdaptationPhase.LEARNING, 1.0), "adapting"),
        (
            AdaptationStatus(AdaptationPhase.WAITING_FOR_POSES, 1.0, None, AdaptationFigures(promotions=2, rollbacks=1)),
            "adapted 2 times, 1 rolled back, waiting for other poses",
        ),
        (AdaptationStatus(AdaptationPhase.FAILED), "adapting has ended"),
    ],
)
def test_every_phase_has_a_sentence(status: AdaptationStatus, sentence: str):
    assert status_sentence(status) == sentence
    assert sentence in summary_sentence(status, {})


@pytest.mark.parametrize("metric", GateMetric)
def test_every_metric_of_the_gate_has_a_name(metric: GateMetric):
    assert decision_text(PromotionDecision(False, metric, 0.1, 0.25)).strip()


def test_a_round_says_what_it_decided_and_why():
    assert round_sentence(ROUND) == (
        "adaptation: a better network is in use (3D against rays 0.150 to 0.120; 24 steps, 40 pairs held out)"
    )


def test_statistics_keep_their_keys():
    figures = AdaptationFigures(pairs=5, steps=4, promotions=3, refusals=2, rollbacks=1, camera_moves=6)
    assert figures_record(figures) == {"pairs": 5, "steps": 4, "swapped": 3, "refused": 2, "rolled back": 1, "moved": 6}
    assert figures_record(AdaptationFigures(pairs=1)) == {"pairs": 1}
    record = round_record(ROUND)
    assert list(record) == ["kind", "reason", "steps", "pairs", "candidate", "serving"] and record["kind"] == "swapped"


def test_dropped_pairs_are_told_by_reason():
    assert summary_sentence(AdaptationStatus(), {"unsure": 2, "busy": 1}).endswith("; hands not sent: busy 1, unsure 2")
