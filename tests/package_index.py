"""A package index of this host for pip, which counts what it is asked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest

Behaviour = Literal["serve", "nothing", "never"]


class Index:
    """Serves one wheel, says that there is none, or never gets to its answer's end."""

    def __init__(self, wheel: Path | None, behaviour: Behaviour) -> None:
        self.wheel, self.behaviour = wheel, behaviour
        self.asked: list[str] = []
        self.over = threading.Event()


@contextmanager
def package_index(patch: pytest.MonkeyPatch, wheel: Path | None = None, *, behaviour: Behaviour = "serve") -> Iterator[Index]:
    """An index, and the environment in which pip asks it and no other."""
    index = Index(wheel, behaviour)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append(self.path)
            if index.behaviour == "nothing":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            if index.behaviour == "never":
                self.send_header("Content-Length", "1000000")
                self.end_headers()
                while not index.over.wait(0.05):
                    self.wfile.write(b" ")
                return
            assert index.wheel is not None
            is_wheel = self.path.endswith(".whl")
            body = index.wheel.read_bytes() if is_wheel else f'<a href="/{index.wheel.name}">{index.wheel.name}</a>'.encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

        def handle(self) -> None:
            # pip is killed while it waits.
            with suppress(BrokenPipeError, ConnectionResetError):
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "DUOHAND_NO_FETCH", "http_proxy", "HTTP_PROXY"):
        patch.delenv(name, raising=False)
    # pip's configuration files are not read.
    patch.setenv("PIP_CONFIG_FILE", "/dev/null")
    patch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_address[1]}/simple")
    patch.setenv("PIP_NO_CACHE_DIR", "1")
    try:
        yield index
    finally:
        index.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
