"""A video file as a camera: all frames with their numbers and times, or paced."""

import itertools
import time

import pytest

from capture.clip_timing import ClipTiming
from capture.sources.video_file import FileSource
from hand.errors import UserError
from tests.capture.clips import cut, read_number, with_moov_first, with_pixel_aspect, write_clip


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


def test_frames_have_square_pixels_and_the_note_says_so(tmp_path):
    clip = with_pixel_aspect(write_clip(tmp_path / "clip.mp4", 3), 2, 1)
    source = FileSource(clip, paced=False)
    assert source.note == f"video {clip}: its pixels are 2:1 wide, so frames of 64x48 px are stretched to 128x48 px"
    shots = list(source.frames(0))
    assert [shot.image.shape for shot in shots] == [(48, 128, 3)] * 3
    assert [read_number(shot.image) for shot in shots] == [0, 1, 2]
    square = FileSource(write_clip(tmp_path / "square.mp4", 1), paced=False)
    assert square.note is None
    for each in (source, square):
        each.close()


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_a_cut_file_gives_what_it_has_and_then_says_that_it_was_cut(tmp_path, suffix):
    clip = write_clip(tmp_path / f"clip{suffix}", 90)
    source = FileSource(cut(with_moov_first(clip) if suffix == ".mp4" else clip, 0.6), paced=False)
    numbers = []
    with pytest.raises(
        UserError, match=r"clip_cut.* ends at [0-9.]+ of 3\.0 s: its file has [0-9]+ of [0-9]+ bytes; copy it again"
    ):
        for shot in source.frames(0):
            numbers.append(read_number(shot.image))
    source.close()
    # The last one may be half a frame.
    assert numbers[:-1] == list(range(len(numbers) - 1)) and 10 < len(numbers) < 90


def test_a_cut_file_without_its_index_says_why_it_cannot_be_read(tmp_path):
    clip = cut(write_clip(tmp_path / "clip.mp4", 30), 0.5)
    with pytest.raises(
        UserError, match=r"cannot be read as a video: it has [0-9]+ of [0-9]+ bytes, and lacks the index at its end"
    ):
        FileSource(clip, paced=False)


def test_a_clip_with_a_timing_begins_where_the_shared_clock_does(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 12, fps=25)
    source = FileSource(clip, paced=False, timing=ClipTiming(slower=2.0, later_s=-0.1))
    shots = list(source.frames(start_ns=5))
    source.close()
    assert [shot.seq for shot in shots] == [read_number(shot.image) for shot in shots] == list(range(5, 12))
    assert [shot.captured_ns for shot in shots] == [5 + 20_000_000 * i for i in range(7)]


def test_a_clip_that_ends_before_the_other_begins_is_an_error(tmp_path):
    source = FileSource(write_clip(tmp_path / "clip.mp4", 12, fps=25), paced=False, timing=ClipTiming(later_s=-3.0))
    with pytest.raises(UserError, match=r"clip.mp4' lasts 0.5 s, and the other clip begins 3.0 s after it; give an --offset"):
        list(source.frames(0))
    source.close()
