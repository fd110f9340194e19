"""Any other YAML: names over numbers and lists of them, as `yaml.dump` of Python scripts writes them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from hand.errors import UserError

_BEGIN = re.compile(r"(\s*(#.*)?\n|---.*\n)*[A-Za-z_][\w .-]*:(\s|$)")


def read_yaml(path: Path, text: str) -> list[tuple[str, Any]] | None:
    """Keys and values; the key of a map's value follows the map's own. None for a text that is no YAML, or no map with lists.

    Raises UserError.
    """
    if not _BEGIN.match(text):
        return None
    if "!!python/" in text:
        raise UserError(
            f"{path} holds Python objects: expected lists of numbers, as yaml.dump({{'K1': K1.tolist(), ...}}, file) writes them"
        )
    try:
        document = msgspec.yaml.decode(text)
    except msgspec.DecodeError:
        return None
    values = list(_flat(document, "")) if isinstance(document, dict) else []
    return values if any(isinstance(value, list) for _, value in values) else None


def _flat(values: dict[Any, Any], before: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value
