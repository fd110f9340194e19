"""Run metadata round-trip through recordings, those of earlier versions included."""

from pathlib import Path

import msgspec
import pytest

from hand.errors import UserError
from runtime.outputs.run_recorder import RunMetadata
from runtime.settings import Settings

RECORDING = Path("some.mcap")


def metadata_of(settings: Settings) -> RunMetadata:
    return RunMetadata(
        settings=settings, engine="as described", weights_sha256=None, threads=2, torch_threads=1, started_at="2026-01-01"
    )


def test_metadata_round_trip():
    about = metadata_of(Settings(estimator="mediapipe", weights=Path("a.pth"), fov_deg=(60.0, 70.0)))
    assert RunMetadata.from_metadata(RECORDING, about.to_metadata()) == about


def test_old_metadata_with_the_estimator_as_engine_are_read():
    written = metadata_of(Settings()).to_metadata()
    settings = msgspec.json.decode(written["settings"])
    del settings["estimator"]
    read = RunMetadata.from_metadata(RECORDING, written | {"settings": msgspec.json.encode(settings).decode()})
    assert read.settings == Settings(estimator="detnet"), "which was the default then"
    settings["engine"] = "mediapipe"
    read = RunMetadata.from_metadata(RECORDING, written | {"settings": msgspec.json.encode(settings).decode()})
    assert read.settings == Settings(estimator="mediapipe")


def test_a_recording_without_a_run_is_named_in_the_error():
    with pytest.raises(UserError, match="some.mcap.*nothing is said"):
        RunMetadata.from_metadata(RECORDING, {})
    with pytest.raises(UserError, match="some.mcap.*engine"):
        RunMetadata.from_metadata(RECORDING, metadata_of(Settings()).to_metadata() | {"settings": '{"engine": "steam"}'})


def test_the_password_of_a_network_camera_is_not_recorded():
    settings = Settings(left="rtsp://me:secret@10.0.0.5/live", right="http://10.0.0.6:8080/video")
    about = RunMetadata.of(settings, "an engine", None, None, 1)
    assert about.settings.left == "rtsp://***@10.0.0.5/live" and about.settings.right == settings.right
    assert "secret" not in str(about.to_metadata())
