"""The stream's side of live adaptation: sends pairs to the adapter, and puts promoted networks into use between two pairs."""

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from adapt.core.geometry_teacher import GeometryTeacher
from adapt.core.label_crops import crop_camera
from adapt.online.adapter_process import AdapterInput, AdapterMessage, CameraMoved, Cameras, LivePair, Port, network_of
from adapt.online.promotion import ValidationResult
from adapt.online.status import AdaptationPhase, AdaptationStatus
from adapt.online.status_text import figures_record, round_record, round_sentence, status_sentence
from capture.frames import FramePair
from capture.views import PerView, View
from hand.errors import UserError
from hand.findings import Finding, Findings
from runtime.calibration.keyframes import Keyframe, are_clear
from runtime.calibration.self_calibrator import CalibrationState
from runtime.engines.engine import RefittableEngine
from runtime.estimators.adaptable import Adaptable
from runtime.estimators.crop import HandCrop
from runtime.estimators.framing import Framing
from runtime.pipeline import Pipeline
from runtime.types import DualHand

log = logging.getLogger(__name__)

EVERY_NS = 150_000_000
"""Pairs are sent no more often: neighbours are alike, and cutting crops takes time."""


class LiveAdaptation:
    """A pipeline whose network adapts while it streams. Used by one thread, but for `status` and `figures`."""

    def __init__(
        self,
        pipeline: Pipeline,
        estimator: Adaptable,
        port: Port,
        *,
        hand_size_mm: float,
        build_in_background: bool = True,
        findings: Findings | None = None,
    ):
        """`build_in_background`: new engines are built on a thread, so that the stream goes on; else between two pairs.

        `findings` are told what goes wrong.
        """
        self._findings = findings or Findings()
        self.pipeline = pipeline
        self._teacher = GeometryTeacher(pipeline)
        self._estimator = estimator
        self._port: Port | None = port
        self._hand_size_mm = hand_size_mm
        self._build_in_background = build_in_background
        self._pending: list[AdapterInput] = []
        """Inputs that must not be dropped; they wait for room."""
        self._version = self._moved = 0
        self._sent_ns: int | None = None
        self._builder: EngineBuilder | None = None
        self._rounds: list[dict[str, object]] = []
        self.status = AdaptationStatus()
        """From the adapter's latest message."""
        self.drops = Counter[str]()
        """Pairs that were not sent, by reason."""

    def step(self, pair: FramePair) -> list[DualHand]:
        """As `Pipeline.step`."""
        self._swap_engine()
        hands = self.pipeline.step(pair)
        if self._port is not None:
            try:
                self._send(pair, hands)
                for message in self._port.receive():
                    self._receive(message)
            except (EOFError, OSError) as error:
                self._port = None
                self.status = replace(self.status, phase=AdaptationPhase.FAILED, lacking=None)
                text = f"adaptation: {error}; the stream goes on with the network in use"
                self._findings.add(Finding("adaptation_failed", text, level="error"))
        return hands

    @property
    def figures(self) -> Mapping[str, object]:
        """For the statistics: counts, hands not sent by reason, the latest validation rounds with their metrics."""
        return {
            "note": status_sentence(self.status),
            **figures_record(self.status.figures),
            "not_sent": dict(self.drops),
            "decisions": list(self._rounds),
        }

    def close(self) -> None:
        """End the adapter; promoted weights are saved by then."""
        if self._builder is not None and self._builder.is_alive():
            self._builder.join()
        if self._port is not None:
            self._port.close()
            self._port = None

    def _send(self, pair: FramePair, hands: list[DualHand]) -> None:
        state = self.pipeline.rig.state
        if state.version != self._version:
            self._pending += self._camera_inputs(state)
            self._version, self._moved = state.version, state.moved
        assert self._port is not None
        while self._pending and self._port.offer(self._pending[0]):
            self._pending.pop(0)
        live = self._live_pair(pair, hands)
        if live is not None and (self._pending or not self._port.offer(live)):
            self.drops["busy"] += 1

    def _camera_inputs(self, state: CalibrationState) -> list[AdapterInput]:
        messages: list[AdapterInput] = [CameraMoved()] if state.moved != self._moved else []
        if state.geometry is not None and state.bones is not None:
            messages.append(Cameras(state.geometry, state.bones, self._hand_size_mm))
        return messages

    def _live_pair(self, pair: FramePair, hands: list[DualHand]) -> LivePair | None:
        """The pair as the adapter needs it; None where it cannot be trained on."""
        captured_ns = max(pair.left.captured_ns, pair.right.captured_ns)
        if self._sent_ns is not None and 0 <= captured_ns - self._sent_ns < EVERY_NS:
            return None
        geometry, fitted = self.pipeline.rig.state.geometry, self._teacher.fitted(hands)
        if geometry is None or fitted is None:
            return None
        left, right = hands[0].views
        assert left is not None and right is not None, "a fit that gives labels comes from both views"
        both = PerView(left, right)
        if not are_clear(both):
            self.drops["unsure"] += 1
            return None
        keyframe = Keyframe.of(captured_ns, both)
        if keyframe is None:
            return None
        self._sent_ns = captured_ns
        manifest, side = self._estimator.manifest, hands[0].side
        framing = Framing.of(manifest)

        def crop(view: View) -> HandCrop:
            camera = crop_camera(fitted.pixels[view], side, geometry.cameras[view], manifest.crop_size, framing)
            return HandCrop(view, side, camera, camera.cut(pair[view].image))

        return LivePair(captured_ns, keyframe.hands, keyframe.sigma_px, PerView.of(crop))

    def _receive(self, message: AdapterMessage) -> None:
        self.status = message.status
        if message.failure:
            self._findings.add(Finding("adapted_weights_not_saved", f"adaptation: {message.failure}", level="error"))
        if message.validation is not None:
            self._rounds = [*self._rounds[-99:], round_record(message.validation)]
            if message.validation.result is not ValidationResult.REFUSED:
                log.info(round_sentence(message.validation))
        if message.weights is not None:
            if self._builder is not None and self._builder.is_alive():
                # The older network would come after the newer one.
                self._builder.join()
            engine = self._estimator.engine
            assert isinstance(engine, RefittableEngine), engine
            self._builder = EngineBuilder(engine, message.weights)
            if self._build_in_background:
                self._builder.start()
            else:
                self._builder.run()

    def _swap_engine(self) -> None:
        """Put a new engine into use, if one is ready."""
        builder = self._builder
        if builder is None or builder.is_alive():
            return
        self._builder = None
        if builder.refusal is not None:
            text = f"adaptation: {builder.refusal}; the stream goes on with the network in use"
            self._findings.add(Finding("adapted_engine_refused", text))
        elif builder.built is not None:
            self._estimator.swap(builder.built)


class EngineBuilder(threading.Thread):
    """Builds an engine of new weights, aside from the one in use."""

    def __init__(self, engine: RefittableEngine, weights: Mapping[str, np.ndarray]):
        super().__init__(name="duohand-builder", daemon=True)
        self._engine, self._weights = engine, weights
        self.built: RefittableEngine | None = None
        self.refusal: str | None = None
        """Why there is none."""

    def run(self) -> None:
        manifest = self._engine.manifest
        try:
            self.built = self._engine.refitted(network_of(self._weights, manifest), manifest)
        except UserError as error:
            self.refusal = str(error)
