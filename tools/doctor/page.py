"""Say on one page whether this machine can do the job, and what to do where it cannot.

python -m tools.doctor
python -m tools.doctor --left 0 --right 2

Exit code: 1 where something is a problem.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tools.doctor.cameras import look_at_cameras, test_two_cameras
from tools.doctor.finding import Finding
from tools.doctor.machine import look_at_machine
from tools.doctor.parts import look_at_parts


@dataclass
class Settings:
    """Look whether this machine can do the job."""

    left: str | None = None
    """Left camera, as for stream.py; none: the first that is found, else made-up frames."""
    right: str | None = None
    """Right camera."""
    seconds: float = 5.0
    """How long both cameras are tried."""


def findings(settings: Settings) -> Iterator[Finding]:
    """Everything that was looked at, as it is found."""
    yield from look_at_machine()
    yield from look_at_parts()
    yield from look_at_cameras()
    yield from test_two_cameras(settings.left, settings.right, settings.seconds)


def main(settings: Settings) -> int:
    """Print the page; 1 where something is a problem."""
    found = []
    for finding in findings(settings):
        print(finding, flush=True)
        found.append(finding)
    problems, warnings = (sum(each.level == level for each in found) for level in ("problem", "warning"))
    if problems:
        verdict = "this machine cannot do it yet"
    elif warnings:
        verdict = "this machine can do it; see the warnings"
    else:
        verdict = "this machine can do it"
    print(f"\n{verdict} ({problems} problems, {warnings} warnings)")
    return 1 if problems else 0
