"""Every estimator has a name and a factory; options that it does not support are reported."""

from pathlib import Path
from typing import get_args

import pytest

from capture.views import PerView
from hand.errors import UserError
from runtime.estimators.mediapipe import MediaPipeEstimator
from runtime.estimators.registry import ESTIMATORS, EstimatorName, EstimatorOptions, load_estimator
from runtime.networks.mediapipe_base import base_weights
from runtime.networks.weights import DEFAULT_WEIGHTS


def test_every_estimator_name_has_an_entry():
    assert tuple(ESTIMATORS) == get_args(EstimatorName)


def test_detnet_loads_before_frame_sizes_are_known():
    loaded = load_estimator("detnet", EstimatorOptions(engine="torch"))
    assert loaded.description.startswith("torch on") and loaded.weights == DEFAULT_WEIGHTS
    assert loaded.make(PerView((64, 48), (64, 48))).description == loaded.description


@pytest.mark.usefixtures("mediapipe_models")
def test_mediapipe_rejects_weights_and_ignores_the_engine():
    pytest.importorskip("ai_edge_litert", reason="the extra [mediapipe] is not installed")
    with pytest.raises(UserError, match="--weights some.pth is for --estimator detnet"):
        load_estimator("mediapipe-lite", EstimatorOptions(weights=Path("some.pth")))
    loaded = load_estimator("mediapipe", EstimatorOptions(engine="onnx"))
    estimator = loaded.make(PerView((64, 48), (64, 48)))
    assert loaded.weights is None and isinstance(estimator, MediaPipeEstimator)
    assert "full" in loaded.description and "lite" in load_estimator("mediapipe-lite").description


@pytest.mark.usefixtures("mediapipe_models")
def test_weights_of_another_kind_are_refused_with_the_estimator_that_takes_them():
    pytest.importorskip("ai_edge_litert", reason="the extra [mediapipe] is not installed")
    fetched = base_weights("mediapipe-lite")
    loaded = load_estimator("mediapipe-3d", EstimatorOptions("torch", fetched))
    assert loaded.weights == fetched and "as fetched, torch on" in loaded.description
    with pytest.raises(UserError, match=r"holds weights of a mediapipe-landmarks-lite: use them with --estimator mediapipe-3d"):
        load_estimator("detnet", EstimatorOptions("torch", fetched))
    with pytest.raises(UserError, match=r"holds weights of a detnet-lite: use them with --estimator detnet"):
        load_estimator("mediapipe-3d", EstimatorOptions("torch", DEFAULT_WEIGHTS))
