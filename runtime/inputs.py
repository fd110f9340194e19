"""What is wrong with the cameras and files that the settings name, said before any network is loaded."""

from dataclasses import replace

from capture.sources.registry import parse_source
from hand.errors import UserError
from hand.findings import Findings
from runtime.settings import Settings


def check_inputs(settings: Settings, findings: Findings) -> None:
    """Add to `findings` what is taken for granted of them.

    Raises UserError for a camera or a calibration that cannot be used, as far as that is known before frames come.
    """
    if not settings.replay:
        for view, source in settings.sources.items():
            try:
                for finding in parse_source(source, secured=settings.keys is not None).check(settings.camera_mode):
                    findings.add(replace(finding, text=f"{view} camera: {finding.text}", view=view))
            except UserError as error:
                raise UserError(f"{view} camera: {error}") from error
    if settings.calibration:
        # OpenCV, which reads it, is not to be waited for by --help.
        from runtime.calibration.calibration_files import read_calibration

        for finding in read_calibration(*settings.calibration).findings:
            findings.add(finding)
