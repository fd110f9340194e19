"""Keys from the command line: made once and exchanged; a mistake is one sentence and exit code 2."""

import subprocess
import sys

from tests.paths import ROOT


def keys(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tools.keys", *arguments], cwd=ROOT, text=True, capture_output=True)


def test_two_sides_make_and_exchange_keys(tmp_path):
    desk, headset = tmp_path / "desk", tmp_path / "headset"
    for side in (desk, headset):
        made = keys(str(side))
        assert made.returncode == 0 and "tools.keys keys --trust" in made.stdout
        assert (side / "own.key_secret").read_text() not in made.stdout
    (tmp_path / "hmd.key").write_bytes((headset / "own.key").read_bytes())
    assert "known are hmd" in keys(str(desk), "--trust", str(tmp_path / "hmd.key")).stdout
    again = keys(str(desk))
    assert again.returncode == 2 and again.stderr.startswith("tools.keys: ") and again.stderr.count("\n") == 1
    wrong = keys(str(desk), "--trust", str(tmp_path / "gone.key"))
    assert wrong.returncode == 2 and "gone.key" in wrong.stderr and wrong.stderr.count("\n") == 1
