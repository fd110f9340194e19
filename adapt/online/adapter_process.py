"""How the adapter runs: in a background process of the lowest priority, or inline, so that every run is alike."""

import multiprocessing
import queue
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from adapt.core.learner import learner_of
from adapt.core.rehearsal import render_bank
from adapt.core.targets import LabelSource
from adapt.online.adapted_weights import AdaptedWeights, AdaptedWeightsFile
from adapt.online.adapter import Adapter, Update
from adapt.online.live_pairs import Cameras, LivePair
from adapt.online.promotion import ValidationRound
from adapt.online.status import AdaptationStatus
from capture.views import PerView
from hand.errors import UserError
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer, SyntheticCrops
from runtime.estimators.framing import Framing
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest, build_network, load_network
from runtime.processes import give_way, ignoring_interrupts

QUEUED = 16
"""Messages on their way to the adapter; what comes while it is full is dropped and counted."""
SYNTHETIC_SEED, SYNTHETIC = 4_000_000, 96
"""Seed and number of the synthetic hands that forgetting is measured on: neither training nor tests draw there."""
REHEARSED, KEPT_REHEARSED = 300, 120
"""Synthetic hands for rehearsal, other ones; fewer for networks that read them once, whose crops take longer to draw."""
IDLE_S = 0.2
"""How long the process waits for input before it checks that its parent is alive."""
WORK_EVERY = 4
"""Inline, the adapter works after every so many-th pair that it was given."""


@dataclass(frozen=True, slots=True)
class AdapterJob:
    """Which network is adapted, to which cameras, and where results are kept."""

    weights: Path
    """Of the network that all candidates are compared with."""
    widths_px: PerView[int]
    labels: LabelSource
    adapted: AdaptedWeightsFile | None
    """Where promoted weights are saved; None for nowhere."""
    low_priority: bool = True
    """Whether a background process runs at the lowest priority."""


@dataclass(frozen=True, slots=True)
class CameraMoved:
    """A camera was moved."""


AdapterInput = LivePair | Cameras | CameraMoved


@dataclass(frozen=True, slots=True)
class AdapterMessage:
    """What the adapter tells the stream."""

    status: AdaptationStatus
    validation: ValidationRound | None = None
    """Where networks were compared."""
    weights: Mapping[str, np.ndarray] | None = None
    """Of the network to use from now on. Arrays: tensors would be lent, not sent, and end with the process that lends them."""
    failure: str | None = None
    """What could not be done, one sentence."""


class Port(Protocol):
    """The stream's side of an adapter."""

    def offer(self, message: AdapterInput) -> bool:
        """Hand over, never waiting; whether there was room."""
        ...

    def receive(self) -> list[AdapterMessage]:
        """Messages since the last call, never waiting. Raises EOFError where the adapter has died."""
        ...

    def close(self) -> None: ...


class AdapterWorker:
    """An adapter that saves promoted weights."""

    def __init__(self, job: AdapterJob):
        """Raises UserError for weights that cannot be used."""
        shipped, self._manifest = load_network(job.weights)
        self._file = job.adapted
        found = self._file.newest() if self._file else None
        serving = None if found is None else found.network()
        framing = Framing.of(self._manifest)
        synthetic = _synthetic(self._manifest.crop_size, framing)
        count = KEPT_REHEARSED if learner_of(shipped).keeps_inputs else REHEARSED
        self.adapter = Adapter(
            shipped,
            self._manifest,
            synthetic,
            job.widths_px,
            serving=serving,
            labels=job.labels,
            bank=lambda: _bank(count, self._manifest.crop_size, framing),
        )

    def take(self, message: AdapterInput) -> None:
        if isinstance(message, LivePair):
            self.adapter.add_pair(message)
        elif isinstance(message, Cameras):
            self.adapter.set_cameras(message)
        else:
            self.adapter.camera_moved()
            if self._file:
                self._file.begin_new_file()

    def work(self) -> AdapterMessage:
        """One step, or one validation round, and what to tell the stream."""
        update = self.adapter.work()
        if update is None:
            return AdapterMessage(self.adapter.status)
        weights = None if update.network is None else weights_of(update.network)
        return AdapterMessage(self.adapter.status, update.validation, weights, self._keep(update))

    def _keep(self, update: Update) -> str | None:
        """Save the network that is now in use; the reason where that failed."""
        if update.network is None or self._file is None:
            return None
        try:
            self._file.save(AdaptedWeights.of(update.network, self._manifest, update.validation))
        except UserError as error:
            return str(error)
        return None


class InlineAdapter:
    """Works in the calling thread: every run over the same pairs has the same networks at the same pair."""

    def __init__(self, job: AdapterJob):
        self._worker = AdapterWorker(job)
        self._messages: list[AdapterMessage] = []
        self._pairs = 0

    def offer(self, message: AdapterInput) -> bool:
        self._worker.take(message)
        if isinstance(message, LivePair):
            self._pairs += 1
            if self._pairs % WORK_EVERY == 0:
                self._messages.append(self._worker.work())
        return True

    def receive(self) -> list[AdapterMessage]:
        messages, self._messages = self._messages, []
        return messages

    def close(self) -> None:
        pass


class BackgroundAdapter:
    """Works in a background process, with the processor time that the stream leaves."""

    def __init__(self, job: AdapterJob):
        context = multiprocessing.get_context("spawn")
        self._inputs = context.Queue(QUEUED)
        self._ours, theirs = context.Pipe(duplex=False)
        # A daemon: it never outlives the program.
        self._process = context.Process(target=_serve, args=(job, self._inputs, theirs), name="adapter", daemon=True)
        with ignoring_interrupts():
            self._process.start()
        theirs.close()

    def offer(self, message: AdapterInput) -> bool:
        try:
            self._inputs.put_nowait(message)
        except queue.Full:
            return False
        return True

    def receive(self) -> list[AdapterMessage]:
        messages = []
        try:
            while self._ours.poll():
                messages.append(self._ours.recv())
        # Reset where it left something unread.
        except (EOFError, ConnectionResetError) as error:
            raise EOFError("the process that adapts has died") from error
        return messages

    def close(self) -> None:
        """End the process at once: weights are saved whole or not at all."""
        self._process.kill()
        self._process.join()
        self._inputs.close()
        # Pending input of the ended process.
        self._inputs.cancel_join_thread()
        self._ours.close()


@cache
def _synthetic(size: int, framing: Framing) -> SyntheticCrops:
    """Hands that forgetting is measured on; rendering them takes seconds."""
    return CropRenderer(size, Backgrounds.load(None, "held_out"), SYNTHETIC_SEED, framing=framing).render(SYNTHETIC)


@cache
def _bank(count: int, size: int, framing: Framing) -> SyntheticCrops:
    """Synthetic hands for rehearsal."""
    return render_bank(count, size, framing, 0, shown=False)


def network_of(weights: Mapping[str, np.ndarray], manifest: Manifest) -> HandNetwork:
    """The network of weights that came in a message."""
    network = build_network(manifest)
    network.network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
    return network.eval()


def weights_of(network: HandNetwork) -> dict[str, np.ndarray]:
    """The inverse of `network_of`."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in network.network.state_dict().items()}


def _serve(job: AdapterJob, inputs: "multiprocessing.Queue[AdapterInput]", messages: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if job.low_priority:
        give_way()
    _run(job, inputs.get, messages.send)


def _run(job: AdapterJob, get: Callable[..., AdapterInput], send: Callable[[AdapterMessage], None]) -> None:
    torch.set_num_threads(1)
    worker = AdapterWorker(job)
    sent = worker.adapter.status
    send(AdapterMessage(sent))
    parent = multiprocessing.parent_process()
    # A parent that was killed could not end this process.
    while parent is None or parent.is_alive():
        # Pending input comes before the next step.
        with suppress(queue.Empty):
            worker.take(get(timeout=0.0 if worker.adapter.has_work else IDLE_S))
            for _ in range(QUEUED):
                worker.take(get(timeout=0))
        message = worker.work()
        if message.validation is not None or message.status != sent:
            sent = message.status
            send(message)
