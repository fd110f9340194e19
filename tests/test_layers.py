"""Imports run one way, between packages and inside them; heavy libraries are imported only when needed."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.paths import ROOT

MAY_IMPORT = {
    "hand": set(),
    "hand.synth": {"hand"},
    "capture": {"hand", "capture.sources", "capture.transport", "capture.recording"},
    "capture.sources": {"hand", "hand.synth", "capture", "capture.recording"},
    "capture.transport": {"hand", "capture", "capture.sources"},
    "capture.recording": {"hand", "capture"},
    "runtime": {
        *("hand", "capture", "capture.sources", "runtime.geometry", "runtime.networks", "runtime.engines"),
        *("runtime.estimators", "runtime.calibration", "runtime.fusion", "runtime.reporting", "runtime.outputs"),
        *("runtime.calibration.formats", "runtime.calibration.recordings"),
    },
    "runtime.synchronization": {"hand", "capture", "capture.sources", "runtime", "runtime.estimators"},
    "runtime.geometry": {"hand", "capture"},
    "runtime.networks": {"hand"},
    "runtime.engines": {"hand", "runtime.networks"},
    "runtime.estimators": {"hand", "capture", "runtime", "runtime.networks", "runtime.engines"},
    "runtime.calibration": {
        *("hand", "capture", "capture.sources", "runtime", "runtime.geometry", "runtime.networks", "runtime.estimators"),
        "runtime.calibration.formats",
    },
    "runtime.calibration.formats": {"hand", "capture", "runtime.geometry"},
    "runtime.calibration.recordings": {"hand", "capture", "runtime", "runtime.geometry", "runtime.calibration"},
    "runtime.fusion": {
        *("hand", "capture", "runtime", "runtime.geometry", "runtime.estimators", "runtime.calibration"),
        "runtime.calibration.recordings",
    },
    "runtime.watch": {"hand", "capture", "runtime", "runtime.calibration", "runtime.reporting"},
    "runtime.view": {"hand", "capture", "runtime", "runtime.geometry"},
    "runtime.reporting": {"hand", "capture", "runtime", "runtime.outputs", "runtime.calibration"},
    "runtime.outputs": {
        *("hand", "capture", "capture.transport", "capture.recording"),
        *("runtime", "runtime.geometry", "runtime.calibration", "runtime.calibration.recordings"),
    },
    "adapt": set(),
    "adapt.core": {
        *("hand", "hand.synth", "capture", "runtime", "runtime.geometry", "runtime.networks", "runtime.estimators"),
        *("runtime.calibration", "runtime.fusion", "runtime.watch"),
    },
    "adapt.online": {
        *("hand", "hand.synth", "capture", "runtime", "runtime.geometry", "runtime.networks", "runtime.engines"),
        *("runtime.estimators", "runtime.calibration", "runtime.fusion", "adapt.core"),
    },
    "adapt.datasets": {
        *("hand", "hand.synth", "capture", "runtime", "runtime.geometry", "runtime.networks", "runtime.engines"),
        *("runtime.estimators", "runtime.calibration", "runtime.fusion", "runtime.reporting", "adapt.core"),
    },
    "adapt.offline": {
        *("hand", "hand.synth", "capture", "capture.sources", "runtime", "runtime.geometry", "runtime.networks"),
        *("runtime.engines", "runtime.estimators", "runtime.calibration", "runtime.reporting", "adapt.core", "adapt.datasets"),
    },
    "export": {"hand", "hand.synth", "runtime.networks", "runtime.engines"},
}
"""Our rooms, and those that each may import besides itself. `tools`, `stream` and `tests` may import all."""
EDGES = {
    "tools": {"hand", "capture", "runtime", "adapt", "export", "stream"},
    "stream": {"hand", "capture", "runtime", "adapt", "export"},
}
MAX_FILES = 25


def modules() -> dict[str, Path]:
    """Every module of ours that ships, by its dotted name."""
    found = {"stream": ROOT / "stream.py"}
    for room in ("hand", "capture", "runtime", "adapt", "export", "tools"):
        for path in sorted((ROOT / room).rglob("*.py")):
            found[".".join(path.relative_to(ROOT).with_suffix("").parts)] = path
    return found


MODULES = modules()


def room_of(module: str) -> str:
    """The package that a module stands in; a module beside all packages is its own room."""
    return module.rpartition(".")[0] or module


def imports_of(path: Path) -> set[str]:
    """Modules of ours that a file imports, wherever in it but for type checking alone."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            module = node.module or ""
            names |= {f"{module}.{alias.name}" if f"{module}.{alias.name}" in MODULES else module for alias in node.names}
    return names & MODULES.keys()


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_package_imports_only_lower_layers(room):
    for module, path in MODULES.items():
        if room_of(module) != room:
            continue
        wrong = {name for name in imports_of(path) if room_of(name) not in MAY_IMPORT[room] | {room}}
        assert not wrong, f"{module} imports {sorted(wrong)}; {room} may import {sorted(MAY_IMPORT[room])}"


@pytest.mark.parametrize("room", EDGES)
def test_nothing_imports_a_command(room):
    importers = {module for module, path in MODULES.items() if any(name.split(".")[0] == room for name in imports_of(path))}
    assert {module for module in importers if module.split(".")[0] not in ("tools", "stream")} == set()


def test_every_package_is_listed():
    rooms = {room_of(module) for module in MODULES if module.split(".")[0] not in EDGES}
    assert rooms == MAY_IMPORT.keys()


def test_there_are_no_import_cycles():
    graph = {module: imports_of(path) - {module} for module, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports run in a circle: {' -> '.join(error.args[1])}")


def test_package_init_contains_a_docstring_only():
    # Old names of commands are found wherever `tools` is imported.
    for path in (path for module, path in MODULES.items() if module != "tools.__init__"):
        if path.name == "__init__.py":
            body = ast.parse(path.read_text()).body
            assert len(body) == 1 and isinstance(body[0], ast.Expr), f"{path.relative_to(ROOT)} holds more than its docstring"


def test_folders_have_at_most_the_allowed_number_of_files():
    folders = {path.parent for path in MODULES.values() if path.parent != ROOT}
    counts = {str(folder.relative_to(ROOT)): len(list(folder.glob("*.py"))) for folder in folders}
    assert not {folder: count for folder, count in counts.items() if count > MAX_FILES}


def test_help_imports_no_heavy_libraries():
    check = "import sys, stream; print(*{'cv2', 'open3d', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done


TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py"))
NAMED_TUPLES = {"_asdict", "_fields", "_make", "_replace"}


def private_names(path: Path) -> set[str]:
    """Private names that a file defines or sets, as functions, classes, variables or attributes."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
    return {name for name in found if name.startswith("_")}


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT / "tests")))
def test_tests_use_private_names_of_their_own_module_only(path):
    mirrored = (ROOT / path.relative_to(ROOT / "tests")).with_name(path.name.removeprefix("test_"))
    own = private_names(path) | NAMED_TUPLES | (private_names(mirrored) if mirrored.is_file() else set())
    read = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            read[node.attr] = node.lineno
        elif isinstance(node, ast.ImportFrom):
            read |= {alias.name: node.lineno for alias in node.names}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr":
            read |= {arg.value: node.lineno for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)}
    private = {name: line for name, line in read.items() if name.startswith("_") and not name.startswith("__")}
    assert private.keys() <= own, f"private names of other modules: { {name: private[name] for name in private.keys() - own} }"
