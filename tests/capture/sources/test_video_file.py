"""A video file as a camera: all frames with their numbers and times, or paced."""

import itertools
import time

import pytest

from capture.sources.video_file import FileSource
from hand.errors import UserError
from tests.capture.clips import read_number, write_clip


def test_unpaced_gives_every_frame_with_its_number_and_time(tmp_path):
    source = FileSource(write_clip(tmp_path / "clip.mp4", 12, fps=25), paced=False)
    shots = list(source.frames(start_ns=5))
    source.close()
    assert [shot.seq for shot in shots] == list(range(12))
    assert [read_number(shot.image) for shot in shots] == list(range(12))
    assert [shot.captured_ns for shot in shots] == [5 + 40_000_000 * i for i in range(12)]


def test_paced_gives_no_frame_before_its_time(tmp_path):
    source = FileSource(write_clip(tmp_path / "clip.mp4", 6, fps=50), paced=True)
    start_ns = time.monotonic_ns()
    for shot in source.frames(start_ns):
        assert time.monotonic_ns() >= shot.captured_ns == start_ns + 20_000_000 * shot.seq
    source.close()


def test_paced_skips_overdue_frames_but_never_all(tmp_path):
    source = FileSource(write_clip(tmp_path / "clip.mp4", 30, fps=30), paced=True)
    long_ago_ns = time.monotonic_ns() - 3_600_000_000_000
    numbers = [shot.seq for shot in source.frames(long_ago_ns)]
    source.close()
    assert numbers == [5, 11, 17, 23, 29]


def test_a_reader_may_stop_early(tmp_path):
    source = FileSource(write_clip(tmp_path / "clip.mp4", 30), paced=False)
    assert len(list(itertools.islice(source.frames(0), 3))) == 3
    source.close()


def test_a_file_that_is_not_a_video_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("not a video")
    with pytest.raises(UserError, match="notes.mp4.*cannot be read as a video"):
        FileSource(path, paced=False)
