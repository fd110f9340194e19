"""What a run found of its cameras is written for other programs, from each of its outputs."""

from pathlib import Path

import numpy as np
import pytest

from capture.views import PerView
from hand.errors import UserError
from runtime.calibration.calibration_files import read_calibration
from runtime.calibration.camera_profile import CameraPair, Profile, default_folder, profile_file, save_profile
from runtime.calibration.formats.calibration import Calibration
from runtime.outputs.hand_writer import HandWriter
from runtime.types import DualHand
from tests.runtime.dual_hands import R_RIGHT_FROM_LEFT, dual_hand, facing, frame_pair
from tools.calibration import export, list_profiles, main

GEOMETRY = facing(50, 600)
PAIR = CameraPair(PerView("/dev/video0", "/dev/video2"), PerView((64, 48), (64, 48)))


def write_hands(path: Path, *, known: bool) -> Path:
    writer = HandWriter(path)
    for seq in range(4):
        hand: DualHand = dual_hand(frame_pair(seq), rotation=GEOMETRY.R_right_from_left if known else R_RIGHT_FROM_LEFT)
        object.__setattr__(hand, "geometry", GEOMETRY if known and seq else None)
        writer.take(frame_pair(seq), [hand])
    writer.close()
    return path


def profile() -> Profile:
    return Profile.of(
        PAIR,
        GEOMETRY,
        hand_size_mm=90,
        rotation_deg=1.5,
        baseline_deg=4,
        focal_percent=PerView(2.0, 3.0),
        focal_given=PerView(False, False),
        pairs=40,
        saved_at="2026-01-01T00:00:00",
    )


@pytest.mark.parametrize("to", ["c.yml", "c.toml"])
def test_the_cameras_of_hands_are_written(tmp_path, to, capsys):
    export(write_hands(tmp_path / "h.jsonl", known=True), tmp_path / to)
    read = read_calibration(tmp_path / to)
    assert isinstance(read, Calibration)
    np.testing.assert_allclose(read.t_right_from_left_mm, GEOMETRY.t_right_from_left_mm, atol=0.01)
    np.testing.assert_allclose(read.R_right_from_left, GEOMETRY.R_right_from_left, atol=1e-7)
    assert "rotation +- 1.5 deg" in capsys.readouterr().out
    with pytest.raises(UserError, match="is there already"):
        export(tmp_path / "h.jsonl", tmp_path / to)


def test_a_profile_is_listed_and_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    list_profiles()
    assert "nothing is kept" in capsys.readouterr().out
    file = profile_file(PAIR, default_folder())
    save_profile(file, profile())
    list_profiles()
    out = capsys.readouterr().out
    assert "/dev/video0 and /dev/video2" in out and str(file) in out and "+- 1.5 deg" in out
    assert main(["export", str(file), str(tmp_path / "chain.yaml"), "--format", "kalibr"]) == 0
    read = read_calibration(tmp_path / "chain.yaml")
    assert isinstance(read, Calibration)
    np.testing.assert_allclose(read.t_right_from_left_mm, GEOMETRY.t_right_from_left_mm, atol=1e-6)


def test_what_cannot_be_written_is_said(tmp_path, capsys):
    hands = write_hands(tmp_path / "h.jsonl", known=False)
    assert main(["export", str(hands), str(tmp_path / "c.yml")]) == 2
    assert "the cameras were not found in its 4 hands" in capsys.readouterr().err
    assert main(["export", str(hands), str(tmp_path / "c.yml"), "--format", "anipose"]) == 2
    assert ".toml" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "none.json"), str(tmp_path / "c.yml")]) == 2
    assert "none.json" in capsys.readouterr().err
    assert not list(tmp_path.glob("c.*"))
