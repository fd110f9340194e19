"""ZeroMQ addresses and options as a user writes them in a SOURCE."""

import ipaddress
import re
from urllib.parse import parse_qsl, urlsplit

from capture.masking import masked
from hand.errors import UserError


def parse_options(text: str, *known: str) -> tuple[str, dict[str, str]]:
    """What stands before the first `?`, and the options after it. Raises UserError for one that is not `known`."""
    address, _, query = text.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in known:
            raise UserError(f"source {text!r}: the option {name!r} is not known; expected {' or '.join(known)}")
    return address, options


def check_endpoint(endpoint: str, *, secured: bool = False) -> str:
    """The ZeroMQ address itself, if it may be used: ipc, tcp on loopback, or, `secured` by keys, any tcp. Raises UserError."""
    scheme, _, rest = endpoint.partition("://")
    if scheme == "ipc" and rest:
        return endpoint
    if scheme != "tcp":
        raise UserError(f"address {masked(endpoint)!r} is not known; give tcp://host:port or ipc://path")
    # A ZeroMQ address is a host and a port, nothing else; urlsplit alone would let users, paths and queries pass.
    match = re.fullmatch(r"(?:\[[0-9a-fA-F:.]+\]|[^\[\]:/?#@]+):(\d{1,5})", rest)
    if match is None or not 0 < int(match[1]) < 65536:
        raise UserError(f"address {endpoint!r} is not of the form tcp://host:port with a port from 1 to 65535")
    host = urlsplit(endpoint).hostname or ""
    if not secured and not _is_loopback(host):
        raise UserError(
            f"address {endpoint!r} leaves this host, and frames travel as plain text; make keys (python -m tools.keys keys) "
            f"and give --keys keys, or forward the port (ssh -L {match[1]}:localhost:{match[1]}) and give tcp://127.0.0.1:{match[1]}"
        )
    return endpoint


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
