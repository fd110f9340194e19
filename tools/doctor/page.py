"""Whether this machine can run DuoHand, on one page, with what to do where it cannot.

python -m tools.doctor
python -m tools.doctor --left 0 --right 2

Exit code: 1 where a finding is a problem.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tools.doctor.cameras import check_cameras, check_two_cameras
from tools.doctor.finding import Finding
from tools.doctor.machine import check_machine
from tools.doctor.parts import check_parts


@dataclass
class Settings:
    """Check whether this machine can run DuoHand."""

    left: str | None = None
    """Left camera, as for stream.py; by default the first that is found, or the test pattern where there is none."""
    right: str | None = None
    """Right camera; by default the second that is found."""
    seconds: float = 5.0
    """For how long both cameras are tested."""


def findings(settings: Settings) -> Iterator[Finding]:
    """Results of all checks, in their order."""
    yield from check_machine()
    yield from check_parts()
    yield from check_cameras()
    yield from check_two_cameras(settings.left, settings.right, settings.seconds)


def main(settings: Settings) -> int:
    """Print the page; 1 where a finding is a problem."""
    found = []
    for finding in findings(settings):
        print(finding, flush=True)
        found.append(finding)
    problems, warnings = (sum(each.level == level for each in found) for level in ("problem", "warning"))
    if problems:
        verdict = "this machine cannot run DuoHand yet: see the problems above"
    elif warnings:
        verdict = "this machine can run DuoHand; see the warnings above"
    else:
        verdict = "this machine can run DuoHand"
    print(f"\n{verdict} ({problems} problems, {warnings} warnings)")
    return 1 if problems else 0
