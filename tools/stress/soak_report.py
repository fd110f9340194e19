"""Figures of a soak: each fault and its recovery, the laws that are broken, and the table of both."""

import os
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from tools.stress.soak_faults import FAULTS, SHOWS, Fault


@dataclass
class Event:
    """One fault and the recovery from it."""

    fault: Fault
    at_s: float
    recovered_s: float
    """From the fault's end until service was normal again."""
    shown: dict[str, int]
    """Counters that rose."""


@dataclass
class Outcome:
    """Figures of a run."""

    seconds: float = 0.0
    pairs: int = 0
    alone: int = 0
    """Pairs of one view and a placeholder."""
    wrong: int = 0
    first_wrong: list[str] = field(default_factory=list)
    """Descriptions of the first few wrong pairs."""
    events: list[Event] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    """Resident, of the receiving process, once a second."""
    counters: dict[str, int] = field(default_factory=dict)
    clock: str = ""

    @property
    def settled_mb(self) -> tuple[float, float]:
        """Median of the first and of the last fifth, after a fifth to settle."""
        fifth = max(1, len(self.memory_mb) // 5)
        return float(np.median(self.memory_mb[fifth : 2 * fifth])), float(np.median(self.memory_mb[-fifth:]))

    @property
    def broken(self) -> list[str]:
        """A sentence for each law that does not hold."""
        first, last = self.settled_mb
        laws = [
            (abs(last - first) <= 20, f"memory went from {first:.0f} to {last:.0f} MB"),
            (self.wrong == 0, f"{self.wrong} pairs are wrong: {'; '.join(self.first_wrong)}"),
            (self.pairs > 0, "no pair came"),
        ]
        for event in self.events:
            what = f"{event.fault} at {event.at_s:.1f} s"
            laws.append((bool(set(event.shown) & set(SHOWS[event.fault])), f"{what} shows in no counter"))
            laws.append((event.recovered_s <= 1.0, f"{what}: normal again only after {event.recovered_s:.2f} s"))
        return [sentence for holds, sentence in laws if not holds]


def table(outcome: Outcome) -> str:
    """The outcome as text."""
    lines = [f"{'fault':<13}{'times':>5}  {'normal again after (median, worst)':<36}counters that rose"]
    for fault in FAULTS:
        events = [event for event in outcome.events if event.fault == fault]
        if events:
            took = [event.recovered_s for event in events]
            rose = ", ".join(f"{name} {count}" for name, count in sum((Counter(e.shown) for e in events), Counter()).items())
            lines.append(f"{fault:<13}{len(events):>5}  {f'{np.median(took):.2f} s, {max(took):.2f} s':<36}{rose}")
    first, last = outcome.settled_mb
    due = outcome.pairs / outcome.seconds if outcome.seconds else 0
    lines += [
        f"{outcome.seconds:.0f} s, {outcome.pairs} pairs of both views ({due:.1f}/s), {outcome.alone} of one view, "
        f"{outcome.wrong} wrong",
        f"load of this machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
        f"memory {first:.0f} to {last:.0f} MB, most {max(outcome.memory_mb):.0f} MB",
        f"the feed's {outcome.clock}",
    ]
    return "\n".join([*lines, *(f"BROKEN: {sentence}" for sentence in outcome.broken)])
