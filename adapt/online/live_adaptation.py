"""Live adaptation from the stream's side: sends hands to the adapter, and swaps better networks in between two pairs."""

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict

from adapt.core.geometry_teacher import GeometryTeacher
from adapt.core.training_samples import TrainingSample
from adapt.online.adapter_process import AdapterStatus, CameraMoved, Cameras, LivePair, Message, Port, network_of
from capture.frames import FramePair
from capture.views import PerView
from hand.errors import UserError
from runtime.calibration.keyframes import Keyframe
from runtime.calibration.self_calibrator import MOST_PIXEL_ERROR, CalibrationState
from runtime.engines.engine import RenewableEngine
from runtime.estimators.adaptable import Adaptable
from runtime.estimators.uncertainty import pixel_error
from runtime.pipeline import Pipeline
from runtime.types import DualHand

log = logging.getLogger(__name__)

EVERY_NS = 150_000_000
"""Hands are sent no more often: neighbours are alike, and cutting them out takes time."""


class LiveAdaptation:
    """A pipeline whose network learns while it streams. Used by one thread, but for `note` and `figures`."""

    def __init__(
        self,
        pipeline: Pipeline,
        estimator: Adaptable,
        port: Port,
        *,
        hand_size_mm: float,
        beside: bool = True,
    ):
        """`beside`: new engines are built on a thread, so that the stream goes on; else between two pairs."""
        self.pipeline = pipeline
        self._teacher = GeometryTeacher(pipeline)
        self._estimator = estimator
        self._port: Port | None = port
        self._hand_size_mm = hand_size_mm
        self._beside = beside
        self._pending: list[Message] = []
        """What must not be lost: it waits for room."""
        self._version = self._moved = 0
        self._sent_ns: int | None = None
        self._builder: Builder | None = None
        self._news = AdapterStatus("adapting once the cameras are known", {})
        self._decisions: list[dict[str, object]] = []
        self.drops = Counter[str]()
        """Hands that were not sent, by reason."""

    def step(self, pair: FramePair) -> list[DualHand]:
        """As `Pipeline.step`."""
        self._take_over()
        hands = self.pipeline.step(pair)
        if self._port is not None:
            try:
                self._tell(pair, hands)
                for news in self._port.news():
                    self._hear(news)
            except (EOFError, OSError) as error:
                self._port = None
                self._news = AdapterStatus("adapting has ended", self._news.counts)
                log.error(f"adaptation: {error}; the stream goes on with the network in use")
        return hands

    @property
    def note(self) -> str:
        """For the status line."""
        return self._news.note

    @property
    def figures(self) -> Mapping[str, object]:
        """What was done, for the statistics: counts, hands not sent by reason, the latest decisions with their evidence."""
        return {"note": self.note, **self._news.counts, "not_sent": dict(self.drops), "decisions": list(self._decisions)}

    @property
    def summary(self) -> str:
        """One sentence for the end."""
        counts = self._news.counts
        told = ", ".join(f"{name} {counts.get(name, 0)}" for name in ("pairs", "steps", "swapped", "refused", "rolled back"))
        dropped = ", ".join(f"{reason} {count}" for reason, count in sorted(self.drops.items()))
        return f"adaptation: {told}; {self.note}{f'; hands not sent: {dropped}' if dropped else ''}"

    def close(self) -> None:
        """End the adapter; what it has learnt is kept."""
        if self._builder is not None and self._builder.is_alive():
            self._builder.join()
        if self._port is not None:
            self._port.close()
            self._port = None

    def _tell(self, pair: FramePair, hands: list[DualHand]) -> None:
        state = self.pipeline.rig.state
        if state.version != self._version:
            self._pending += self._of_cameras(state)
            self._version, self._moved = state.version, state.moved
        assert self._port is not None
        while self._pending and self._port.offer(self._pending[0]):
            self._pending.pop(0)
        live = self._live(pair, hands)
        if live is not None and (self._pending or not self._port.offer(live)):
            self.drops["busy"] += 1

    def _of_cameras(self, state: CalibrationState) -> list[Message]:
        messages: list[Message] = [CameraMoved()] if state.moved != self._moved else []
        if state.geometry is not None and state.bones is not None:
            messages.append(Cameras(state.geometry, state.bones, self._hand_size_mm))
        return messages

    def _live(self, pair: FramePair, hands: list[DualHand]) -> LivePair | None:
        """What is to be learnt from a pair; None where there is nothing."""
        captured_ns = max(pair.left.captured_ns, pair.right.captured_ns)
        if self._sent_ns is not None and 0 <= captured_ns - self._sent_ns < EVERY_NS:
            return None
        labelled = self._teacher.label(pair, hands)
        if labelled is None:
            return None
        left, right = hands[0].views
        assert left is not None and right is not None, "a label comes from both views"
        if max(float(pixel_error(hand).mean()) for hand in (left, right)) > MOST_PIXEL_ERROR:
            self.drops["unsure"] += 1
            return None
        seen = Keyframe.of(captured_ns, PerView(left, right))
        if seen is None:
            return None
        self._sent_ns = captured_ns
        shown = TrainingSample.cut(labelled, self._estimator.manifest.crop_size)
        return LivePair(captured_ns, seen.hands, seen.sigma_px, shown)

    def _hear(self, news: AdapterStatus) -> None:
        self._news = news
        if news.complaint:
            log.warning(f"adaptation: {news.complaint}")
        if news.decision is not None:
            self._decisions = [*self._decisions[-99:], asdict(news.decision)]
            if news.decision.kind != "refused":
                log.info(str(news.decision))
        if news.weights is not None:
            if self._builder is not None and self._builder.is_alive():
                # The older network would come after the newer one.
                self._builder.join()
            engine = self._estimator.engine
            assert isinstance(engine, RenewableEngine), engine
            self._builder = Builder(engine, news)
            if self._beside:
                self._builder.start()
            else:
                self._builder.run()

    def _take_over(self) -> None:
        """Exchange the engine, if another one is ready."""
        builder = self._builder
        if builder is None or builder.is_alive():
            return
        self._builder = None
        if builder.refusal is not None:
            log.warning(f"adaptation: {builder.refusal}; the stream goes on with the network in use")
        elif builder.built is not None:
            self._estimator.swap(builder.built)


class Builder(threading.Thread):
    """Builds an engine of weights that came as news, aside from the one in use."""

    def __init__(self, engine: RenewableEngine, news: AdapterStatus):
        super().__init__(name="duohand-builder", daemon=True)
        self._engine, self._news = engine, news
        self.built: RenewableEngine | None = None
        self.refusal: str | None = None
        """Why there is none."""

    def run(self) -> None:
        assert self._news.weights is not None
        manifest = self._engine.manifest
        try:
            self.built = self._engine.renewed(network_of(self._news.weights, manifest), manifest)
        except UserError as error:
            self.refusal = str(error)
