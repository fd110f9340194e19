"""How a command ends as a program: what goes wrong is a sentence and an exit code, never a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

PROGRAM = """
import sys
from hand.errors import UserError
from hand.program import run_line

def main():
    {body}

run_line(main)
"""


def ended(body: str, out: Path) -> tuple[int, list[str]]:
    """Exit code and lines of standard error of a program with this body and standard output."""
    with out.open("w") as stdout:
        command = [sys.executable, "-c", PROGRAM.format(body=body)]
        done = subprocess.run(command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60)
    return done.returncode, done.stderr.splitlines()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("body", ["print('one line')", "print('x' * 100_000)", "print('now', flush=True)"])
def test_a_result_that_cannot_be_printed_is_one_sentence(body):
    code, errors = ended(body, Path("/dev/full"))
    assert code == 1
    (sentence,) = errors
    assert "cannot be printed: No space left on device; free some space" in sentence


def test_a_user_error_is_a_sentence_with_the_programs_name_and_2(tmp_path):
    assert ended("raise UserError('give a file')", tmp_path / "out") == (2, ["-c: give a file"])


def test_the_code_is_the_commands_own(tmp_path):
    assert ended("print('done'); return 3", tmp_path / "out") == (3, [])
    assert (tmp_path / "out").read_text() == "done\n"


def test_an_error_of_another_file_is_not_taken_for_one_of_the_output(tmp_path):
    code, errors = ended("open('/nowhere/at/all')", tmp_path / "out")
    assert code == 1 and errors[-1].startswith("FileNotFoundError")


def test_a_program_without_a_standard_output_ends_as_any():
    command = [sys.executable, "-c", PROGRAM.format(body="print('unheard')")]
    done = subprocess.run(["sh", "-c", '"$0" "$@" >&-', *command], cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
