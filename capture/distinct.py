"""Whether two SOURCEs are two cameras, as far as that is known before they are opened."""

import os

from capture.sources.base import SourceSpec
from capture.views import PerView
from hand.errors import UserError
from hand.findings import Finding


def check_distinct(specs: PerView[SourceSpec], sources: PerView[str]) -> Finding | None:
    """What is to be known of two SOURCEs that are one recording; None for two. Raises UserError for one device, given twice."""
    left, right = specs.left, specs.right
    if left.device and right.device and _one_node(left.device, right.device):
        raise UserError(
            f"left camera {sources.left} and right camera {sources.right} are one device, {os.path.realpath(left.device)}: give "
            "two cameras; python -m tools.cameras lists those there are"
        )
    if not left.files or not (left == right or (left.name is not None and left.name == right.name)):
        return None
    return Finding(
        "same_camera",
        f"left {sources.left} and right {sources.right} are one recording: from one place depth cannot be seen, so hands are no "
        "better than one camera's, and their rotation and place are worth nothing; give the recordings of two cameras",
        "error",
    )


def _one_node(left: str, right: str) -> bool:
    """Whether two device nodes are one, through links and other names of the same number."""
    if os.path.realpath(left) == os.path.realpath(right):
        return True
    try:
        return 0 != os.stat(left).st_rdev == os.stat(right).st_rdev
    except OSError:
        # One that is not there is named when it is opened.
        return False
