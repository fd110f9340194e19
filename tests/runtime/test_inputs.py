"""Wrong cameras and calibrations are refused before any library of networks is imported."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from hand.errors import UserError
from hand.findings import Findings
from runtime.inputs import check_inputs
from runtime.settings import Settings
from tests.capture.clips import write_clip
from tests.paths import ROOT

REFUSED = """
import sys, stream
code = stream.main(sys.argv[1:])
print(code, sorted({"torch", "onnxruntime", "open3d"} & set(sys.modules)))
"""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", 3)


def test_settings_that_can_be_used_pass(clip):
    check_inputs(Settings(left=str(clip), right="synthetic"), Findings())


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"left": "nowhere.mp4"}, ("left camera", "nowhere.mp4", "no such file")),
        ({"right": "/dev/video987"}, ("right camera", "/dev/video987", "does not exist")),
        ({"right": str(ROOT / "README.md")}, ("right camera", "README.md", "cannot be read as a video")),
        ({"left": "tcp://10.0.0.1:5601"}, ("left camera", "leaves this host")),
        ({"calibration": (Path("nowhere.yml"),)}, ("calibration nowhere.yml", "No such file")),
        ({"calibration": (ROOT / "README.md",)}, ("README.md", "no calibration")),
    ],
)
def test_what_cannot_be_used_is_named(clip, wrong, names):
    with pytest.raises(UserError) as raised:
        check_inputs(Settings(**{"left": str(clip), "right": str(clip), **wrong}), Findings())
    for name in names:
        assert name in str(raised.value)


def test_sequences_with_different_first_numbers_are_told(tmp_path):
    for view, numbers in (("left", (1, 2, 3)), ("right", (3, 4, 5))):
        (tmp_path / view).mkdir()
        for number in numbers:
            cv2.imwrite(str(tmp_path / view / f"{number:05d}.png"), np.zeros((48, 64, 3), np.uint8))
    left, right = str(tmp_path / "left"), str(tmp_path / "right" / "%05d.png")
    for pair, kinds in (((left, right), ["sequence_starts"]), ((left, left), [])):
        findings = Findings()
        check_inputs(Settings(left=pair[0], right=pair[1], sequence_fps=30.0), findings)
        assert [finding.kind for finding in findings.all] == kinds


def test_the_refusal_does_not_wait_for_networks(clip, tmp_path):
    """The libraries of networks alone take seconds to import."""
    (tmp_path / "file").touch()
    for wrong in (
        ["--left", "nowhere.mp4"],
        ["--left", "/dev/video987"],
        ["--calibration", "nowhere.yml"],
        ["--picture", str(tmp_path / "file" / "last.png")],
    ):
        arguments = ["--left", str(clip), "--right", str(clip), "--headless", *wrong]
        done = subprocess.run([sys.executable, "-c", REFUSED, *arguments], cwd=ROOT, capture_output=True, text=True)
        assert done.stdout == "2 []\n", done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
