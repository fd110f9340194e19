"""Two SOURCEs as those of a pair: each can be read, they are two cameras, and what their headers tell."""

from capture.clip_pair import compare_headers
from capture.clip_timing import ClipTiming
from capture.distinct import check_distinct
from capture.sources.base import SourceSpec
from capture.sources.clip_header import ClipHeader
from capture.sources.registry import parse_source
from capture.transport.feeds import peer_key
from capture.transport.keys import Keys
from capture.views import PerView, View
from hand.errors import UserError
from hand.findings import Findings


def read_sources(
    sources: PerView[str], keys: Keys | None, timing: PerView[ClipTiming] | None, findings: Findings
) -> PerView[SourceSpec]:
    """Raises UserError for a source that is not one or no clip though there is a `timing`, and for one device in both views."""
    specs = PerView.of(lambda view: _parse(view, sources[view], keys))
    one_recording = check_distinct(specs, sources)
    if one_recording is not None:
        findings.add(one_recording)
    if timing is not None:
        for view, spec in specs.items():
            if spec.timed(timing[view]) is None:
                raise UserError(
                    f"{view} source {sources[view]!r} is no clip on disk, and has times of its own; leave out --offset and "
                    "--rate, which are for two clips"
                )
    return specs


def check_headers(specs: PerView[SourceSpec], timing: PerView[ClipTiming] | None, findings: Findings) -> None:
    """Add what the headers of two clips tell of them. Raises UserError for a clip that cannot be read."""
    left, right = (_header(view, spec) for view, spec in specs.items())
    if left is not None and right is not None:
        for finding in compare_headers(PerView(left, right), timing):
            findings.add(finding)


def _header(view: View, spec: SourceSpec) -> ClipHeader | None:
    try:
        return spec.clip_header
    except UserError as error:
        raise UserError(f"{view} camera: {error}") from error


def _parse(view: View, source: str, keys: Keys | None) -> SourceSpec:
    try:
        spec = parse_source(source, secured=keys is not None)
        peer_key(spec, keys)
        return spec
    except UserError as error:
        raise UserError(f"{view} camera: {error}") from error
