"""What a run's pairs are given to: the pipeline of the cameras' setup, with its adaptation where that is asked for."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from adapt.online.status_text import status_sentence, summary_sentence
from capture.frames import FramePair
from hand.findings import Findings
from runtime.calibration.solver_process import Solver
from runtime.camera_setup import CameraSetup
from runtime.pipeline import Pipeline
from runtime.pipeline_loader import PipelineLoader
from runtime.settings import Settings
from runtime.types import DualHand

if TYPE_CHECKING:
    from adapt.online.live_adaptation import LiveAdaptation

log = logging.getLogger(__name__)


class CameraPipeline:
    """The pipeline of the cameras' setup, with its adaptation; both are made anew where a camera has come late."""

    def __init__(
        self, settings: Settings, loader: PipelineLoader, solver: Solver | None, findings: Findings, setup: CameraSetup
    ) -> None:
        """Raises UserError for settings that do not fit the cameras."""
        self._settings, self._loader, self._solver, self._findings = settings, loader, solver, findings
        self.setup = setup
        self.pipeline: Pipeline = loader.make(setup, solver)
        self.adaptation: LiveAdaptation | None = None
        self._figures_at_end: Mapping[str, object] | None = None

    def begin_adaptation(self) -> None:
        """Raises UserError for adapted weights that cannot be loaded, or saved."""
        if self._settings.adapt == "off":
            return
        # torch's training parts take seconds to import: only a run that adapts does.
        from adapt.online.startup import begin

        self.adaptation = begin(self._settings, self.setup, self.pipeline, self._findings)

    def set_up_anew(self, setup: CameraSetup) -> None:
        """Process for these cameras from now on, between two pairs. Raises UserError for settings that do not fit them."""
        self.close()
        self.setup, self.pipeline = setup, self._loader.make(setup, self._solver)
        self.begin_adaptation()

    def step(self, pair: FramePair) -> list[DualHand]:
        return (self.adaptation or self.pipeline).step(pair)

    @property
    def adaptation_sentence(self) -> str:
        return status_sentence(self.adaptation.status) if self.adaptation else ""

    @property
    def adaptation_figures(self) -> Mapping[str, object] | None:
        """For the statistics, those at its end once it is closed; None where nothing adapted."""
        return self.adaptation.figures if self.adaptation else self._figures_at_end

    def close(self) -> None:
        if self.adaptation:
            self.adaptation.close()
            self._figures_at_end = self.adaptation.figures
            log.info(summary_sentence(self.adaptation.status, self.adaptation.drops))
            self.adaptation = None
