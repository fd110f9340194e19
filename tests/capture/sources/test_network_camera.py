"""Network cameras: an MJPEG server as phones run one, and why a stream cannot be opened."""

import base64
import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import pytest

from capture.sources.base import DEFAULT_MODE, Source
from capture.sources.registry import open_source, parse_source
from hand.errors import UserError
from tests.capture.clips import SIZE_PX, numbered_image, read_number, write_clip


class Phone(BaseHTTPRequestHandler):
    """`/video` streams as MJPEG the numbered frames that the server lists, `/` is a page, `/private` asks for a password."""

    def do_GET(self) -> None:
        login = base64.b64encode(b"me:secret").decode()
        if self.path == "/private" and self.headers.get("Authorization") != f"Basic {login}":
            self.send_response(401, "Unauthorized")
            self.send_header("WWW-Authenticate", 'Basic realm="phone"')
            self.end_headers()
        elif self.path in ("/video", "/private"):
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for number in range(20):
                ok, jpeg = cv2.imencode(".jpg", numbered_image(number))
                assert ok
                data = jpeg.tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                self.wfile.write(head.encode() + data + b"\r\n")
        elif self.path == "/":
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>look at /video</html>")
        elif self.path == "/clip.mp4":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.server.clip)  # pyright: ignore[reportAttributeAccessIssue]
        else:
            self.send_error(404, "Not Found")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def phone() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Phone)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def address(server: ThreadingHTTPServer, path: str, user: str = "") -> str:
    return f"http://{user}127.0.0.1:{server.server_port}{path}"


@contextmanager
def opened(url: str) -> Iterator[Source]:
    source = open_source(url, "left", paced=True, mode=DEFAULT_MODE)
    try:
        yield source
    finally:
        source.close()


def test_an_mjpeg_stream_gives_its_frames_stamped_on_arrival(phone):
    url = address(phone, "/video")
    [finding] = parse_source(url).check()
    assert finding.kind == "stamped_on_arrival" and finding.level == "info"
    before_ns = time.monotonic_ns()
    with opened(url) as source:
        shots = list(itertools.islice(source.frames(0), 10))
    # The first picture may go into finding out what the stream is.
    first = read_number(shots[0].image)
    assert [read_number(shot.image) - first for shot in shots] == list(range(10)) == [shot.seq for shot in shots]
    assert shots[0].image.shape == (SIZE_PX[1], SIZE_PX[0], 3)
    assert "OPENCV_FFMPEG_CAPTURE_OPTIONS" not in os.environ, "clips that are opened later would lose frames"
    stamps = [before_ns, *(shot.captured_ns for shot in shots), time.monotonic_ns()]
    assert stamps == sorted(stamps)


def test_a_stream_that_ends_is_lost_and_may_come_back(phone):
    url = address(phone, "/video")
    spec = parse_source(url)
    assert spec.lasting and spec.physical
    with opened(url) as source, pytest.raises(UserError, match=r"stopped sending after \d+ frames"):
        for _ in source.frames(0):
            pass
    with opened(url) as source:
        assert next(iter(source.frames(0))).seq == 0


def test_a_password_opens_the_stream_and_is_not_shown(phone):
    url = address(phone, "/private", "me:secret@")
    with opened(url) as source, pytest.raises(UserError) as lost:
        for _ in source.frames(0):
            pass
    spec = parse_source(url)
    for text in (str(lost.value), spec.name, *(finding.text for finding in spec.check())):
        assert text is not None and "secret" not in text and "***@127.0.0.1" in text
    assert "secret" not in repr(spec)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/private", "answers 401 Unauthorized.*USER:PASSWORD@"),
        ("/elsewhere", "answers 404 Not Found.*for many phones /video"),
        ("/", "gives text/html.*expected multipart/x-mixed-replace"),
    ],
)
def test_what_is_no_stream_is_explained(phone, path, says):
    with pytest.raises(UserError, match=says):
        open_source(address(phone, path), "left", paced=True, mode=DEFAULT_MODE)


def test_a_clip_on_a_server_is_no_camera(phone, tmp_path):
    phone.clip = write_clip(tmp_path / "clip.mp4", 5).read_bytes()  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(UserError, match="5 frames, no live stream; download it"):
        open_source(address(phone, "/clip.mp4"), "left", paced=True, mode=DEFAULT_MODE)


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_an_unreachable_camera_is_refused_at_once(scheme):
    with socket.socket() as bound:
        # Nobody listens on a port that is bound alone.
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        url = f"{scheme}://me:secret@127.0.0.1:{port}/live"
        for refuse in (lambda: parse_source(url).check(), lambda: open_source(url, "left", paced=True, mode=DEFAULT_MODE)):
            with pytest.raises(UserError, match=f"{scheme}://.*cannot be reached .connection refused.*port {port}") as refused:
                refuse()
            assert "secret" not in str(refused.value)


def test_what_answers_without_rtsp_is_told(phone):
    with pytest.raises(UserError, match="answers and gives no stream that can be read: expected H.264"):
        open_source(f"rtsp://127.0.0.1:{phone.server_port}/live", "left", paced=True, mode=DEFAULT_MODE)
