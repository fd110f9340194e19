"""Old names of commands run them under the new ones, and say so once."""

import importlib
import os
import runpy
import subprocess
import sys

import pytest

from tests.paths import ROOT
from tools.aliases import MOVED
from tools.commands import COMMANDS

SPAWNING = """
import multiprocessing, sys

def work(queue):
    queue.put(sys.modules["__main__"].__name__)

if __name__ == "__main__":
    for method in ("spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        queue = context.Queue()
        process = context.Process(target=work, args=(queue,))
        process.start()
        print(sys.argv[1:], queue.get(timeout=60))
        process.join()
"""


def name_of(module: str) -> str:
    return next(command.name for command in COMMANDS.values() if command.module == module)


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_runs_the_command_of_the_new_one(old, monkeypatch, capsys):
    shown = []
    for name in (old, MOVED[old]):
        monkeypatch.setattr(sys, "argv", [name, "--help"])
        with pytest.raises(SystemExit, match="^0$"):
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        shown.append(capsys.readouterr())
    by_old, by_new = shown
    assert by_old.out == by_new.out
    assert by_old.err == f"{old} is now duohand {name_of(MOVED[old])} (python -m {MOVED[old]})\n{by_new.err}"


def test_an_old_name_is_for_a_command_line_too():
    done = subprocess.run([sys.executable, "-m", "tools.make_foreign", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, "--help" in done.stdout) == (0, True)
    assert done.stderr == "tools.make_foreign is now duohand make foreign-hand (python -m tools.make.foreign_hand)\n"


def test_processes_of_a_command_by_its_old_name_say_nothing_more(tmp_path):
    (tmp_path / "spawning_command.py").write_text(SPAWNING)
    code = (
        "import runpy, tools.aliases as a, tools.commands as c;"
        "a.MOVED['tools.spawning'] = 'spawning_command';"
        "c.COMMANDS['spawning'] = c.Command('spawning', 'spawning_command', '');"
        "runpy.run_module('tools.spawning', run_name='__main__', alter_sys=True)"
    )
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, "-c", code, "one"], env=environment, capture_output=True, text=True)
    assert done.stderr == "tools.spawning is now duohand spawning (python -m spawning_command)\n"
    assert done.stdout == "['one'] __mp_main__\n" * 2


def test_an_old_name_is_not_for_import():
    with pytest.raises(ModuleNotFoundError, match=r"tools\.bank is tools\.train\.bank now"):
        importlib.import_module("tools.bank")
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'tools\.never_was'"):
        importlib.import_module("tools.never_was")
