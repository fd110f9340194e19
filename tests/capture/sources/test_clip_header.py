"""What clips announce, against what their frames are."""

import cv2
import pytest

from capture.sources.clip_header import ClipHeader
from tests.capture.clips import SIZE_PX, cut, with_moov_first, with_pixel_aspect, with_quarter_turn, write_clip


def header_of(path) -> ClipHeader:
    return ClipHeader.read(path, cv2.VideoCapture(str(path)))


def test_a_whole_clip_lasts_as_long_as_it_announces(tmp_path):
    for suffix in (".mp4", ".avi", ".mkv"):
        assert header_of(write_clip(tmp_path / f"clip{suffix}", 30)).cut_off(30 / 30) is None


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_a_clip_that_was_cut_says_how_much_of_it_is_left(tmp_path, suffix):
    header = header_of(cut(write_clip(tmp_path / f"clip{suffix}", 60), 0.5))
    sentence = header.cut_off(1.0)
    assert sentence is not None and "ends at 1.0 of 2.0 s" in sentence
    assert f"{header.path.stat().st_size} of {header.path.stat().st_size + header.missing_bytes} bytes" in sentence


def test_a_file_that_lacks_bytes_misses_each_frame_and_a_whole_one_may_end_a_little_early(tmp_path):
    clip = with_moov_first(write_clip(tmp_path / "clip.mp4", 60))
    assert header_of(clip).cut_off(58 / 30) is None
    assert header_of(clip).cut_off(50 / 30) is not None
    assert header_of(cut(clip, 0.95)).cut_off(58 / 30) is not None


@pytest.mark.parametrize(
    ("aspect", "expected"), [((4, 3), (85, 48)), ((3, 4), (64, 64)), ((1, 1), SIZE_PX), ((1280, 1279), SIZE_PX)]
)
def test_square_pixels_are_never_fewer(tmp_path, aspect, expected):
    header = header_of(with_pixel_aspect(write_clip(tmp_path / "clip.mp4", 2), *aspect))
    assert header.square_size_px(SIZE_PX) == expected
    assert (header.pixel_note(SIZE_PX) is None) == (expected == SIZE_PX)


def test_the_pixels_of_a_clip_that_is_shown_turned_are_turned_too(tmp_path):
    clip = with_pixel_aspect(write_clip(tmp_path / "clip.mp4", 2), 4, 3)
    upright = header_of(clip).square_size_px(SIZE_PX)
    turned = header_of(with_quarter_turn(clip)).square_size_px((SIZE_PX[1], SIZE_PX[0]))
    assert turned == upright[::-1] != SIZE_PX[::-1]
