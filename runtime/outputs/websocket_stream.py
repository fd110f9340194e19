"""Hands over WebSocket: `ws://127.0.0.1:8765` sends each as a JSON text, or as msgpack where a client asks for that subprotocol.

The server listens for browsers, games and notebooks. Each client has the newest hand only: while it takes one, those that come in
between are dropped and counted. Beyond this host a token is required. A browser says which page asks: pages of other hosts are
refused, since any page that somebody opens could read hands from loopback; a token lets them in.
"""

import asyncio
import hmac
import http
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Origin, Subprotocol

from hand.errors import UserError
from runtime.outputs.hand_message import HandMessage
from runtime.outputs.openxr_message import openxr_message
from runtime.outputs.stream_address import StreamAddress

MAX_CLIENTS = 32
MSGPACK, JSON = Subprotocol("duohand.msgpack"), Subprotocol("duohand.json")
_LOCAL_PAGE = re.compile(r"https?://(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?")
_MAX_INCOMING = 1_024
"""Bytes of a client's message."""
_STARTING_S = 5.0

Encode = Callable[[HandMessage], object]
"""What a hand is sent as, before it is JSON or msgpack."""


class WebSocketStream:
    """A server with a thread of its own."""

    def __init__(self, address: StreamAddress, encode: Encode) -> None:
        """Raises UserError where the address cannot be listened at."""
        self._address, self._encode, self._token = address, encode, address.token
        self._clients: set[_Client] = set()
        self._missed = 0
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        started = threading.Event()
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._run, args=(started,), name="websocket", daemon=True)
        self._thread.start()
        started.wait(_STARTING_S)
        if self._failure is not None:
            raise UserError(
                f"--output {address.masked} cannot be listened at: {self._failure.strerror or self._failure}; give a free port"
            ) from self._failure

    @property
    def missed(self) -> int:
        return self._missed

    def send(self, message: HandMessage) -> None:
        """Hand a message to all clients, waiting for none."""
        if self._clients:
            value = self._encode(message)
            self._loop.call_soon_threadsafe(self._broadcast, value)

    def close(self) -> None:
        """Take leave of the clients and free the port."""
        if self._thread.is_alive():
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_STARTING_S)

    def _broadcast(self, value: object) -> None:
        encoded: dict[Subprotocol | None, str | bytes] = {}
        for client in self._clients:
            kind = MSGPACK if client.connection.subprotocol == MSGPACK else JSON
            if kind not in encoded:
                encoded[kind] = msgspec.msgpack.encode(value) if kind == MSGPACK else msgspec.json.encode(value).decode()
            self._missed += client.offer(encoded[kind])

    def _run(self, started: threading.Event) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(started))

    async def _serve(self, started: threading.Event) -> None:
        try:
            server = await serve(
                self._serve_client,
                self._address.host,
                self._address.port,
                subprotocols=[JSON, MSGPACK],
                select_subprotocol=_subprotocol,
                process_request=self._admit,
                compression=None,
                max_size=_MAX_INCOMING,
                max_queue=1,
                server_header=None,
            )
        except OSError as error:
            self._failure = error
            return
        finally:
            started.set()
        async with server:
            await self._stop.wait()
            await _leave(server)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """A refusal, or None for a client that may come in."""
        if len(self._clients) >= MAX_CLIENTS:
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, f"{MAX_CLIENTS} clients are connected already\n")
        if self._token is not None:
            given = parse_qs(urlsplit(request.path).query).get("token", [""])[0]
            given = given or request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                return connection.respond(http.HTTPStatus.UNAUTHORIZED, "give the token: ?token=SECRET\n")
        elif not _is_local_page(request.headers.get("Origin")):
            return connection.respond(
                http.HTTPStatus.FORBIDDEN, "pages of other hosts are not served without a token: --output ws://…?token=SECRET\n"
            )
        return None

    async def _serve_client(self, connection: ServerConnection) -> None:
        client = _Client(connection)
        self._clients.add(client)
        sending = asyncio.create_task(client.run())
        try:
            # There is nothing to say to us: what clients send is read, so that they are not held up, until they leave.
            async for _ in connection:
                pass
        except ConnectionClosed:
            pass
        finally:
            self._clients.discard(client)
            sending.cancel()


class _Client:
    """One connection, and the newest hand that it has not been sent yet."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self._newest: str | bytes | None = None
        self._arrived = asyncio.Event()

    def offer(self, message: str | bytes) -> int:
        """Send this next; 1 where another message is displaced, else 0."""
        displaced = self._newest is not None
        self._newest = message
        self._arrived.set()
        return int(displaced)

    async def run(self) -> None:
        """Send until the connection ends."""
        with suppress(ConnectionClosed):
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                message, self._newest = self._newest, None
                if message is not None:
                    await self.connection.send(message)


def _subprotocol(connection: ServerConnection, asked: Sequence[Subprotocol]) -> Subprotocol | None:
    """The first that the client asks for and we know; most ask for none."""
    return next((known for known in asked if known in (JSON, MSGPACK)), None)


async def _leave(server: Server) -> None:
    server.close()
    with suppress(TimeoutError):
        await asyncio.wait_for(server.wait_closed(), 1.0)


def _is_local_page(origin: Origin | str | None) -> bool:
    """Whether a page of this host asks, or no browser at all."""
    return origin is None or _LOCAL_PAGE.fullmatch(origin) is not None


def open_hands(address: StreamAddress) -> WebSocketStream:
    """`ws://HOST:PORT`: whole messages (docs/hand.schema.json). Raises UserError."""
    return WebSocketStream(address, lambda message: message)


def open_openxr(address: StreamAddress) -> WebSocketStream:
    """`openxr+ws://HOST:PORT`: the 26 joints of OpenXR's hand. Raises UserError."""
    return WebSocketStream(address, openxr_message)
