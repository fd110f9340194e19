"""Settings of a TOML file: what is wrong in it is said with file, key and expectation."""

import codecs
import difflib
import logging
import re
from pathlib import Path
from typing import Any, get_args

import msgspec

from hand.errors import UserError
from runtime.settings import Settings, check, with_estimator

log = logging.getLogger(__name__)


_INPUTS = ("left", "right", "replay", "calibration", "weights", "keys")
"""Keys that name files which a run reads."""


def read_file(path: Path) -> Settings:
    """Settings of a TOML file; raises UserError naming file, key and expectation."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the settings file {path}: {error.strerror}; configs/ has examples") from error
    try:
        written = msgspec.toml.decode(content.removeprefix(codecs.BOM_UTF8))
        values = with_estimator(written)
        if values is not written:
            log.warning('%s: engine = "%s" is now estimator = "%s"', path, written["engine"], values["estimator"])
        return check(msgspec.convert(_inputs_found(values, path.parent), Settings, dec_hook=_decode_path))
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {_explain(str(error))}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not TOML: {error}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _inputs_found(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A file's keys and values; an input that is not in the working folder is looked for in `folder`, the file's own."""

    def find(text: Any) -> Any:
        if not isinstance(text, str):
            return text
        name, hash_sign, view = text.partition("#")
        expanded = Path(name).expanduser()
        if not expanded.is_absolute() and not expanded.exists() and (folder / expanded).exists():
            expanded = folder / expanded
        return text if str(expanded) == str(Path(name)) else f"{expanded}{hash_sign}{view}"

    found = {key: [find(each) for each in value] if isinstance(value, list) else find(value) for key, value in values.items()}
    return {key: found[key] if key in _INPUTS else value for key, value in values.items()}


def _decode_path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"Expected `str`, got `{type(value).__name__}`")


def _explain(message: str) -> str:
    """msgspec's message with the key in front and, for an unknown key, the nearest known one."""
    if unknown := re.search(r"unknown field `(.*?)`", message):
        key = unknown[1]
        near = difflib.get_close_matches(key, Settings.__struct_fields__, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"expected one of {', '.join(Settings.__struct_fields__)}"
        return f"unknown key `{key}`; {hint}"
    expectation, _, place = message.partition(" - at `$.")
    key = place.rstrip("`")
    if expectation.startswith("Invalid enum value"):
        names = [name for name in get_args(Settings.__annotations__[key]) if isinstance(name, str)]
        expectation += f", expected one of {', '.join(names)}" if names else ", expected a number or auto"
    return f"key `{key}`: {expectation[:1].lower()}{expectation[1:]}" if key else message
