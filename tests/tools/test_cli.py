"""`duohand`: every command is in its table and has its help, and the list of them waits for no library."""

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.paths import ROOT
from tools import cli
from tools.commands import COMMANDS, GROUPS

HEAVY = (
    "cv2",
    "joblib",
    "matplotlib",
    "msgspec",
    "numpy",
    "onnxruntime",
    "open3d",
    "ray",
    "scipy",
    "torch",
    "tqdm",
    "tyro",
    "zmq",
)
NO_COMMANDS = {"tools.cli", "tools.setup_system"}
"""They are run by `python -m`, but are the command line itself, or run before anything is installed."""

COMPLETE = """
source "$0"
complete() {{ :; }}
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=()
_tyro_duohand
echo "${{COMPREPLY[@]}}"
"""


def runnable() -> set[str]:
    """Modules that `python -m` runs, by their names there."""
    found = {"stream"}
    for room in ("adapt", "export", "tools"):
        for path in (ROOT / room).rglob("*.py"):
            guards = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.If)]
            if any("__main__" in ast.unparse(guard.test) for guard in guards):
                found.add(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__"))
    return found - NO_COMMANDS


def test_every_runnable_module_is_a_command_and_the_other_way_round():
    assert {command.module for command in COMMANDS.values()} == runnable()


def test_a_name_stands_for_one_command():
    assert len(COMMANDS) == sum(map(len, GROUPS.values()))


def test_the_list_of_commands_imports_no_library():
    code = "import sys; from tools import cli; cli.main(['--help']); print(*sys.modules.keys() & sys.argv, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *HEAVY], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, ""), done.stderr
    for group, commands in GROUPS.items():
        assert f"{group}:" in done.stdout
        for command in commands:
            assert re.search(rf"^  {command.name} +{re.escape(command.help)}$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_names_the_program_as_it_was_called(name, capsys):
    with pytest.raises(SystemExit) as end:
        raise SystemExit(cli.main([*name.split(), "--help"]))
    assert not end.value.code
    assert f"duohand {name} " in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [(["steam"], "stream"), (["export", "onxx"], "export onnx"), (["benhc", "transport"], "bench"), (["train_locator"], "train")],
)
def test_an_unknown_command_is_answered_with_the_nearest_one(arguments, meant, capsys):
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "there is no command" in said and f"did you mean duohand {meant}" in said


def test_a_word_like_no_command_is_answered_with_the_way_to_the_list(capsys):
    assert cli.main(["xyzzy"]) == 2
    assert capsys.readouterr().err == "duohand: there is no command xyzzy: duohand --help lists them\n"


def test_a_group_without_a_command_lists_its_commands(capsys):
    assert cli.main(["export"]) == 0
    shown = capsys.readouterr().out
    assert "export onnx" in shown and "bench transport" not in shown


def test_input_that_cannot_be_used_is_one_sentence_and_code_2(tmp_path, capsys):
    assert cli.main(["predict", str(tmp_path / "none.png")]) == 2
    said = capsys.readouterr().err
    *bars, sentence = said.splitlines()
    assert sentence.startswith("duohand predict: ") and "none.png" in sentence
    assert all(bar.startswith("pictures:") for bar in filter(None, bars))


def test_the_version_is_the_package_s(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"duohand {version('duohand')}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_written_for_the_shell(shell, tmp_path):
    file = tmp_path / "completion"
    with pytest.raises(SystemExit) as end:
        cli.main(["--tyro-write-completion", shell, str(file)])
    assert not end.value.code
    assert "duohand" in file.read_text()
    if shell != "bash" or not shutil.which("bash"):
        return
    for words, offered in {
        "duohand st": "stream",
        "duohand train lo": "locator",
        "duohand train runs/x --minu": "--minutes",
        "duohand train locator --minu": "--minutes",
        "duohand export on": "onnx",
        "duohand session cut --st": "--start",
        "duohand stream --engine tens": "tensorrt",
    }.items():
        done = subprocess.run(["bash", "-c", COMPLETE.format(words=words), file], capture_output=True, text=True)
        assert (done.stdout.strip(), done.returncode) == (offered, 0), words


def test_completion_for_a_shell_that_is_not_known_is_refused(capsys):
    assert cli.main(["--tyro-print-completion", "cmd"]) == 2
    assert "expected --tyro-print-completion bash|zsh|fish" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["stream", "--help"], ["keys", "--help"]])
def test_output_that_nobody_reads_ends_the_program_quietly(arguments):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "tools.cli", *arguments], cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")
