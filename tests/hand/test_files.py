"""A file is written whole or not at all, and a file of lines ends with a whole one, also on a full disk."""

import errno
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hand.errors import UserError
from hand.files import LineFile, beside, saving, write_atomically


@contextmanager
def room_for(count: int) -> Iterator[None]:
    """The process may write files of so many bytes only, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_file_is_replaced_once_the_new_one_is_whole(tmp_path):
    file = tmp_path / "made" / "file.json"
    with beside(file) as part:
        part.write_bytes(b"one")
        assert not file.exists()
    with pytest.raises(ZeroDivisionError), beside(file) as part:
        part.write_bytes(b"two")
        raise ZeroDivisionError
    with room_for(10), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        write_atomically(file, bytes(11))
    assert file.read_bytes() == b"one" and names(file.parent) == ["file.json"]
    # Everybody may read it whom the user lets read his files.
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~_umask()


def test_what_a_link_leads_to_is_replaced_and_not_the_link(tmp_path):
    (tmp_path / "link").symlink_to("file")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_bytes() == b"new"


def test_a_file_that_has_come_to_be_meanwhile_is_kept(tmp_path):
    file = tmp_path / "file"
    with pytest.raises(FileExistsError), beside(file, overwrite=False) as part:
        part.write_bytes(b"new")
        file.write_bytes(b"another program's")
    assert file.read_bytes() == b"another program's" and names(tmp_path) == ["file"]


def test_a_device_is_written_to_and_never_replaced():
    with beside(Path("/dev/null")) as part:
        part.write_bytes(b"nothing")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_command_names_the_file_and_the_reason(tmp_path):
    with room_for(10), pytest.raises(UserError, match=r"file: File too large; .*ulimit"), saving(tmp_path / "file") as part:
        part.write_bytes(bytes(11))
    assert not names(tmp_path)


def test_lines_can_be_read_while_they_are_written(tmp_path):
    with LineFile(tmp_path / "made" / "lines") as file:
        for number in range(3):
            file.write(b"%d" % number)
            assert (tmp_path / "made" / "lines").read_text().split("\n") == [*map(str, range(number + 1)), ""]


def test_a_line_that_does_not_fit_is_left_out_whole(tmp_path):
    file = LineFile(tmp_path / "lines")
    with room_for(100), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        for _ in range(20):
            file.write(b"0123456789")
    assert (tmp_path / "lines").read_text() == 9 * "0123456789\n"
    file.write(b"there is room again")
    file.close()
    assert (tmp_path / "lines").read_text() == 9 * "0123456789\n" + "there is room again\n"
    assert file.lines == 10


def test_a_file_of_lines_takes_the_place_of_another_when_it_is_closed(tmp_path):
    path = tmp_path / "lines"
    path.write_text("before")
    with pytest.raises(FileExistsError):
        LineFile(path)
    for close, content in (("discard", "before"), ("close", "new\n")):
        file = LineFile(path, overwrite=True)
        file.write(b"new")
        assert path.read_text() == "before"
        getattr(file, close)()
        assert path.read_text() == content and names(tmp_path) == ["lines"]
    file.close()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
