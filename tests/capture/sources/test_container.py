"""Containers of whole, of cut and of no video files."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from capture.sources.container import Container, read_container
from tests.capture.clips import created_at, cut, with_moov_first, write_clip

KINDS = {"mp4": ".mp4", "avi": ".avi", "matroska": ".mkv"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_has_the_size_that_its_container_says(tmp_path, kind):
    clip = write_clip(tmp_path / f"clip{KINDS[kind]}", 20)
    container = read_container(clip)
    assert (container.kind, container.size_bytes) == (kind, clip.stat().st_size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_cut_file_is_shorter_than_its_container_says(tmp_path, kind, share):
    clip = cut(write_clip(tmp_path / f"clip{KINDS[kind]}", 20), share)
    assert (read_container(clip).size_bytes or 0) > clip.stat().st_size


def test_the_place_of_the_index_makes_no_difference(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 20)
    before = read_container(clip)
    assert read_container(with_moov_first(clip)) == before
    assert before.duration_s == pytest.approx(20 / 30, abs=0.01)


def test_the_creation_time_counts_from_1904_and_zero_is_none(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 3)
    assert read_container(created_at(clip, 0)).created_at is None
    begun = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    seconds = (begun - datetime(1904, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    assert read_container(created_at(clip, seconds)).created_at == begun


def test_other_files_say_nothing(tmp_path):
    file = tmp_path / "clip.ts"
    for content in (b"", b"G", b"a text that is no video at all"):
        file.write_bytes(content)
        assert read_container(file) == Container()


@pytest.mark.parametrize("suffix", KINDS.values())
def test_damage_anywhere_in_the_headers_is_survived(tmp_path, suffix):
    whole = write_clip(tmp_path / f"clip{suffix}", 3).read_bytes()
    file, chance = tmp_path / "damaged", random.Random(1)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(4):
            damaged[chance.randrange(len(whole))] = chance.choice((0, 1, 0x7F, 0xFF))
        file.write_bytes(damaged[: chance.randrange(len(whole))])
        read_container(file)
