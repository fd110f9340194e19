"""Old names of command modules: `python -m tools.OLD` still runs the command, and says where it is now."""

import sys
from collections.abc import Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "tools.backgrounds": "tools.train.backgrounds",
    "tools.bank": "tools.train.bank",
    "tools.bench_record": "tools.bench.record",
    "tools.bench_transport": "tools.bench.transport",
    "tools.compare_labels": "tools.evaluate.labels",
    "tools.compare_trunks": "tools.train.trunks",
    "tools.evaluate_geometry": "tools.evaluate.geometry",
    "tools.evaluate_guard": "tools.evaluate.promotion",
    "tools.evaluate_locator": "tools.evaluate.locator",
    "tools.fuzz": "tools.stress.fuzz",
    "tools.landmark_trust": "tools.evaluate.landmark_confidence",
    "tools.make_foreign": "tools.make.foreign_hand",
    "tools.make_hand": "tools.make.hand",
    "tools.make_headset_set": "tools.make.headset_set",
    "tools.make_people": "tools.make.people",
    "tools.soak": "tools.stress.soak",
    "tools.train_locator": "tools.train.locator",
}
"""Commands by the names that they had before, and where they are."""

_RUN = """
import runpy
import sys

from tools.aliases import hint

if __name__ == "__main__":
    print(hint({old!r}), file=sys.stderr)
    # As the main module under its new name, which processes that it starts import.
    runpy.run_module({new!r}, run_name="__main__", alter_sys=True)
"""


class _Moved(MetaPathFinder, InspectLoader):
    """Finds a module that runs the moved command; it can be run, not imported."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, origin=MOVED[fullname]) if fullname in MOVED else None

    def get_source(self, fullname: str) -> str:
        return _RUN.format(old=fullname, new=MOVED[fullname])

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        raise ModuleNotFoundError(f"{name} is {MOVED[name]} now: import that", name=name)


def hint(old: str) -> str:
    """Where the command of an old name is now, in a sentence."""
    from tools.commands import COMMANDS, PROG

    new = MOVED[old]
    name = next(command.name for command in COMMANDS.values() if command.module == new)
    return f"{old} is now {PROG} {name} (python -m {new})"


def install() -> None:
    """Let Python find the old names, after all others."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.append(_Moved())
