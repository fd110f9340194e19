"""How live adaptation begins: loads adapted weights of these cameras, and starts the adapter that the settings ask for."""

import logging
from pathlib import Path

from adapt.core.learner import learner_class
from adapt.online.adapted_weights import AdaptedWeightsFile
from adapt.online.adapter_process import AdapterJob, BackgroundAdapter, InlineAdapter
from adapt.online.live_adaptation import LiveAdaptation
from hand.errors import UserError
from hand.findings import Finding, FindingLevel, Findings
from hand.folders import data_folder
from runtime.camera_setup import CameraSetup
from runtime.engines.engine import RefittableEngine
from runtime.estimators.adaptable import Adaptable
from runtime.estimators.adaptable_networks import weights_of
from runtime.estimators.registry import estimator_of
from runtime.networks.weights import network_class
from runtime.pipeline import Pipeline
from runtime.settings import Settings

log = logging.getLogger(__name__)


def begin(settings: Settings, known: CameraSetup, pipeline: Pipeline, findings: Findings) -> LiveAdaptation | None:
    """A pipeline around `pipeline` whose network adapts; None where it is not to adapt (any more).

    `findings` are told what was asked for and is not had. Raises UserError for adapted weights that cannot be loaded, or saved.
    """
    if settings.adapt == "off":
        return None
    estimator = pipeline.estimator
    if not isinstance(estimator, Adaptable):
        raise UserError(f"--adapt {settings.adapt} is for networks of ours: leave it out with --estimator {settings.estimator}")
    file = adapted_weights_file(settings, known, estimator.manifest.sha256)
    if file is not None:
        _load_adapted(file, estimator, findings, needed=settings.adapt == "frozen")
    elif settings.adapt == "frozen":
        raise UserError("--adapt frozen uses adapted weights of two live cameras, and these are recordings: give --profile NAME")
    if settings.adapt == "frozen":
        return None
    learner_class(network_class(estimator.manifest.architecture))
    weights = weights_of(estimator_of(estimator.manifest.architecture), settings.weights)
    widths_px = known.cameras.map(lambda camera: camera.size_px[0])
    job = AdapterJob(weights, widths_px, settings.adapt_labels, file)
    port = InlineAdapter(job) if settings.every_pair else BackgroundAdapter(job)
    return LiveAdaptation(
        pipeline,
        estimator,
        port,
        hand_size_mm=settings.hand_size_mm,
        build_in_background=not settings.every_pair,
        findings=findings,
    )


def adapted_weights_file(settings: Settings, known: CameraSetup, base: str) -> AdaptedWeightsFile | None:
    """Where adapted weights of these cameras are kept; None for recordings without a name. Raises UserError for a bad name."""
    if settings.profile is not None:
        return AdaptedWeightsFile(default_folder(), settings.profile, base)
    return None if known.file is None else AdaptedWeightsFile(default_folder(), known.file.stem, base)


def default_folder() -> Path:
    """Where adapted weights of camera pairs are kept."""
    return data_folder("adapted")


def _load_adapted(file: AdaptedWeightsFile, estimator: Adaptable, findings: Findings, *, needed: bool) -> None:
    adapted = file.newest()
    if adapted is None:
        level: FindingLevel = "error" if needed else "warning"
        if file.exists:
            text = f"the adapted weights of {file.name} are of another network: they are not used"
            findings.add(Finding("adapted_weights_of_another_network", text, level))
        elif needed:
            text = (
                f"there are no adapted weights of {file.name} yet, so the network is used as it ships: run with --adapt on first"
            )
            findings.add(Finding("no_adapted_weights", text, level))
        return
    engine = estimator.engine
    assert isinstance(engine, RefittableEngine), engine
    network = adapted.network()
    estimator.swap(engine.refitted(network, engine.manifest))
    log.info(f"adapted weights of {file.name} are loaded ({adapted.record.steps} steps, saved {adapted.record.saved_at})")
