"""Settings from a command line over a TOML file over, where a recording is replayed, those of the recorded run."""

import argparse
import logging
import sys
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Annotated

import msgspec
import tyro

from runtime.settings import DECIDES_HANDS, ESTIMATOR_OF_ENGINE, HAVE_ENGINES, Settings, check
from runtime.settings_file import read_file

log = logging.getLogger(__name__)


class CommandLine(Settings, frozen=True, kw_only=True):
    """The application's settings, and the file that they begin from."""

    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Settings file (TOML); options given here win over it."""


def read_settings(arguments: Sequence[str] | None = None, prog: str = "stream.py") -> CommandLine:
    """Settings from command line `arguments` (the program's own by default) over the file that `--config` names.

    `prog` is the program's name in help and messages.

    Raises UserError for a file or a value that is wrong; exits with 2 for an unknown option, with 0 for --help.
    """
    arguments = _engine_names_replaced(_adapt_spelt_out(sys.argv[1:] if arguments is None else arguments))
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    first.add_argument("--config", type=Path)
    try:
        config = first.parse_known_args(arguments)[0].config
    except argparse.ArgumentError:
        config = None  # tyro, below, says what is wrong with it
    defaults = _heeding_engine(as_recorded(read_file(config) if config else Settings(), arguments), arguments)
    settings = tyro.cli(
        CommandLine,
        prog=prog,
        description=Settings.__doc__,
        args=arguments,
        default=CommandLine(**msgspec.structs.asdict(defaults), config=config),
    )
    check(settings)
    return settings


def _adapt_spelt_out(arguments: Sequence[str]) -> list[str]:
    """`--adapt` alone means `--adapt on`."""
    spelt = []
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue="--"):
        spelt.append(argument)
        if argument == "--adapt" and following.startswith("-"):
            spelt.append("on")
    return spelt


def _engine_names_replaced(arguments: Sequence[str]) -> list[str]:
    """Names of estimators that `--engine` once took mean that estimator."""
    engine, _, remaining = _engine_and_estimator(arguments)
    if engine not in ESTIMATOR_OF_ENGINE:
        return list(arguments)
    estimator = ESTIMATOR_OF_ENGINE[engine]
    log.warning("--engine %s is now --estimator %s", engine, estimator)
    return [*remaining, "--estimator", estimator, "--engine", "auto"]


def _heeding_engine(defaults: Settings, arguments: Sequence[str]) -> Settings:
    """`--engine` alone leaves the estimator to `auto` where a file or a recording names one whose models run in LiteRT alone."""
    engine, estimator, _ = _engine_and_estimator(arguments)
    if engine in (None, "auto") or estimator is not None or defaults.estimator in HAVE_ENGINES:
        return defaults
    return msgspec.structs.replace(defaults, estimator="auto")


def _engine_and_estimator(arguments: Sequence[str]) -> tuple[str | None, str | None, list[str]]:
    """`--engine` and `--estimator` as they are given, and the other arguments."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--engine")
    parser.add_argument("--estimator")
    try:
        parsed, remaining = parser.parse_known_args(arguments)
    except argparse.ArgumentError:
        return None, None, list(arguments)  # tyro says what is wrong with it
    return parsed.engine, parsed.estimator, remaining


def as_recorded(settings: Settings, arguments: Sequence[str]) -> Settings:
    """The same settings; where a recording is replayed, with those of its run that are not set. Raises UserError."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--replay", type=Path, default=settings.replay)
    try:
        replay = parser.parse_known_args(arguments)[0].replay
    except argparse.ArgumentError:
        return settings  # tyro says what is wrong with it
    if replay is None:
        return settings
    # Recordings bring libraries that --help does not wait for.
    from runtime.outputs.replay_check import recorded_settings

    recorded, usual = recorded_settings(replay), Settings()
    unset = [key for key in DECIDES_HANDS if getattr(settings, key) == getattr(usual, key)]
    if not {"estimator", "engine"} <= set(unset):
        # An engine is one of an estimator: they are taken over together.
        unset = [key for key in unset if key not in ("estimator", "engine")]
    return msgspec.structs.replace(settings, **{key: getattr(recorded, key) for key in unset})
