"""Live adaptation leaves the stream's hands as they are, and engines change between two pairs alone."""

import logging
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from adapt.online.adapter_process import AdapterInput, AdapterJob, AdapterMessage, InlineAdapter, weights_of
from adapt.online.live_adaptation import EVERY_NS, LiveAdaptation
from adapt.online.live_pairs import Cameras, LivePair
from adapt.online.promotion import GateMetric, PromotionDecision, ValidationResult, ValidationRound
from adapt.online.status import AdaptationFigures, AdaptationPhase, AdaptationStatus
from adapt.online.status_text import round_sentence, summary_sentence
from adapt.online.validation import ValidationMetrics
from capture.views import PerView
from hand.findings import Findings
from runtime.calibration.self_calibrator import SelfCalibrator
from runtime.calibration.solver_process import InlineSolver
from runtime.engines.torch_engine import TorchEngine
from runtime.estimators.crop_estimator import CropEstimator
from runtime.estimators.estimator import FollowSettings
from runtime.networks.weights import DEFAULT_WEIGHTS
from runtime.pipeline import Pipeline, PipelineSettings
from tests.adapt.recordings import GEOMETRY, Eyes, bones, pairs_of
from tests.runtime.scenes import CAMERAS, FRAME_NS, SIZES_PX, Scene

COUNT = 40
FIGURES = ValidationMetrics(0.2, 0.12, 0.04, 0.03, 0.12, 0.0, 0.33, 0.25, 0.5)


class Port(InlineAdapter):
    """An adapter that keeps what it was offered, and answers what it is given."""

    def __init__(self, job: AdapterJob):
        super().__init__(job)
        self.offered: list[AdapterInput] = []
        self.given: list[AdapterMessage] = []

    def offer(self, message: AdapterInput) -> bool:
        self.offered.append(message)
        return super().offer(message)

    def receive(self) -> list[AdapterMessage]:
        given, self.given = self.given, []
        return [*super().receive(), *given]


class Live:
    """A stream of a scene whose cameras are known, with a real adapter."""

    def __init__(self, shipped, scene: Scene):
        network, manifest = shipped
        self.scene = scene
        self.eyes = Eyes(scene)
        roi = FollowSettings("right", PerView((100.0, 100.0, 90.0), (100.0, 100.0, 90.0)))
        self.estimator = CropEstimator(TorchEngine(deepcopy(network), manifest, device="cpu"), None, SIZES_PX, roi)
        self.port = Port(AdapterJob(DEFAULT_WEIGHTS, CAMERAS.map(lambda c: c.size_px[0]), "both", None))
        self.findings = Findings()
        self.live = LiveAdaptation(
            self.pipeline(),
            self.estimator,
            self.port,
            hand_size_mm=90.0,
            build_in_background=False,
            findings=self.findings,
        )

    def pipeline(self) -> Pipeline:
        calibrator = SelfCalibrator(SIZES_PX, PerView(None, None), bones=bones(self.scene), given=GEOMETRY)
        return Pipeline(
            Eyes(self.scene),
            CAMERAS,
            PipelineSettings(merge="geometry"),
            lambda: 0,
            calibrator=calibrator,
            solver=InlineSolver(),
        )

    @property
    def taken(self) -> int:
        """Hands that the adapter was given."""
        return sum(isinstance(message, LivePair) for message in self.port.offered)


@pytest.fixture
def live(shipped) -> Iterator[Live]:
    live = Live(shipped, Scene())
    yield live
    live.live.close()


def test_the_stream_gives_the_same_hands_as_without(live: Live):
    plain = live.pipeline()
    for pair in pairs_of(live.scene, COUNT):
        adapted, usual = live.live.step(pair), plain.step(pair)
        assert len(adapted) == len(usual) == 1
        np.testing.assert_array_equal(adapted[0].joints, usual[0].joints)


def test_few_hands_are_sent_and_none_before_the_cameras_are_known(live: Live):
    pairs = list(pairs_of(live.scene, COUNT))
    for live.scene.seq, pair in enumerate(pairs):
        live.live.step(pair)
    assert 0 < live.taken <= 1 + COUNT * FRAME_NS // EVERY_NS
    assert isinstance(live.port.offered[0], Cameras)
    assert live.live.status.phase is AdaptationPhase.COLLECTING


def test_hands_that_one_view_sees_are_not_sent(live: Live):
    live.scene.hidden.add("right")
    for pair in pairs_of(live.scene, COUNT):
        live.live.step(pair)
    assert live.taken == 0


def test_a_better_network_is_used_from_the_next_pair_on(live: Live, shipped, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    network, _ = shipped
    better = PromotionDecision(True, GateMetric.DEPTH, 0.15, 0.12)
    validation = ValidationRound(ValidationResult.PROMOTED, better, 12, 30, FIGURES, FIGURES)
    status = AdaptationStatus(AdaptationPhase.LEARNING, 1.0, None, AdaptationFigures(promotions=1))
    pairs = list(pairs_of(live.scene, 3))
    live.live.step(pairs[0])
    before = live.estimator.engine
    live.port.given.append(AdapterMessage(status, validation, weights_of(network)))
    live.live.step(pairs[1])
    assert live.estimator.engine is before
    live.live.step(pairs[2])
    after = live.estimator.engine
    assert after is not before and after.manifest == before.manifest
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    np.testing.assert_allclose(after(images).joints, before(images).joints, atol=1e-5)
    assert caplog.messages == [round_sentence(validation)] and live.live.figures["swapped"] == 1


def test_an_adapter_that_died_is_logged_once_and_the_stream_goes_on(live: Live, monkeypatch: pytest.MonkeyPatch, caplog):
    def dead() -> list[AdapterMessage]:
        raise EOFError("the process that adapts has died")

    monkeypatch.setattr(live.port, "receive", dead)
    for pair in pairs_of(live.scene, 4):
        assert live.live.step(pair)
    (sentence,) = caplog.messages
    assert "has died" in sentence and live.live.status.phase is AdaptationPhase.FAILED
    assert live.findings.failed, "what was asked for is not had"


def test_figures_and_summary_tell_what_was_done(live: Live):
    for pair in pairs_of(live.scene, COUNT):
        live.live.step(pair)
    assert "pairs 8" in summary_sentence(live.live.status, live.live.drops)
    assert set(live.live.figures) >= {"note", "pairs", "not_sent", "decisions"}


def test_nothing_is_written_for_a_recording_without_a_name(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for pair in pairs_of(live.scene, COUNT):
        live.live.step(pair)
    assert not list(tmp_path.iterdir())
