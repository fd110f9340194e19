"""What a recording holds of its run is read as it was written, and as earlier versions wrote it."""

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


def test_metadata_are_read_as_they_were_written():
    about = metadata_of(Settings(estimator="mediapipe", weights=Path("a.pth"), fov_deg=(60.0, 70.0)))
    assert RunMetadata.from_metadata(RECORDING, about.to_metadata()) == about


def test_a_run_of_an_estimator_that_was_called_an_engine_is_read_as_that_estimators():
    written = metadata_of(Settings()).to_metadata()
    settings = msgspec.json.decode(written["settings"])
    del settings["estimator"]
    assert (
        RunMetadata.from_metadata(RECORDING, written | {"settings": msgspec.json.encode(settings).decode()}).settings
        == Settings()
    )
    settings["engine"] = "mediapipe"
    read = RunMetadata.from_metadata(RECORDING, written | {"settings": msgspec.json.encode(settings).decode()})
    assert read.settings == Settings(estimator="mediapipe")


def test_what_is_no_run_is_refused_by_name():
    with pytest.raises(UserError, match="some.mcap.*nothing is said"):
        RunMetadata.from_metadata(RECORDING, {})
    with pytest.raises(UserError, match="some.mcap.*engine"):
        RunMetadata.from_metadata(RECORDING, metadata_of(Settings()).to_metadata() | {"settings": '{"engine": "steam"}'})
