"""The list of cameras says so where there is none; each camera has its lines, and a shared bus is reported."""

from capture.sources.v4l2 import CameraInfo, Mode
from tools import cameras


def test_cameras_that_share_a_bus_are_reported(monkeypatch, capsys):
    modes = tuple(Mode("MJPG", 160 * size, 120 * size, (30.0,)) for size in range(1, 12))
    found = [CameraInfo(f"/dev/video{n}", "Webcam", "usb-1", "bus 1, 480 Mbit/s", modes) for n in (0, 2)]
    monkeypatch.setattr(cameras, "cameras", lambda: found)
    assert cameras.main(cameras.Settings()) == 0
    out = capsys.readouterr().out
    assert "MJPG  1760×1320  30 /s" in out and "3 smaller sizes: --all" in out
    assert "several cameras share bus 1, 480 Mbit/s" in out


def test_a_missing_or_busy_camera_is_reported(monkeypatch, capsys):
    monkeypatch.setattr(cameras, "cameras", list)
    assert cameras.main(cameras.Settings()) == 1
    assert capsys.readouterr().out.startswith("no camera found: ")
    assert cameras.describe(CameraInfo("/dev/video4", "Cam", "", None, (), "Permission denied"), all_sizes=True) == [
        "/dev/video4  Cam  (unknown bus)",
        "    cannot be opened: Permission denied",
    ]
