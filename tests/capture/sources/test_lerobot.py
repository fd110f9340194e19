"""LeRobot's camera stream: the named camera, its timestamps and colours; an unknown camera is an error."""

import base64
import itertools
import json
import threading
import time

import cv2
import numpy as np
import pytest
import zmq

from capture.sources.lerobot import LeRobot, LeRobotSource, MessageError, captured_ns, decode, read
from capture.sources.registry import parse_source
from hand.errors import UserError

SECOND = 1_000_000_000
RED = np.broadcast_to(np.array([200, 30, 10], np.uint8), (48, 64, 3)).copy()


def encoded(rgb: np.ndarray) -> str:
    """Encoded as by the server: an RGB array given to an encoder that expects BGR."""
    return base64.b64encode(cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()).decode()


def text(stamps: dict[str, float], image: np.ndarray = RED) -> str:
    return json.dumps({"timestamps": stamps, "images": {name: encoded(image) for name in stamps}})


@pytest.fixture
def server():
    """A PUB socket, and a function that keeps sending messages and returns the address."""
    stop = threading.Event()
    threads = []
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.linger = 0
        port = socket.bind_to_random_port("tcp://127.0.0.1")

        def keep_sending(messages) -> str:
            def run() -> None:
                for message in messages:
                    if stop.wait(0.01):
                        return
                    socket.send_string(message)

            threads.append(threading.Thread(target=run))
            threads[-1].start()
            return f"tcp://127.0.0.1:{port}"

        yield keep_sending
        stop.set()
        for thread in threads:
            thread.join()


def test_each_frame_of_the_named_camera_comes_once_with_its_timestamp(server):
    started_s = time.time()

    def messages():
        for number in itertools.count():
            # The head camera is half as fast as the server, so each of its frames is sent twice.
            stamp_s = started_s + number // 2 / 100
            yield text({"head": stamp_s, "wrist": started_s + number})

    source = LeRobotSource(server(messages()), "head")
    shots = list(itertools.islice(source.frames(0), 5))
    source.close()
    assert [shot.seq for shot in shots] == list(range(5))
    steps = np.diff([shot.captured_ns for shot in shots]) / 1e6
    # Rounded to hundredths of a second, since the wall clock is read anew each time.
    np.testing.assert_allclose(steps, np.rint(steps / 10) * 10, atol=0.5)
    assert all(steps > 5)
    assert abs(shots[0].captured_ns - time.monotonic_ns()) < 30 * SECOND
    assert np.abs(shots[0].image.astype(int) - RED).max() < 12


def test_an_unknown_camera_is_an_error_that_lists_the_cameras(server):
    endpoint = server(itertools.repeat(text({"head": 1.0, "left_wrist": 1.0})))
    with pytest.raises(UserError, match="has no camera 'wrist'; it has head, left_wrist"):
        LeRobotSource(endpoint, "wrist")


def test_a_server_that_is_not_there_is_an_error_that_says_so(tmp_path):
    with pytest.raises(UserError, match=r"no LeRobot image server answers .* nothing listens at ipc://.*ssh -L"):
        LeRobotSource(f"ipc://{tmp_path}/nobody", "head")


def test_a_server_of_another_protocol_is_an_error_that_names_it(server):
    with pytest.raises(UserError, match="not from LeRobot's image server"):
        LeRobotSource(server(itertools.repeat('{"frames": []}')), "head")


def test_damaged_messages_are_skipped(server):
    def messages():
        for _ in itertools.count():
            yield text({"head": time.time()})
            yield from ("{", '{"timestamps": {"head": "now"}, "images": {}}')
            yield json.dumps({"timestamps": {"head": time.time()}, "images": {"head": "no base64!"}})

    source = LeRobotSource(server(itertools.chain([text({"head": 1.0})] * 50, messages())), "head")
    shots = list(itertools.islice(source.frames(0), 4))
    source.close()
    assert len(shots) == 4
    assert source.note is not None and "from this host's clock" in source.note


@pytest.mark.parametrize("image", ["@", "", base64.b64encode(b"GIF89a").decode(), encoded(RED)[:40]])
def test_an_undecodable_image_is_refused(image):
    with pytest.raises(MessageError):
        decode(image)


@pytest.mark.parametrize("raw", [b"", b"[1]", b"\xff", b'{"timestamps": {"a": []}, "images": {}}', b"[" * 100_000])
def test_a_malformed_message_is_refused(raw):
    with pytest.raises(MessageError):
        read(raw)


def test_wall_clock_times_keep_their_age_on_the_monotonic_clock():
    assert captured_ns(1_700_000_000.25, 1_700_000_001 * SECOND, 50 * SECOND) == pytest.approx(49.25 * SECOND, abs=200)


def test_a_lerobot_source_is_an_address_with_a_camera():
    assert parse_source("lerobot://127.0.0.1:5555?camera=head") == LeRobot("tcp://127.0.0.1:5555", "head")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("lerobot://127.0.0.1:5555", "names no camera"),
        ("lerobot://127.0.0.1:5555?camera=", "names no camera"),
        ("lerobot://robot:5555?camera=head", "ssh -L 5555:localhost:5555"),
        ("lerobot://127.0.0.1:5555?name=head", "option 'name' is not known; expected camera"),
        ("tcp://127.0.0.1:5555?camera=head", "option 'camera' is not known; expected key"),
    ],
)
def test_an_invalid_lerobot_source_is_an_error_with_its_reason(source, complaint):
    with pytest.raises(UserError, match=complaint):
        parse_source(source)
