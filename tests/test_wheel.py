"""The wheel holds all that the commands need and nothing else; installed into a fresh environment, they run."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.paths import ROOT
from tests.test_layers import MODULES

ROOMS = {"adapt", "capture", "configs", "export", "hand", "runtime", "tools"}
NOT_SOURCE = ("*.egg-info", ".*", "__pycache__", "build", "data", "dist", "out", "runs", "tests")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built from a copy, so that nothing is left behind in it."""
    if find_spec("setuptools") is None or find_spec("pip") is None:
        pytest.skip("pip and setuptools are not installed here; make setup installs them")
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*NOT_SOURCE))
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        folder / "source",
    ]
    subprocess.run([*command, "--wheel-dir", folder], check=True)
    (built,) = folder.glob("duohand-*.whl")
    return built


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment with the wheel and with this environment's libraries, which knows of no checkout."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # Folders that a .pth file names have their own .pth files ignored, so an editable installation in there is not seen.
    (packages / "libraries.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")) + "\n")
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python"]
    subprocess.run(
        [*pip, "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", "--prefix", folder, wheel], check=True
    )
    return folder / "bin"


def ran(program: Path, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """A program's run in a folder outside of the checkout, with a home of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "XDG_", "DISPLAY", "WAYLAND"))}
    kept |= {"HOME": str(home)}
    return subprocess.run([program, *arguments], cwd=home, env=kept, capture_output=True, text=True, timeout=240)


def third_party(path: Path) -> Iterator[tuple[str, bool]]:
    """Libraries that a file imports, and whether importing the file does so at once."""
    tree = ast.parse(path.read_text())
    at_once = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            first = name.split(".")[0]
            if first not in sys.stdlib_module_names and first not in ROOMS | {"stream"}:
                yield first, id(node) in at_once


def named(requirements: list[str]) -> set[str]:
    """Distributions that requirements name, normalized."""
    return {re.split(r"[^\w.-]", line)[0].lower().replace("_", "-") for line in requirements}


def test_every_imported_library_is_declared():
    declared = named(PROJECT["dependencies"])
    extras = named([line for lines in PROJECT["optional-dependencies"].values() for line in lines])
    owners = packages_distributions()
    for module, path in MODULES.items():
        for name, at_once in third_party(path):
            mine = {owner.lower().replace("_", "-") for owner in owners.get(name, [name])}
            allowed = declared if at_once and not module.startswith("tools.") else declared | extras
            assert mine & allowed, f"{module} imports {name}, which pyproject.toml does not declare"


@pytest.mark.wheel
def test_wheel_contains_packages_and_data_without_tests(wheel):
    names = ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == ROOMS | {"stream.py"}
    data = {"hand/assets", "runtime/assets"}
    for path in (path for folder in data for path in (ROOT / folder).iterdir()):
        assert str(path.relative_to(ROOT)) in names
    for path in [*(ROOT / "configs").glob("*.toml"), ROOT / "capture" / "PROTOCOL.md", *MODULES.values()]:
        assert str(path.relative_to(ROOT)) in names
    for name in ("LICENSE", "NOTICE"):
        assert any(entry.endswith(f".dist-info/licenses/{name}") for entry in names)


@pytest.mark.wheel
def test_the_installed_command_lists_its_commands(fresh, tmp_path):
    where = ran(
        fresh / "python", "-c", "import hand, json, tools; print(json.dumps([hand.__file__, tools.__file__]))", home=tmp_path
    )
    assert all(Path(file).is_relative_to(fresh.parent) for file in json.loads(where.stdout)), where
    done = ran(fresh / "duohand", "--help", home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "") and "demo" in done.stdout


@pytest.mark.wheel
def test_the_installed_demo_gives_hands(fresh, tmp_path):
    done = ran(fresh / "duohand", "demo", "--seconds", "3", "--headless", "--save", "hands.jsonl", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "hands.jsonl").read_text().count("\n") > 3
    assert {"demo.mp4", "demo.png"} <= {file.name for file in (tmp_path / "out").iterdir()}
