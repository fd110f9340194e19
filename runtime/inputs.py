"""What is wrong with the cameras and files that the settings name, said before any network is loaded."""

from dataclasses import replace

from capture.sources.base import SourceSpec
from capture.sources.registry import parse_source
from capture.views import PerView, View
from hand.errors import UserError
from hand.findings import Finding, Findings
from runtime.settings import Settings


def check_inputs(settings: Settings, findings: Findings) -> None:
    """Add to `findings` what is taken for granted of them.

    Raises UserError for a camera or a calibration that cannot be used, as far as that is known before frames come.
    """
    if not settings.replay:
        first = PerView.of(lambda view: _check_source(view, settings, findings).first_number)
        if first.left is not None and first.right is not None and first.left != first.right:
            text = (
                f"the left pictures begin with number {first.left} and the right ones with {first.right}, and both are taken to "
                "begin at one time; where a number is one moment in both, leave out those that only one has"
            )
            findings.add(Finding("sequence_starts", text))
    if settings.calibration:
        # OpenCV, which reads it, is not to be waited for by --help.
        from runtime.calibration.calibration_files import read_calibration

        for finding in read_calibration(*settings.calibration).findings:
            findings.add(finding)


def _check_source(view: View, settings: Settings, findings: Findings) -> SourceSpec:
    try:
        spec = parse_source(settings.sources[view], secured=settings.keys is not None)
        for finding in spec.check(settings.camera_mode):
            findings.add(replace(finding, text=f"{view} camera: {finding.text}", view=view))
    except UserError as error:
        raise UserError(f"{view} camera: {error}") from error
    return spec
