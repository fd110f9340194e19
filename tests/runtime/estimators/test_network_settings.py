"""Which network a command takes follows from --estimator and --weights, and weights of another estimator are refused."""

import pytest

from hand.errors import UserError
from runtime.estimators.framing import Framing
from runtime.estimators.network_settings import NetworkSettings
from runtime.networks.weights import DEFAULT_WEIGHTS


def test_without_weights_they_are_those_that_the_estimator_comes_with(mediapipe_models):
    assert NetworkSettings().weights_file == DEFAULT_WEIGHTS
    settings = NetworkSettings(estimator="mediapipe-3d")
    assert settings.weights_file.stem == "mediapipe_3d"
    _, manifest = settings.load_network()
    assert Framing.of(manifest).around == "palm"


def test_given_weights_come_first(tmp_path):
    assert NetworkSettings(weights=tmp_path / "mine.safetensors").weights_file == tmp_path / "mine.safetensors"


def test_weights_of_another_estimator_are_refused():
    with pytest.raises(UserError, match="holds weights of a detnet-lite: use them with --estimator detnet"):
        NetworkSettings(estimator="mediapipe-3d", weights=DEFAULT_WEIGHTS).load_network()
