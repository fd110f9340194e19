"""Which files does a run read, and which does it write? Checked before any of them is opened."""

from collections.abc import Sequence
from pathlib import Path

import runtime
from capture.sources.registry import parse_source
from hand.errors import UserError
from hand.logs import log_file_of
from hand.outputs import ProgramFiles, with_manifest
from runtime.calibration.formats.choice import calibration_file
from runtime.command_line import CommandLine
from runtime.outputs.stream_registry import parse_stream
from runtime.settings import OUTPUT_FILES, Settings
from runtime.settings_file import read_file

_ASSETS = Path(runtime.__path__[0]) / "assets"


def check_files(settings: CommandLine, arguments: Sequence[str]) -> None:
    """`arguments`: the command line's.

    Raises UserError where an output is an input or another output, is there already and is not to be overwritten, or cannot be
    written; for an output address that cannot be used.
    """
    files = ProgramFiles(overwrite=settings.overwrite)
    if settings.replay:
        files.reads("--replay", settings.replay)
    else:
        for view, source in settings.sources.items():
            _add_source(files, f"--{view}", source, settings)
    files.reads("--config", settings.config).reads("--calibration", *map(calibration_file, settings.calibration))
    files.reads("--weights", *with_manifest(settings.weights))
    if settings.keys:
        files.reads("--keys", settings.keys, settings.keys / "peers", whole=True)
    files.reads("DuoHand itself", _ASSETS)
    for name, suffixes in OUTPUT_FILES.items():
        path: Path | None = getattr(settings, name)
        overwrite = settings.overwrite and not _is_strange(settings, name, arguments)
        files.writes(f"--{name}", path, suffixes=suffixes, plain=name in ("video", "record"), overwrite=overwrite)
        if path and name == "record":
            files.writes("the log of --record", log_file_of(path), plain=True, overwrite=overwrite)
    files.check()
    for url in settings.output:
        parse_stream(url)
    for view, source in (("left", settings.left), ("right", settings.right)):
        if settings.publish is not None and settings.publish == source:
            raise UserError(f"--publish {source} is the address that --{view} reads: give --publish one of its own")


def _add_source(files: ProgramFiles, option: str, source: str, settings: Settings) -> None:
    try:
        spec = parse_source(source, secured=settings.keys is not None)
    except UserError:
        # It is refused by `check_inputs`, which knows more of what is wrong.
        return
    files.reads(option, *spec.files)
    if spec.folder is not None:
        folder, names = spec.folder
        files.reads(option, folder, names=names)


def _is_strange(settings: CommandLine, name: str, arguments: Sequence[str]) -> bool:
    """Whether it is a settings file that allows to overwrite, but another output than its own: the demo's says so of two files,
    not of every file that somebody names besides.
    """
    if settings.config is None or "--overwrite" in arguments:
        return False
    return getattr(settings, name) != getattr(read_file(settings.config), name)
