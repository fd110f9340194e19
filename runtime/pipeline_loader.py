"""How settings become a pipeline: networks are loaded before the cameras start, the rest once the size of frames is known."""

import logging
import os

import torch

from runtime.calibration.solver_process import BackgroundSolver, InlineSolver, Solver
from runtime.camera_setup import CameraSetup
from runtime.engines.engine import Engine
from runtime.estimators.estimator import FollowSettings
from runtime.estimators.registry import EstimatorOptions, load_estimator
from runtime.fusion.smoothing import OneEuroSettings
from runtime.outputs.replay_check import ReplayCheck
from runtime.outputs.run_recorder import RunMetadata
from runtime.pipeline import Pipeline, PipelineSettings
from runtime.settings import Settings

log = logging.getLogger(__name__)


class PipelineLoader:
    """Loads the estimator's networks, and makes the pipeline around it."""

    def __init__(self, settings: Settings, replay_check: ReplayCheck | None, made: Engine | None = None):
        """`replay_check`: of the recording that is replayed; `made`: the engine, where there is one already.

        Raises UserError where a network cannot be loaded or run.
        """
        self._settings, self._replay_check = settings, replay_check
        threads = replay_check.threads if replay_check else engine_threads(settings)
        self._follow = FollowSettings(settings.hand_side, settings.rois)
        reselect = replay_check is None
        options = EstimatorOptions(settings.engine, settings.weights, threads, reselect=reselect, follow=self._follow, made=made)
        self._estimator = load_estimator(settings.estimator_name, options)
        log.info(f"engine: {self._estimator.description}")
        self.metadata = RunMetadata.of(
            settings, self._estimator.description, self._estimator.weights, threads, torch.get_num_threads()
        )

    def solver(self) -> Solver | None:
        """What solves for the cameras' geometry; None where it is not used."""
        if self._settings.merge == "rotation":
            return None
        if self._replay_check:
            return self._replay_check.solver()
        return InlineSolver() if self._settings.every_pair else BackgroundSolver()

    def make(self, setup: CameraSetup, solver: Solver | None) -> Pipeline:
        """The pipeline for these cameras, again where one has come late. Raises UserError for a roi outside the frames."""
        settings, sizes_px = self._settings, setup.cameras.map(lambda camera: camera.size_px)
        self._follow.check(sizes_px)
        pipeline_settings = PipelineSettings(
            merge=settings.merge,
            hand_size_mm=settings.hand_size_mm,
            merge_rule=settings.merge_rule,
            smooth=OneEuroSettings() if settings.smooth else None,
        )
        estimator = self._estimator.make(sizes_px)
        calibrator = setup.calibrator(settings.hand_size_mm) if solver else None
        return Pipeline(estimator, setup.cameras, pipeline_settings, calibrator=calibrator, solver=solver)


def engine_threads(settings: Settings) -> int | None:
    """Of the CPU, for the engine: live, the cameras' processes and the viewer need the other half."""
    return None if settings.every_pair else max(1, (os.cpu_count() or 1) // 2)
