"""How `--estimator` becomes a name and its parts be there: `auto` is decided, and models that are missing are fetched."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from capture.sources.base import DEFAULT_MODE
from capture.sources.registry import parse_source
from hand.errors import UserError
from hand.findings import Finding, Findings
from runtime.engines.engine import Engine
from runtime.engines.int8 import WITHOUT, plan_file
from runtime.engines.names import EngineName
from runtime.engines.selection_cache import EngineSelection, load_selection
from runtime.engines.timing import time_engines
from runtime.estimators.auto import BEST, OTHERWISE, EstimatorChoice, Task, choose_estimator
from runtime.estimators.crop_estimator import load_engine
from runtime.estimators.litert import require_litert
from runtime.estimators.mediapipe_3d import OWN_WEIGHTS, default_weights, load_palm_locator
from runtime.estimators.registry import NEED_MODELS, EstimatorName, EstimatorOptions, EstimatorSetting
from runtime.networks.mediapipe_fetch import OF_A_RUN, WHEEL_BYTES, fetch_models
from runtime.networks.mediapipe_files import models_installed
from runtime.networks.weights import architecture_of, read_manifest
from runtime.pipeline_loader import engine_threads
from runtime.reselection import reselect_if_due
from runtime.settings import Settings

log = logging.getLogger(__name__)

FORBID = "DUOHAND_NO_FETCH"
"""Environment variable that forbids all runs to fetch anything, unless it is empty."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What a run's settings have become."""

    settings: Settings
    """With the name of an estimator whose models are there."""
    why: str | None
    """One line of what `auto` took and why; None where it had nothing to choose, or the findings were told."""
    engine: Engine | None
    """Of that estimator, where it was made on the way."""


def settle_estimator(settings: Settings, findings: Findings, stop: Callable[[], bool] = lambda: False) -> Settled:
    """Decide what `auto` stands for, and see that its models are there.

    `findings` are told where it is not the best one; `stop` as in `settle_name`. Raises UserError as that does.
    """
    network = BestNetwork(settings.engine, engine_threads(settings))
    name, choice = settle_name(settings.estimator, lambda: task_of(settings), network, fetch=settings.fetch, stop=stop)
    if choice is not None and choice.compromise:
        findings.add(Finding("estimator", str(choice)))
    why = str(choice) if choice is not None and not choice.compromise else None
    return Settled(msgspec.structs.replace(settings, estimator=name), why, network.made if name == BEST else None)


def settle_name(
    setting: EstimatorSetting,
    task: Callable[[], Task],
    network: "BestNetwork",
    *,
    fetch: bool,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[EstimatorName, EstimatorChoice | None]:
    """The name of an estimator whose models are there, and why where `auto` was to choose it for the `task`.

    `fetch`: whether models may be fetched; `stop`: whether to give up. Raises UserError where what was named cannot be had.
    """
    choice = choose(task(), network, fetch=fetch, stop=stop) if setting == "auto" else None
    name = setting if setting != "auto" else choice.name if choice else OTHERWISE
    if name in NEED_MODELS:
        provide_models(fetch=fetch, stop=stop)
    return name, choice


@dataclass(slots=True)
class BestNetwork:
    """The network of the best estimator in an engine."""

    engine: EngineName
    threads: int | None
    """Of the CPU, for the engine; None for all."""
    made: Engine | None = None
    """The engine, where it had to be made to be timed."""

    def pair_ms(self) -> float:
        """What it takes for a pair here, ms: what is remembered, else measured now. Raises UserError where it cannot run."""
        selection = self._selection()
        if selection is None:
            self.made = load_engine(EstimatorOptions(self.engine, threads=self.threads), OWN_WEIGHTS, tells=True)
            # It is remembered by now, unless the machine is busy.
            selection = self._selection()
        if selection is not None:
            return selection.ms[selection.engine]
        assert self.made is not None
        return time_engines({"network": self.made}).undisturbed_ms(self.threads or os.cpu_count() or 1)["network"]

    def reselect_if_due(self) -> None:
        """Try a remembered engine again that is old: no stream runs it, which would, and it may do better by now."""
        reselect_if_due(read_manifest(OWN_WEIGHTS), OWN_WEIGHTS, self.threads)

    def _selection(self) -> EngineSelection | None:
        if self.engine != "auto":
            return None
        return load_selection(EngineSelection.key(read_manifest(OWN_WEIGHTS), OWN_WEIGHTS, self.threads))


def task_of(settings: Settings) -> Task:
    """What a run wants an estimator for. Raises UserError for weights without a manifest."""
    return Task(
        architecture=architecture_of(settings.weights) if settings.weights else None,
        engine=settings.engine,
        drawn=all(source == "synthetic" for source in settings.sources),
        period_ms=_period_ms(settings),
    )


def choose(task: Task, network: BestNetwork, *, fetch: bool, stop: Callable[[], bool] = lambda: False) -> EstimatorChoice:
    """What `auto` stands for. `fetch`: whether models may be fetched for it; `stop`: whether to give up."""

    def provide() -> None:
        require_litert()
        provide_models(fetch=fetch, stop=stop)
        load_palm_locator()
        default_weights()

    choice = choose_estimator(task, provide, network.pair_ms, plan_file(OWN_WEIGHTS), WITHOUT[BEST])
    if choice.too_slow:
        network.reselect_if_due()
    return choice


def provide_models(*, fetch: bool, stop: Callable[[], bool] = lambda: False) -> None:
    """Fetch MediaPipe's models unless they are there. Raises UserError where that fails or is forbidden."""
    if models_installed():
        return
    forbidden = "--no-fetch" if not fetch else f"${FORBID}" if os.environ.get(FORBID) else None
    if forbidden:
        raise UserError(
            f"MediaPipe's models are not here, and {forbidden} forbids to fetch them: python -m tools.get_mediapipe does"
        )
    log.warning(f"fetching MediaPipe's hand models once ({WHEEL_BYTES / 1e6:.0f} MB, Apache-2.0); --no-fetch goes without them")
    log.info(f"MediaPipe's models are in {fetch_models(patience=OF_A_RUN, stop=stop)}")


def _period_ms(settings: Settings) -> float | None:
    """Between two pairs of live cameras, or of clips that play as fast as they were taken; None where frames wait."""
    if settings.every_pair or settings.replay:
        return None
    return 1e3 / min(_rate(source, settings) for source in settings.sources)


def _rate(source: str, settings: Settings) -> float:
    """Frames a second that a source is asked for or says of itself; that of most cameras where nothing is known."""
    spec = parse_source(source, secured=True)
    if spec.device:
        return settings.camera_fps
    header = spec.clip_header
    return header.fps if header else settings.sequence_fps or DEFAULT_MODE.fps
