"""What becomes of a run whose output fails: the failure is a finding, and the run goes on without that output."""

from collections.abc import Callable
from types import TracebackType

from hand.files import advice
from hand.findings import Finding, Findings


class OutputGuard:
    """Guards one output: as a context manager around each use of it, it takes an OSError as the output's end."""

    def __init__(self, findings: Findings, output: str, name: object, written: Callable[[], str] = lambda: "") -> None:
        """`output`: the setting's name, such as "save"; `name`: what it is given; `written`: how much of it there is, such as
        "12 hands".
        """
        self.failed = False
        self._findings = findings
        self._output = output
        self._name = name
        self._written = written

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> bool:
        if not isinstance(error, OSError):
            return False
        if not self.failed:
            self.failed = True
            written = self._written()
            state = f"breaks off after {written}" if written else "is not written"
            text = (
                f"--{self._output} {self._name} {state}: {error.strerror or error}; the run goes on without it: {advice(error)}"
            )
            self._findings.add(Finding(f"{self._output}_failed", text, "error"))
        return True
