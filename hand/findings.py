"""What a run finds out that its user should know: said once on the log, and again in the summary and the figures at the end."""

import logging
import threading
from dataclasses import dataclass
from typing import Literal

log = logging.getLogger(__name__)

FindingLevel = Literal["info", "warning", "error"]
_NUMBERS: dict[FindingLevel, int] = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found out."""

    kind: str
    """A stable name for programs, such as "view_mirrored"."""
    text: str
    """One sentence: what is the case, with its value; what follows from it; what to do."""
    level: FindingLevel = "warning"
    """error: the run's result is not what was asked for, so it does not end with 0."""
    view: str | None = None
    """The camera it is about; None where it is about both or neither."""


class Findings:
    """The findings of one run. May be used by several threads."""

    def __init__(self, *, quiet: bool = False) -> None:
        """`quiet`: nothing is logged, as of clips that are read again afterwards."""
        self._quiet = quiet
        self._findings: dict[tuple[str, str | None], Finding] = {}
        self._logged: set[tuple[str, str | None]] = set()
        self._lock = threading.Lock()

    def add(self, finding: Finding) -> None:
        """Keep a finding in place of an earlier one of its kind and view; only the first of them is logged."""
        key = (finding.kind, finding.view)
        with self._lock:
            self._findings[key] = finding
            new = key not in self._logged
            self._logged.add(key)
        if new and not self._quiet:
            log.log(_NUMBERS[finding.level], finding.text)

    def withdraw(self, kind: str, view: str | None = None) -> None:
        """Drop a finding that is no longer so, if there is one; should it come again, it is not logged again."""
        with self._lock:
            self._findings.pop((kind, view), None)

    @property
    def all(self) -> list[Finding]:
        """In the order in which they were found."""
        with self._lock:
            return list(self._findings.values())

    @property
    def failed(self) -> bool:
        """Whether one of them is an error."""
        return any(finding.level == "error" for finding in self.all)
