"""Secrets of a network camera's address are never shown; everything else is."""

import pytest

from capture.masking import masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:p%40ss@10.0.0.5:554/h264?channel=1", "rtsp://***@10.0.0.5:554/h264?channel=1"),
        ("http://token@host/video", "http://***@host/video"),
        ("http://host/cgi?user=me&pwd=secret&size=2", "http://host/cgi?user=***&pwd=***&size=2"),
        ("camera 'rtsp://a:b@c/d' is away, and http://e:f@g too", "camera 'rtsp://***@c/d' is away, and http://***@g too"),
        ("tcp://127.0.0.1:5601?key=robot", "tcp://127.0.0.1:5601?key=robot"),
        ("lerobot://127.0.0.1:5555?camera=head", "lerobot://127.0.0.1:5555?camera=head"),
        ("/data/me@home/clip.mp4", "/data/me@home/clip.mp4"),
    ],
)
def test_only_secrets_are_masked(text, shown):
    assert masked(text) == shown == masked(shown)
