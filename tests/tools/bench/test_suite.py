"""The suite times each part by its name, in interleaved rounds."""

from typing import get_args

from tools.bench.suite import PARTS, Part, names
from tools.bench.timed import WARM_UP, Timed, time_parts


def test_every_part_but_the_tables_is_timed_once():
    timed = [name for part in get_args(Part)[2:] for name in names(part)]
    assert sorted(timed) == sorted(PARTS)


def test_rounds_are_interleaved_and_the_first_are_not_counted():
    runs: list[str] = []
    parts = {name: Timed(lambda name=name: runs.append(name), 4, "") for name in ("a", "b")}
    spent = time_parts(parts, rounds=3)
    assert runs == ["a", "b"] * (WARM_UP + 3)
    assert {name: len(times) for name, times in spent.items()} == {"a": 3, "b": 3}
