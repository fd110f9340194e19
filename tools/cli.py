"""The command `duohand`: finds the command that its first words name, and runs it."""

import sys
from collections.abc import Sequence

from hand import logs
from hand.errors import UserError
from hand.program import guarded_output
from tools.commands import COMMANDS, GROUPS, PROG, Command, load

_USAGE = f"""usage: {PROG} COMMAND [options]

Two cameras of unknown placement in, one live 3D hand out.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `arguments` (the program's own by default); the exit code: the command's own, or 2 for input that cannot be used."""
    with guarded_output():
        return _dispatch(list(sys.argv[1:] if arguments is None else arguments))


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(overview())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"{PROG} {version('duohand')}")
        return 0
    try:
        if arguments[0] in ("--tyro-print-completion", "--tyro-write-completion"):
            from tools.completion import write_completion

            return write_completion(arguments)
        command, rest = find_command(arguments)
    except UserError as error:
        return _refuse(PROG, error)
    if command is None:
        print(overview(f"{arguments[0]} "))
        return 0
    try:
        return run(command, rest)
    except UserError as error:
        return _refuse(f"{PROG} {command.name}", error)
    except KeyboardInterrupt:
        return 130


def overview(prefix: str = "") -> str:
    """All commands whose names begin with `prefix`, by group."""
    width = max(map(len, COMMANDS)) + 2
    lines = [_USAGE.rstrip()]
    for group, commands in GROUPS.items():
        shown = [command for command in commands if command.name.startswith(prefix)]
        if shown:
            lines += ["", f"{group}:", *(f"  {command.name:<{width}}{command.help}" for command in shown)]
    lines += ["", f"{PROG} COMMAND --help lists a command's options, {PROG} --version the version."]
    lines += [f"{PROG} --tyro-write-completion bash FILE (or zsh, fish) writes completion for your shell."]
    return "\n".join(lines)


def find_command(arguments: Sequence[str]) -> tuple[Command | None, list[str]]:
    """The command with the longest name that `arguments` begin with, and the arguments after it; None for a group's help.

    Raises UserError for a command that is not known.
    """
    for count in (2, 1):
        command = COMMANDS.get(" ".join(arguments[:count]))
        if command and len(arguments) >= count:
            return command, list(arguments[count:])
    first, rest = arguments[0], arguments[1:]
    known = [name for name in COMMANDS if name.startswith(f"{first} ")]
    if known and (not rest or rest[0] in ("-h", "--help")):
        return None, []
    from difflib import get_close_matches

    name = f"{first} {rest[0]}" if known else first
    near = get_close_matches(
        name, known or {*COMMANDS, *(name.split()[0] for name in COMMANDS)}, n=1, cutoff=0.0 if known else 0.5
    )
    hint = f"did you mean {PROG} {near[0]}?" if near else f"{PROG} --help lists them"
    raise UserError(f"there is no command {name}: {hint}")


def run(command: Command, arguments: list[str]) -> int:
    """Run one command; its exit code. Raises UserError for input that cannot be used."""
    prog = f"{PROG} {command.name}"
    # Processes that the command starts inherit it, and libraries read the program's name from it.
    sys.argv = [prog, *arguments]
    # The live application configures its log anew, by its settings.
    logs.configure("warning", name=prog)
    try:
        module = load(command)
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is needed and not installed: pip install {error.name}") from error
    if command.reads_line:
        return module.main(arguments, prog=prog)
    import tyro

    return module.main(tyro.cli(module.Settings, prog=prog, args=arguments)) or 0


def _refuse(prog: str, error: UserError) -> int:
    print(f"{prog}: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
