"""Pictures as a camera: their order, times and pixels, and what is said of those that are not a sequence."""

import struct
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from capture.sources.base import DEFAULT_MODE, CapturedImage, DeviceMode
from capture.sources.image_sequence import ImageSequence, ImageSequenceSource, due_ticks, read_picture
from capture.sources.registry import open_source, parse_source
from hand.errors import UserError
from tests.capture.clips import numbered_image, read_number


def write(folder: Path, names: list[str]) -> Path:
    """Numbered pictures, in the order of `names`."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        assert cv2.imwrite(str(folder / name), numbered_image(number))
    return folder


def frames(text: str, mode: DeviceMode = DEFAULT_MODE, start_ns: int = 0) -> list[CapturedImage]:
    return list(open_source(text, "left", paced=False, mode=mode).frames(start_ns))


def kinds(text: str, mode: DeviceMode = DEFAULT_MODE) -> list[str]:
    return [finding.kind for finding in parse_source(text).check(mode)]


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path):
    folder = write(tmp_path / "frames", [f"img_{number}.png" for number in range(12)])
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"")
    for text in (str(folder), f"{folder}/", f"{folder}/img_%d.png", f"{folder}/*.png"):
        shots = frames(text, DeviceMode(sequence_fps=50.0), start_ns=5)
        assert [read_number(shot.image) for shot in shots] == list(range(12)) == [shot.seq for shot in shots]
        assert [shot.captured_ns for shot in shots] == [5 + 20_000_000 * number for number in range(12)]
    spec = parse_source(str(folder))
    assert isinstance(spec, ImageSequence) and len(spec.files) == 12 and not spec.lasting


def test_a_printf_pattern_takes_its_own_files_only(tmp_path):
    folder = write(tmp_path / "frames", ["00003.png", "00004.png", "4.png", "00004_mask.png", "x00005.png", "123456.png"])
    spec = parse_source(f"{folder}/%05d.png")
    assert [path.name for path in spec.files] == ["00003.png", "00004.png", "123456.png"]


def test_the_rate_that_is_assumed_is_said_unless_it_is_given(tmp_path):
    folder = write(tmp_path / "frames", ["1.png", "2.png"])
    assert kinds(str(folder)) == ["sequence_rate"] and kinds(str(folder), DeviceMode(sequence_fps=60.0)) == []
    assert frames(str(folder))[1].captured_ns == 33_333_333


def test_missing_numbers_are_said_and_leave_a_gap(tmp_path):
    folder = write(tmp_path / "frames", ["7.png", "8.png", "10.png", "11.png"])
    [finding] = parse_source(str(folder)).check(DeviceMode(sequence_fps=10.0))
    assert finding.kind == "sequence_gaps" and "1 of 5 numbers" in finding.text and "after 8.png" in finding.text
    shots = frames(str(folder), DeviceMode(sequence_fps=10.0))
    assert [shot.seq for shot in shots] == [0, 1, 3, 4]
    assert [shot.captured_ns for shot in shots] == [0, 100_000_000, 300_000_000, 400_000_000]


@pytest.mark.parametrize(
    ("names", "ticks"),
    [
        (["f0", "f3", "f6"], [0, 1, 2]),
        (["f0", "f2", "f6", "f8"], [0, 1, 3, 4]),
        (["1403636579763555584", "1403636579813555456", "1403636579863555584"], [0, 1, 2]),
        (["a", "b", "c"], [0, 1, 2]),
        (["a1", "b7", "c9"], [0, 1, 2]),
        (["only"], [0]),
    ],
)
def test_numbers_count_frames_where_they_can(names, ticks):
    assert due_ticks([Path(f"{name}.png") for name in names]) == ticks


def test_one_picture_is_said_to_be_one(tmp_path):
    folder = write(tmp_path / "frames", ["only.png"])
    assert kinds(f"{folder}/only.png") == ["one_picture"] == kinds(str(folder))
    assert len(frames(f"{folder}/only.png")) == 1


def test_grey_deep_transparent_and_turned_pictures_become_rgb(tmp_path):
    grey = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    colour = np.dstack([np.full_like(grey, 10), grey, np.full_like(grey, 200)])
    # OpenCV writes blue first.
    bgr = colour[..., ::-1]
    for name, written, expected in (
        ("grey.png", grey, np.dstack([grey] * 3)),
        ("deep_grey.png", grey.astype(np.uint16) * 257, np.dstack([grey] * 3)),
        ("deep.tiff", bgr.astype(np.uint16) * 257, colour),
        ("alpha.png", np.dstack([bgr, np.full_like(grey, 128)]), colour),
    ):
        assert cv2.imwrite(str(tmp_path / name), written)
        image = read_picture(tmp_path / name)
        assert image.dtype == np.uint8 and image.shape == (48, 64, 3), name
        np.testing.assert_allclose(image.astype(int), expected.astype(int), atol=1, err_msg=name)
    ok, jpeg = cv2.imencode(".jpg", bgr)
    assert ok
    # EXIF orientation 6: the camera was turned by 90 degrees.
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 0x112, 3, 1, 6, 0, 0)
    (tmp_path / "turned.jpg").write_bytes(
        jpeg.tobytes()[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg.tobytes()[2:]
    )
    assert read_picture(tmp_path / "turned.jpg").shape == (64, 48, 3)


def test_pictures_that_leave_upper_bits_empty_are_said_to_be_dark(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((48, 64), 4000, np.uint16))
    assert kinds(str(folder), DeviceMode(sequence_fps=30.0)) == ["dark_pictures"]


def test_pictures_of_two_sizes_and_broken_ones_are_named(tmp_path):
    folder = write(tmp_path / "frames", ["1.png", "2.png", "3.png"])
    cv2.imwrite(str(folder / "2.png"), np.zeros((48, 32, 3), np.uint8))
    with pytest.raises(UserError, match=r"2.png has 32x48 px: expected 64x48, as 1.png has"):
        frames(str(folder))
    (folder / "2.png").write_bytes(b"not a picture")
    with pytest.raises(UserError, match=r"2.png cannot be read, of 13 bytes"):
        frames(str(folder))
    (folder / "1.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"1.png cannot be read, of 0 bytes"):
        parse_source(str(folder)).check()


def test_a_folder_without_a_sequence_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no such picture; expected files such as .png, .jpg"):
        parse_source(str(tmp_path))
    write(tmp_path / "both", ["1.png", "1.jpg", "2.png"])
    with pytest.raises(UserError, match=r"1.jpg and 1.png: expected one picture a frame; give .*both/\*\.png"):
        parse_source(str(tmp_path / "both"))


def test_paced_skips_overdue_pictures_but_never_all(tmp_path):
    folder = write(tmp_path / "frames", [f"{number:02d}.png" for number in range(30)])
    source = ImageSequenceSource(sorted(folder.iterdir()), 30.0, paced=True)
    long_ago_ns = time.monotonic_ns() - 3_600_000_000_000
    assert [shot.seq for shot in source.frames(long_ago_ns)] == [5, 11, 17, 23, 29]
