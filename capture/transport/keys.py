"""Keys for connections beyond this host: CURVE encryption and an allow list, from files that `python -m tools.keys` makes.

A folder of keys holds `own.key_secret`, `own.key` (its public key, for peers) and `peers/NAME.key`, the public keys of the peers:
a sender serves these alone, a receiver connects to these alone.
"""

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import zmq
from zmq.auth import create_certificates, load_certificate
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils.monitor import parse_monitor_message

from hand.errors import UserError

HOW_TO_MAKE = "python -m tools.keys keys"
_OWN, _PEERS = "own", "peers"
_DOMAIN = b"duohand"


@dataclass(frozen=True, slots=True)
class Keys:
    """One side's keys."""

    public: bytes
    """Z85, as all of them."""
    secret: bytes
    peers: dict[str, bytes]
    """Public keys by name."""
    folder: Path

    def __repr__(self) -> str:
        # The secret must not appear in a traceback.
        return f"Keys({str(self.folder)!r})"

    def peer(self, name: str | None) -> bytes:
        """A peer's public key; without a name, that of the only one. Raises UserError."""
        known = ", ".join(sorted(self.peers)) or "none"
        if name is None and len(self.peers) == 1:
            return next(iter(self.peers.values()))
        if name is None:
            raise UserError(f"{self.folder / _PEERS} holds the keys of {known}: say whose with ?key=NAME behind the address")
        if name not in self.peers:
            raise UserError(f"{self.folder / _PEERS} holds no {name}.key, but the keys of {known}; put the peer's own.key there")
        return self.peers[name]


def make_keys(folder: Path) -> Keys:
    """Make a folder with new keys. Raises UserError where there are some already, or, with none left, where that fails."""
    secret, public = folder / f"{_OWN}.key_secret", folder / f"{_OWN}.key"
    for key in (secret, public):
        if key.exists():
            raise UserError(f"{key} exists; peers know these keys, so they are not made anew: give another folder or remove it")
    before = os.umask(0o077)
    try:
        (folder / _PEERS).mkdir(parents=True, exist_ok=True)
        create_certificates(folder, _OWN)
    except OSError as error:
        for half_made in (secret, public):
            with suppress(OSError):
                half_made.unlink()
        raise UserError(f"keys cannot be made in {folder}: {error.strerror}; name a folder that can be made") from error
    finally:
        os.umask(before)
    return load_keys(folder)


def load_keys(folder: Path) -> Keys:
    """Read a folder of keys. Raises UserError for one that is missing, damaged or open to others."""
    secret_file = folder / f"{_OWN}.key_secret"
    if not secret_file.is_file():
        raise UserError(f"there are no keys in {folder}; {HOW_TO_MAKE} makes a folder of them")
    if secret_file.stat().st_mode & 0o077:
        raise UserError(f"{secret_file} may be read by others; chmod 600 {secret_file}, or make new keys if someone did")
    public, secret = _load(secret_file)
    if secret is None:
        raise UserError(f"{secret_file} holds no secret key; {HOW_TO_MAKE} makes new ones")
    peers = {file.stem: _load(file)[0] for file in sorted((folder / _PEERS).glob("*.key"))}
    return Keys(public, secret, peers, folder)


def secure_client(socket: zmq.Socket, keys: Keys, server: bytes) -> None:
    """Encrypt a socket that will connect, to this server alone."""
    socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = keys.public, keys.secret, server


class Gate:
    """Authenticates the clients of a context's server sockets against the peers of `keys`; counts those refused."""

    def __init__(self, context: zmq.Context, keys: Keys) -> None:
        self._keys = keys
        self._allowed = frozenset(keys.peers.values())
        self._refused = 0
        self._monitors: list[zmq.Socket] = []
        self._looking = threading.Lock()
        self._authenticator = ThreadAuthenticator(context)
        self._authenticator.start()
        self._authenticator.configure_curve_callback(_DOMAIN.decode(), credentials_provider=self)

    @property
    def refused(self) -> int:
        """Connections without a successful handshake, pending ones included; refused clients reconnect again and again."""
        self.look()
        return self._refused

    def look(self) -> None:
        """Count connections and handshakes; to be called often, because ZeroMQ queues these events."""
        # A socket belongs to one thread at a time; the sender's thread and readers of `refused` both poll.
        with self._looking:
            for monitor in self._monitors:
                while monitor.poll(0):
                    event = parse_monitor_message(monitor.recv_multipart())["event"]
                    self._refused += 1 if event == zmq.EVENT_ACCEPTED else -1

    def secure(self, socket: zmq.Socket) -> None:
        """Encrypt a socket that will bind, and authenticate its clients."""
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey = self._keys.public, self._keys.secret
        socket.zap_domain = _DOMAIN
        self._monitors.append(socket.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_HANDSHAKE_SUCCEEDED))

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether a key is on the list; called from the authenticator's thread."""
        return key in self._allowed

    def close(self) -> None:
        self._authenticator.stop()
        for monitor in self._monitors:
            monitor.close(linger=0)


def load_public(file: Path) -> bytes:
    """The public key in a file. Raises UserError."""
    return _load(file)[0]


def _load(file: Path) -> tuple[bytes, bytes | None]:
    try:
        return load_certificate(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{file} is no key file: {error}; {HOW_TO_MAKE} makes such") from error
