"""Shell completion of `duohand`: the script that tyro makes of all commands and their options."""

from collections.abc import Sequence
from dataclasses import field, make_dataclass
from importlib import import_module
from typing import Annotated, Any, Union

import tyro

from hand.errors import UserError
from tools.commands import COMMANDS, PROG, Command, load

SHELLS = ("bash", "zsh", "fish")
LINES = {
    "stream": ("runtime.command_line", "CommandLine"),
    "demo": ("runtime.command_line", "CommandLine"),
    "adapt": ("adapt.offline.adapt_recording", "Settings"),
    "bench": ("tools.bench.suite", "Settings"),
    "calibration": ("tools.calibration", "COMMANDS"),
    "feed": ("tools.feed", "feed"),
    "listen": ("tools.listen", "Settings"),
    "session": ("tools.session", "COMMANDS"),
}
"""What describes the command line of those that read it themselves: a module, and its settings or functions by command."""


def write_completion(arguments: Sequence[str]) -> int:
    """Do what `--tyro-print-completion SHELL` or `--tyro-write-completion SHELL FILE` asks for.

    Raises UserError for another shell.
    """
    words = 3 if arguments[0] == "--tyro-write-completion" else 2
    if len(arguments) != words or arguments[1] not in SHELLS:
        form = f"{arguments[0]} {'|'.join(SHELLS)}{' FILE' if words == 3 else ''}"
        raise UserError(f"{' '.join(arguments)}: expected {form}")
    tyro.cli(_tree(), prog=PROG, args=arguments, config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes))
    return 0


def _tree() -> Any:
    """All commands as one type of tyro's, those of two words below their first one."""
    words: dict[str, dict[str, Command]] = {}
    for name, command in COMMANDS.items():
        first, _, second = name.partition(" ")
        words.setdefault(first, {})[second] = command
    return _union([_branch(word, commands) for word, commands in words.items()])


def _branch(word: str, commands: dict[str, Command]) -> Any:
    own = commands.pop("", None)
    below = [_leaf(second, command.help, _options(command)) for second, command in commands.items()]
    if own is None:
        return _leaf(word, "", _union(below))
    options = _options(own)
    if below:
        options = make_dataclass(word, [("command", _union(below), field(kw_only=True))], bases=(options,))
    return _leaf(word, own.help, options)


def _options(command: Command) -> Any:
    """What tyro makes options of."""
    if command.reads_line:
        module, name = LINES[command.name]
        found = getattr(import_module(module), name)
        return _union([_leaf(key, "", function) for key, function in found.items()]) if isinstance(found, dict) else found
    try:
        return load(command).Settings
    except ImportError:
        # It needs an extra that is not installed, so nobody completes its options here.
        return make_dataclass(command.name.replace(" ", "_"), [])


def _leaf(word: str, help: str, options: Any) -> Any:
    return Annotated[options, tyro.conf.subcommand(word, description=help, prefix_name=False)]


def _union(members: Sequence[Any]) -> Any:
    # tyro takes a union of two or more for subcommands.
    return Union[(*members, Annotated[None, tyro.conf.Suppress])]
