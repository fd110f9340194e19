"""A camera that cannot be opened says which and why; one that can, needs a camera to test."""

import pytest

from capture.device import DeviceSource
from capture.sources import DEFAULT_MODE
from hand.errors import UserError


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("/dev/video987", "does not exist"),
        ("/dev", "not a device"),
        ("/dev/null", "busy or cannot capture"),
    ],
)
def test_a_device_that_is_no_camera_is_named(path, complaint):
    with pytest.raises(UserError, match=f"{path} .*{complaint}"):
        DeviceSource(path, DEFAULT_MODE)
