"""Install the system libraries that pip cannot install, or name the command that does.

    python3 tools/setup_system.py

It runs before the virtual environment exists, so it uses the standard library alone.
"""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys

LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libXcursor.so.1": "libxcursor1",
    "libXext.so.6": "libxext6",
    "libXi.so.6": "libxi6",
    "libXinerama.so.1": "libxinerama1",
    "libXrandr.so.2": "libxrandr2",
    "libXrender.so.1": "libxrender1",
    "libgomp.so.1": "libgomp1",
    "libidn2.so.0": "libidn2-0",
    "libudev.so.1": "libudev1",
    "libusb-1.0.so.0": "libusb-1.0-0",
}
"""Shared libraries that open3d links or loads at run time, and the Debian package of each."""

VENV_PACKAGE = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
"""Debian takes `ensurepip` out of Python and ships it in this package."""


def main() -> int:
    if sys.version_info < (3, 11):
        found = ".".join(map(str, sys.version_info[:3]))
        print(f"Python {found} is too old: DuoHand needs 3.11 or newer; name one with `make PYTHON=/path/to/python3.11`.")
        return 1
    packages = _missing_packages()
    if not packages:
        return 0
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if shutil.which("apt-get") and (prefix := _root_prefix()) is not None:
        _install([*prefix, "env", "DEBIAN_FRONTEND=noninteractive"], command)
        packages = _missing_packages()
    if packages:
        print(f"Missing system packages: {' '.join(packages)}. Install them with:\n    sudo {' '.join(command)}", file=sys.stderr)
    # Only the virtual environment cannot be made without its package; the viewer reports missing libraries itself.
    return 1 if VENV_PACKAGE in packages else 0


def _missing_packages() -> list[str]:
    packages = [package for library, package in LIBRARIES.items() if not _loads(library)]
    if importlib.util.find_spec("ensurepip") is None:
        packages.append(VENV_PACKAGE)
    return packages


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _root_prefix() -> list[str] | None:
    """Prefix of a command that runs it as root without a password; None where there is none."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    return None


def _install(prefix: list[str], command: list[str]) -> None:
    print(f"Installing system packages: {' '.join(command[4:])}")
    # An update may fail for one stale source while the packages are at hand, so only the install's result counts.
    subprocess.run([*prefix, "apt-get", "update", "-qq"])
    subprocess.run([*prefix, *command])


if __name__ == "__main__":
    sys.exit(main())
