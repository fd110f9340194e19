"""What is timed of a part, and how: interleaved rounds, so a busy moment affects all parts alike."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

WARM_UP = 2
"""Rounds that are not counted."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A part that can be timed."""

    run: Callable[[], object]
    units: float
    """How many of what `what` describes one run does."""
    what: str


Make = Callable[[], Timed]
"""Loads what a part needs. Raises UserError where it is missing."""


def time_parts(parts: Mapping[str, Timed], rounds: int) -> dict[str, list[float]]:
    """Milliseconds a unit of each part, by round."""
    spent: dict[str, list[float]] = {name: [] for name in parts}
    for number in range(WARM_UP + rounds):
        for name, part in parts.items():
            started = time.perf_counter()
            part.run()
            if number >= WARM_UP:
                spent[name].append((time.perf_counter() - started) / part.units * 1e3)
    return spent
