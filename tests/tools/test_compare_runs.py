"""Comparing runs: times alone may differ, and a difference never passes."""

import pytest

from hand.errors import UserError
from tools.compare_runs import TIMES, Settings, compare, main, without_times

LINE = b'{"index":1,"joints":[0.25,-1.0],"captured_ns":17,' + b",".join(b'"%s":%d' % (key.encode(), 5) for key in TIMES) + b"}"


@pytest.fixture
def folders(tmp_path):
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "clip.jsonl").write_bytes(LINE + b"\n" + LINE + b"\n")
    return tmp_path / "before", tmp_path / "after"


@pytest.mark.parametrize("key", TIMES)
@pytest.mark.parametrize("value", [b"123456", b"null"])
def test_a_clock_may_tell_another_time(key, value):
    other = LINE.replace(b'"%s":5' % key.encode(), b'"%s":%s' % (key.encode(), value))
    assert other != LINE and without_times([other]) == without_times([LINE])


def test_capture_times_count_from_the_first():
    later = [LINE.replace(b'"captured_ns":17', b'"captured_ns":%d' % ns) for ns in (1017, 1050)]
    earlier = [LINE, LINE.replace(b'"captured_ns":17', b'"captured_ns":50')]
    assert without_times(later) == without_times(earlier) != without_times([LINE, LINE])


@pytest.mark.parametrize(
    ("old", "new"), [(b"0.25", b"0.250001"), (b'"captured_ns":17', b'"captured_ns":18'), (b'"index":1', b'"index":2')]
)
def test_everything_else_counts(folders, old, new, capsys):
    before, after = folders
    (after / "clip.jsonl").write_bytes(LINE + b"\n" + LINE.replace(old, new) + b"\n")
    assert compare("clip.jsonl", before / "clip.jsonl", after / "clip.jsonl").first == 2
    assert main(Settings(before, after)) == 1
    assert "DIFFERENT" in capsys.readouterr().out


def test_equal_folders_are_equal(folders, capsys):
    assert main(Settings(*folders)) == 0
    assert "1 of 1 files equal" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, b"", LINE + b"\n"])
def test_a_file_that_is_missing_or_shorter_is_different(folders, content):
    before, after = folders
    (after / "clip.jsonl").unlink()
    if content is not None:
        (after / "clip.jsonl").write_bytes(content)
    (after / "other.jsonl").write_bytes(LINE)
    assert not compare("clip.jsonl", before / "clip.jsonl", after / "clip.jsonl").equal
    assert main(Settings(before, after)) == 1


def test_a_folder_of_nothing_is_refused(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="neither a checkout"):
        main(Settings(folders[0], tmp_path / "empty"))
