"""Where a stream of hands goes, as a user writes it: SCHEME://HOST:PORT?option=value."""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from hand.errors import UserError

LEAST_TOKEN = 16
"""Characters."""


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """A parsed `--output URL`."""

    text: str
    """As it was given."""
    scheme: str
    host: str
    port: int
    options: dict[str, str]

    @classmethod
    def parse(cls, text: str, known: Collection[str] = ()) -> "StreamAddress":
        """Raises UserError for what is no address, and for options that are not `known`."""
        parts = urlsplit(text)
        try:
            port = parts.port
        except ValueError:
            port = None
        if not parts.scheme or not port or parts.path not in ("", "/") or parts.username or parts.fragment:
            raise UserError(
                f"--output {text!r} is no address of a stream: expected SCHEME://HOST:PORT with a port from 1 to 65535, such as "
                "ws://127.0.0.1:8765"
            )
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        for name in options:
            if name not in known:
                expected = f"expected {' or '.join(known)}" if known else "it has no options"
                raise UserError(f"--output {text!r}: the option {name!r} is not known; {expected}")
        return cls(text, parts.scheme, parts.hostname or "127.0.0.1", port, options)

    @property
    def masked(self) -> str:
        """The address without its token, for logs."""
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it stays on this host."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def token(self) -> str | None:
        """What a client must give to be served; None where everybody on this host is."""
        return self.options.get("token")

    def check_token(self) -> None:
        """For servers. Raises UserError for a token that is too short, and where there must be one."""
        if self.token is None and not self.is_loopback:
            raise UserError(
                f"--output {self.masked} would serve hands to everybody who reaches this host: add ?token=SECRET, "
                f"which clients then give too, or take 127.0.0.1"
            )
        if self.token is not None and len(self.token) < LEAST_TOKEN:
            raise UserError(
                f"--output {self.masked}: the token has {len(self.token)} characters, expected {LEAST_TOKEN} or more, such as "
                'those of python -c "import secrets; print(secrets.token_urlsafe())"'
            )
