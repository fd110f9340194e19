"""What the doctor reports of one thing that it checked."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; its text is one line."""

    level: Level
    topic: str
    """One or two words."""
    what: str
    """What was found, in a sentence."""
    advice: str = ""
    """What to do where the level is not ok."""

    def __str__(self) -> str:
        return f"{self.level:<9}{self.topic:<18}{self.what}" + (f"; {self.advice}" if self.advice else "")
