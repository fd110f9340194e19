"""Imports run one way, and what takes seconds to import waits until it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "hand": set(),
    "capture": {"hand"},
    "runtime": {"hand", "capture"},
    "adapt": {"hand", "capture", "runtime"},
    "export": {"hand", "runtime"},
    "tools": {"hand", "capture", "runtime", "adapt", "export", "stream"},
    "stream": {"hand", "capture", "runtime", "adapt", "export"},
}
"""Our rooms, and those that each may import besides itself."""


def files(room: str) -> list[Path]:
    return [ROOT / "stream.py"] if room == "stream" else sorted((ROOT / room).rglob("*.py"))


def imported_names(path: Path) -> set[str]:
    """Top-level names that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_is_below_it(room):
    ours = {*MAY_IMPORT, "tests"}
    for path in files(room):
        wrong = imported_names(path) & ours - MAY_IMPORT[room] - {room}
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}; {room} may import {sorted(MAY_IMPORT[room])}"


def test_packages_hold_no_code_of_their_own():
    for room in MAY_IMPORT.keys() - {"stream"}:
        assert (ROOT / room / "__init__.py").read_text() == ""


def test_help_does_not_wait_for_heavy_libraries():
    check = "import sys, stream; print(*{'cv2', 'open3d', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done
