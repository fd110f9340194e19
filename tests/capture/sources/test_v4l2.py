"""Camera information from /sys and from the driver's structures, byte for byte."""

import errno
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from capture.sources.v4l2 import CameraInfo, Mode, cameras, describe, programs_using, same_device, usb_place
from tools.cameras import describe as lines_of

QUERYCAP, ENUM_FMT, ENUM_FRAMESIZES, ENUM_FRAMEINTERVALS = 0x80685600, 0xC0405602, 0xC02C564A, 0xC034564B
"""Values that a C compiler gives for <linux/videodev2.h> on x86-64 and arm64."""


class Driver:
    """Replies to ioctls like a UVC webcam; offsets are those that a C compiler gives."""

    def __init__(self, node_capabilities: int = 0x04200001) -> None:
        self.node_capabilities = node_capabilities
        self.formats = {
            b"MJPG": {(1280, 720): [(1, 30), (1, 15)], (640, 480): [(1, 60), (1001, 30000)]},
            b"YUYV": {(640, 480): [(1, 30)]},
        }

    def __call__(self, code: int, argument: bytes) -> bytes:
        reply = bytearray(argument)
        if code == QUERYCAP:
            assert len(reply) == 104
            reply[0:10], reply[16:27], reply[48:68] = b"uvcvideo\0\0", b"HD Webcam: ", b"usb-0000:00:14.0-2\0\0"
            struct.pack_into("=III", reply, 80, 0x060C00, 0x84A00001, self.node_capabilities)
            return bytes(reply)
        (index,) = struct.unpack_from("=I", argument)
        try:
            if code == ENUM_FMT:
                assert len(reply) == 64 and struct.unpack_from("=I", argument, 4) == (1,)
                reply[44:48] = list(self.formats)[index]
            elif code == ENUM_FRAMESIZES:
                assert len(reply) == 44
                struct.pack_into("=III", reply, 8, 1, *list(self.formats[argument[4:8]])[index])
            else:
                assert code == ENUM_FRAMEINTERVALS and len(reply) == 52
                size = struct.unpack_from("=II", argument, 8)
                struct.pack_into("=III", reply, 16, 1, *self.formats[argument[4:8]][size][index])
        except IndexError:
            raise OSError(errno.EINVAL, "Invalid argument") from None
        return bytes(reply)


def test_all_modes_of_a_webcam_are_read():
    info = describe(Driver(), "/dev/video0", "video0", "bus 1, 480 Mbit/s")
    modes = (Mode("MJPG", 1280, 720, (30.0, 15.0)), Mode("MJPG", 640, 480, (60.0, 29.97)), Mode("YUYV", 640, 480, (30.0,)))
    assert info == CameraInfo("/dev/video0", "HD Webcam:", "usb-0000:00:14.0-2", "bus 1, 480 Mbit/s", modes)
    assert info is not None and lines_of(info, all_sizes=False) == [
        "/dev/video0  HD Webcam:  (bus 1, 480 Mbit/s)",
        "    MJPG  1280×720   30, 15 /s",
        "    MJPG   640×480   60, 29.97 /s",
        "    YUYV   640×480   30 /s",
    ]


def test_the_metadata_node_of_a_webcam_is_not_a_camera():
    # V4L2_CAP_META_CAPTURE: the device as a whole captures video, this node does not.
    assert describe(Driver(node_capabilities=0x04A00000), "/dev/video1", "video1", None) is None


def test_stepwise_sizes_are_read_as_their_extremes():
    class Stepwise(Driver):
        def __call__(self, code: int, argument: bytes) -> bytes:
            reply = bytearray(argument)
            if code == ENUM_FRAMESIZES:
                struct.pack_into("=I6I", reply, 8, 3, 160, 1920, 16, 120, 1080, 8)
                return bytes(reply)
            if code == ENUM_FRAMEINTERVALS:
                struct.pack_into("=I6I", reply, 16, 3, 1, 120, 1, 5, 1, 120)
                return bytes(reply)
            return super().__call__(code, argument)

    info = describe(Stepwise(), "/dev/video0", "video0", None)
    assert info is not None
    assert info.modes[:2] == (Mode("MJPG", 160, 120, (120.0, 5.0)), Mode("MJPG", 1920, 1080, (120.0, 5.0)))


def test_a_failing_driver_is_an_error_and_one_without_mode_lists_is_not():
    def without_lists(code: int, argument: bytes) -> bytes:
        if code == QUERYCAP:
            return Driver()(code, argument)
        raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")

    info = describe(without_lists, "/dev/video0", "video0", None)
    assert info is not None and info.modes == ()

    def broken(code: int, argument: bytes) -> bytes:
        raise OSError(errno.ENODEV, "No such device")

    with pytest.raises(OSError, match="No such device"):
        describe(broken, "/dev/video0", "video0", None)


def usb_camera(root: Path, number: int, port: str) -> Path:
    """Add a camera to a folder with the layout of /sys; returns its entry in the class folder."""
    device = root / "devices" / "pci0000:00" / "usb1" / port
    interface = device / f"{port}:1.0"
    node = interface / "video4linux" / f"video{number}"
    node.mkdir(parents=True)
    (device / "busnum").write_text("1\n")
    (device / "speed").write_text("480\n")
    (node / "name").write_text(f"Webcam {number}\n")
    (node / "device").symlink_to(interface)
    entries = root / "class" / "video4linux"
    entries.mkdir(parents=True, exist_ok=True)
    (entries / f"video{number}").symlink_to(node)
    return entries / f"video{number}"


def test_the_usb_bus_is_found_above_the_node(tmp_path):
    entry = usb_camera(tmp_path, 0, "1-2")
    assert usb_place(entry) == "bus 1, 480 Mbit/s"
    assert usb_place(tmp_path / "nowhere") is None


def test_cameras_are_listed_by_number_with_the_errors_of_unreadable_ones(tmp_path):
    for number, port in ((10, "1-3"), (2, "1-2")):
        usb_camera(tmp_path, number, port)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "video10").touch()
    found = cameras(tmp_path / "class" / "video4linux", tmp_path / "dev")
    assert [(Path(info.path).name, info.name, info.usb, info.problem) for info in found] == [
        ("video2", "Webcam 2", "bus 1, 480 Mbit/s", "No such file or directory"),
        ("video10", "Webcam 10", "bus 1, 480 Mbit/s", "Inappropriate ioctl for device"),
    ]
    assert cameras(tmp_path / "none") == []


def test_the_nodes_of_one_webcam_belong_together(tmp_path):
    first, _ = usb_camera(tmp_path, 0, "1-2"), usb_camera(tmp_path, 2, "1-3")
    second = first.parent / "video1"
    second.symlink_to(first.resolve())
    others = ["/dev/video2", "/dev/video0"]
    assert same_device("/dev/video1", others, first.parent) == "/dev/video0"
    assert same_device("/dev/video2", ["/dev/video0"], first.parent) is None
    assert same_device("/dev/video9", others, first.parent) is None


def test_another_program_that_holds_a_file_open_is_named_and_this_one_is_not(tmp_path):
    file = tmp_path / "device"
    file.touch()
    program = [sys.executable, "-c", "import sys; file = open(sys.argv[1]); print(flush=True); sys.stdin.read()", str(file)]
    with file.open(), subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout and other.stdout.readline()
        (user,) = programs_using(str(file))
        other.communicate()
    assert f"(process {other.pid})" in user and str(os.getpid()) not in user
    assert programs_using(str(file)) == []
