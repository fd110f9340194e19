"""SOURCE texts as they may be shown and kept: without the users, passwords and tokens of network cameras."""

import re

_USER = re.compile(r"(?<=://)[^/?#\s]*@")
_SECRET = re.compile(r"(?<=[?&])((?:pass|password|passwd|pwd|token|auth|user|username|usr)=)[^&#\s]+", re.IGNORECASE)


def masked(text: str) -> str:
    """The same SOURCE, or sentence with one, its secrets replaced by `***`."""
    return _SECRET.sub(r"\1***", _USER.sub("***@", text))
