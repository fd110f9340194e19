"""Which file a `--calibration` names, and which of its cameras: `calibration.toml#cam_0,cam_2`, the left one first."""

from pathlib import Path


def calibration_file(path: Path) -> Path:
    """The file itself, without the names of cameras that may follow its own."""
    name, mark, _ = path.name.rpartition("#")
    return path.with_name(name) if mark and name and not path.exists() else path


def chosen_cameras(path: Path) -> tuple[str, ...] | None:
    """Names of the cameras; None where none are given."""
    file = calibration_file(path)
    return None if file == path else tuple(name.strip() for name in path.name.removeprefix(f"{file.name}#").split(","))
