"""The log: lines on standard error from a level up, and a file next to a recording that never overwrites another one."""

import logging
import resource

import pytest

from hand import logs
from hand.errors import UserError
from hand.files import write_atomically

log = logging.getLogger("capture.somewhere")


def write_all() -> None:
    log.debug("one")
    log.info("two")
    log.warning("three")
    log.error("four")


@pytest.mark.parametrize(
    ("level", "lines"),
    [
        ("debug", ["p: debug: one", "p: two", "p: warning: three", "p: error: four"]),
        ("info", ["p: two", "p: warning: three", "p: error: four"]),
        ("error", ["p: error: four"]),
    ],
)
def test_lines_carry_their_level_and_are_written_from_the_log_level_up(level, lines, capsys):
    logs.configure("debug", name="before")
    logs.configure(level, name="p")
    write_all()
    assert capsys.readouterr().err.splitlines() == lines


def test_libraries_log_warnings_and_errors_only(capsys):
    logs.configure("debug", name="p")
    library = logging.getLogger("some_library")
    library.info("chatter")
    library.warning("trouble")
    assert capsys.readouterr().err == "p: warning: trouble\n"


def test_the_log_file_is_kept_next_to_its_recording(tmp_path):
    logs.configure()
    recording = tmp_path / "new" / "s.mcap"
    with logs.log_of_recording(recording):
        write_all()
        recording.touch()
    written = recording.with_suffix(".log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in written] == [
        "INFO    capture.somewhere: two",
        "WARNING capture.somewhere: three",
        "ERROR   capture.somewhere: four",
    ]
    log.error("after it was closed")
    assert len(recording.with_suffix(".log").read_text().splitlines()) == 3


def test_the_log_file_is_removed_without_a_recording(tmp_path):
    with logs.log_of_recording(tmp_path / "s.mcap"):
        log.error("in vain")
    with logs.log_of_recording(None):
        log.error("no file was asked for")
    assert not list(tmp_path.iterdir())


def test_a_recording_that_ends_in_log_has_a_log_of_another_name(tmp_path):
    with logs.log_of_recording(tmp_path / "s.log"):
        assert [file.name for file in tmp_path.iterdir()] == ["s.log.log"]


def test_existing_files_are_never_overwritten(tmp_path):
    recording, file = tmp_path / "s.mcap", tmp_path / "s.log"
    recording.touch()
    with logs.log_of_recording(recording):
        log.error("for another recording")
    assert not file.exists()
    recording.unlink()
    file.write_text("kept")
    with pytest.raises(UserError, match="is there already"), logs.log_of_recording(recording):
        pass
    assert file.read_text() == "kept"


def test_a_log_on_a_full_disk_breaks_off_with_one_warning(tmp_path, capsys):
    logs.configure(name="p")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    recording = tmp_path / "s.mcap"
    try:
        with logs.log_of_recording(recording):
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
            recording.touch()
            log.info("one")
            log.info("two")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ["breaks off" in line for line in capsys.readouterr().err.splitlines()].count(True) == 1


def test_a_log_that_replaces_another_does_so_with_its_recording(tmp_path):
    logs.configure()
    recording, file = tmp_path / "s.mcap", tmp_path / "s.log"
    recording.write_text("before")
    file.write_text("kept")
    with logs.log_of_recording(recording, overwrite=True):
        log.info("in vain")
    assert file.read_text() == "kept"
    with logs.log_of_recording(recording, overwrite=True):
        log.info("new")
        write_atomically(recording, b"after")
    assert "new" in file.read_text() and sorted(each.name for each in tmp_path.iterdir()) == ["s.log", "s.mcap"]
