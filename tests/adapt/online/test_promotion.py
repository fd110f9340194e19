"""The promotion gate decides by its decisive metrics alone."""

from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapt.online.promotion import GateMetric, PromotionDecision, decide_promotion
from adapt.online.validation import ValidationMetrics

USUAL = ValidationMetrics(0.2, 0.12, 0.04, 0.03, 0.12, 0.0, 0.33, 0.25, 0.5)
BETTER = replace(USUAL, depth=0.09, labels=0.15, rays=0.035)
DECISIVE = ("labels", "depth", "rays", "within", "bones", "inhuman", "drawn")
SHOWN = ("apart", "confidence")


def test_a_better_candidate_is_promoted_for_its_depth():
    decision = decide_promotion(BETTER, USUAL, USUAL)
    assert decision == PromotionDecision(True, GateMetric.DEPTH, USUAL.depth, BETTER.depth)


def test_a_network_whose_pixels_never_change_can_be_better():
    assert decide_promotion(replace(BETTER, rays=USUAL.rays), USUAL, USUAL).better


def test_nothing_is_better_than_itself():
    assert not decide_promotion(USUAL, USUAL, USUAL).better


@pytest.mark.parametrize("name", DECISIVE)
@pytest.mark.parametrize("worse", [2.0, float("inf"), float("nan")])
def test_one_much_worse_metric_refuses_a_candidate(name: str, worse: float):
    spoilt = replace(BETTER, **{name: worse * max(getattr(USUAL, name), 0.1)})
    decision = decide_promotion(spoilt, USUAL, USUAL)
    assert not decision.better and decision.metric.value == name


@given(st.sampled_from(SHOWN), st.floats(0, 10))
def test_agreement_of_views_and_confidence_decide_nothing(name: str, value: float):
    assert decide_promotion(replace(BETTER, **{name: value}), USUAL, USUAL) == decide_promotion(BETTER, USUAL, USUAL)
    assert not decide_promotion(replace(USUAL, **{name: value}), USUAL, USUAL).better


@given(st.lists(st.floats(0.01, 1), min_size=9, max_size=9), st.lists(st.floats(0.01, 1), min_size=9, max_size=9))
def test_of_two_networks_at_most_one_is_better(one: list[float], other: list[float]):
    a, b = ValidationMetrics(*one), ValidationMetrics(*other)
    shipped = ValidationMetrics(
        **{field.name: max(asdict(a)[field.name], asdict(b)[field.name]) for field in fields(ValidationMetrics)}
    )
    assert not (decide_promotion(a, b, shipped).better and decide_promotion(b, a, shipped).better)


def test_forgetting_is_measured_against_the_shipped_network():
    a_little = replace(BETTER, drawn=1.08 * USUAL.drawn)
    again = replace(BETTER, depth=0.05, drawn=1.16 * USUAL.drawn)
    assert not decide_promotion(again, a_little, USUAL).better
