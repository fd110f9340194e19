"""An output that is an input, another output or there already is refused before anything is touched; devices are not."""

import os
from pathlib import Path

import pytest

from hand.errors import UserError
from hand.outputs import ProgramFiles


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"a recording")
    return path


def refusal(files: ProgramFiles) -> str:
    with pytest.raises(UserError) as raised:
        files.check()
    return str(raised.value)


@pytest.mark.parametrize("way", ["as it is", "relative", "dots", "link", "hard link", "folder link", "link to a link"])
def test_an_output_that_is_an_input_is_refused_however_it_is_named(tmp_path, clip, monkeypatch, way):
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other"
    match way:
        case "as it is":
            other = clip
        case "relative":
            other = Path("clip.mp4")
        case "dots":
            (tmp_path / "a" / "b").mkdir(parents=True)
            other = tmp_path / "a" / "b" / ".." / ".." / "clip.mp4"
        case "link":
            other.symlink_to("clip.mp4")
        case "hard link":
            os.link(clip, other)
        case "folder link":
            other.symlink_to(tmp_path)
            other = other / "clip.mp4"
        case "link to a link":
            (tmp_path / "one").symlink_to(clip)
            other.symlink_to("one")
    for overwrite in (False, True):
        sentence = refusal(ProgramFiles(overwrite=overwrite).reads("--left", clip).writes("--save", other))
        assert all(part in sentence for part in ("--left", "--save", str(other))) and "\n" not in sentence
    assert clip.read_bytes() == b"a recording"


def test_two_outputs_of_one_file_are_refused(tmp_path):
    (tmp_path / "link").symlink_to("new.jsonl")
    for other in (tmp_path / "new.jsonl", tmp_path / "link", tmp_path / "NEW.jsonl"):
        files = ProgramFiles(overwrite=True).writes("--save", tmp_path / "new.jsonl").writes("--stats", other)
        sentence = refusal(files)
        assert "--save" in sentence and "--stats" in sentence and "one file" in sentence
    files = ProgramFiles().writes("--save", tmp_path / "out").writes("--stats", tmp_path / "out" / "s.json")
    assert "a file" in (sentence := refusal(files)) and "a folder" in sentence
    assert [file.name for file in tmp_path.iterdir()] == ["link"]


def test_a_file_that_is_there_is_replaced_only_if_that_is_asked_for(tmp_path, clip):
    assert "--overwrite" in refusal(ProgramFiles().writes("--save", clip))
    ProgramFiles(overwrite=True).writes("--save", clip).check()
    assert "--overwrite" in refusal(ProgramFiles(overwrite=True).writes("--save", clip, overwrite=False))
    ProgramFiles().continues("RUN", clip).check()
    (tmp_path / "link").symlink_to("nowhere")
    ProgramFiles().writes("--save", tmp_path / "link", tmp_path / "new" / "deep" / "h.jsonl").check()
    assert not (tmp_path / "new").exists() and not (tmp_path / "nowhere").exists()


def test_a_folder_that_is_read_takes_no_output(tmp_path):
    frames = tmp_path / "frames"
    (frames / "deep").mkdir(parents=True)
    (frames / "deep" / "1.png").touch()
    for output in (frames / "new.png", frames / "deep" / "1.png"):
        sentence = refusal(ProgramFiles(overwrite=True).reads("--left", frames, whole=True).writes("--picture", output))
        assert "--left" in sentence and "--picture" in sentence
    outside = frames / "out" / "new.png", tmp_path / "new.png"
    ProgramFiles().reads("--left", frames, whole=True).writes("--picture", *outside).check()
    # Of a folder in which certain files are looked for, others are none of them.
    ProgramFiles().reads("--clip", frames).writes("--page", frames / "new.png").check()


def test_devices_and_pipes_are_written_to_again_and_again(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    null, stdout = Path("/dev/null"), Path("/dev/stdout")
    ProgramFiles().writes("--save", null, tmp_path / "pipe", stdout).writes("--stats", null, stdout).check()
    sentence = refusal(ProgramFiles(overwrite=True).writes("--record", null, plain=True))
    assert "/dev/null" in sentence and "device" in sentence


def test_what_cannot_be_written_is_refused_with_its_reason(tmp_path, clip):
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    for path, reason in (
        (tmp_path, "is a folder"),
        (clip / "h.jsonl", "Not a directory"),
        (tmp_path / ("long" * 100), "File name too long"),
        (tmp_path / "zero\0byte", "null byte"),
        (Path("/proc/h.jsonl"), "/proc"),
        (loop, "loop"),
    ):
        with pytest.raises(UserError) as raised:
            ProgramFiles(overwrite=True).writes("--save", path).check()
        sentence = str(raised.value)
        assert "--save" in sentence and reason in sentence and "\n" not in sentence, sentence
    assert ".mp4" in refusal(ProgramFiles().writes("--video", tmp_path / "v.avi", suffixes=(".mp4",)))
    assert "is a file" in refusal(ProgramFiles().fills("--draw", clip))


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_read_only_folder_or_file_is_refused(tmp_path, clip):
    clip.chmod(0o444)
    assert "read-only" in refusal(ProgramFiles(overwrite=True).writes("--save", clip))
    tmp_path.chmod(0o555)
    try:
        assert "Permission denied" in refusal(ProgramFiles().writes("--save", tmp_path / "new" / "h.jsonl"))
    finally:
        tmp_path.chmod(0o755)
