"""One line of what `tools.doctor` finds."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was looked at."""

    level: Level
    topic: str
    """One or two words."""
    what: str
    """What was found."""
    advice: str = ""
    """What to do, where it is not as it should be."""

    def __str__(self) -> str:
        return f"{self.level:<9}{self.topic:<18}{self.what}" + (f"; {self.advice}" if self.advice else "")
