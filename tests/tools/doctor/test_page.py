"""The doctor: findings are true, problems come with what to do, and the exit code follows."""

import socket

import pytest

from capture.sources.v4l2 import CameraInfo, Mode
from tests.capture.clips import write_clip
from tools.doctor.cameras import check_cameras, check_two_cameras
from tools.doctor.finding import Finding
from tools.doctor.machine import check_machine, check_port
from tools.doctor.page import Settings, main


def camera(number: int, fourcc: str = "MJPG", speed: float = 480, bus: int = 1, problem: str | None = None) -> CameraInfo:
    usb = f"bus {bus}, {speed:g} Mbit/s"
    return CameraInfo(f"/dev/video{number}", f"cam {number}", "usb", usb, (Mode(fourcc, 640, 480, (30.0,)),), problem)


def levels(findings: list[Finding], topic: str) -> list[str]:
    return [finding.level for finding in findings if finding.topic == topic]


def test_the_page_ends_with_a_verdict_and_the_exit_code_is_that_of_its_worst_line(capsys):
    assert main(Settings(left="gone.mp4", seconds=0.5)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert all(line.split()[0] in ("ok", "warning", "problem") for line in lines[:-2])
    assert [line for line in lines if line.startswith("problem") and "gone.mp4" in line]
    assert lines[-1].startswith("this machine cannot run DuoHand yet: see the problems above (1 problems")
    for engine in ("torch", "auto"):
        assert any(line.startswith("ok") and f"engine {engine}" in line and "ms for two crops" in line for line in lines)
    assert any("drawing" in line for line in lines)


def test_a_port_in_use_is_a_warning():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        taken = check_port(port, "a test")
    assert taken.level == "warning" and "give another port" in taken.advice
    assert check_port(port, "a test").level == "ok"


def test_the_machine_can_be_checked():
    found = list(check_machine())
    assert {"Python", "machine", "disk", "clock"} <= {finding.topic for finding in found}
    assert levels(found, "Python") == ["ok"]


@pytest.mark.parametrize(
    ("found", "topic", "level"),
    [
        ([], "cameras", "warning"),
        ([camera(0), camera(2)], "USB", "ok"),
        ([camera(0, speed=12), camera(2, speed=12)], "USB", "problem"),
        ([camera(0, "YUYV")], "camera", "warning"),
        ([camera(0, problem="Permission denied")], "camera", "problem"),
    ],
)
def test_cameras_and_their_buses_are_checked(found, topic, level):
    findings = list(check_cameras(found))
    assert level in levels(findings, topic)
    assert all(finding.advice for finding in findings if finding.level != "ok")


def test_cameras_on_different_buses_share_nothing():
    findings = list(check_cameras([camera(0, speed=48, bus=1), camera(2, speed=48, bus=2)]))
    assert levels(findings, "USB") == ["ok", "ok"]


def test_two_cameras_are_streamed_at_once_and_each_has_its_rate(tmp_path):
    clip = str(write_clip(tmp_path / "clip.mp4", 300))
    findings = list(check_two_cameras(clip, clip, 1.0))
    assert {finding.level for finding in findings} <= {"ok", "warning"}
    rates = [float(finding.what.split()[-2]) for finding in findings if finding.what.endswith("frames/s")]
    assert len(rates) == 2 and all(rate > 0 for rate in rates)
    assert any("pairs/s" in finding.what for finding in findings)


def test_patterns_test_the_transport_where_there_is_no_camera():
    findings = list(check_two_cameras("pattern?rate=30", "pattern?rate=30", 0.5))
    assert {finding.topic for finding in findings} == {"transport"}
    assert "problem" not in [finding.level for finding in findings]


def test_a_missing_source_is_a_problem():
    (finding,) = check_two_cameras("gone.mp4", "gone.mp4", 0.5)
    assert finding.level == "problem" and "gone.mp4" in finding.what
