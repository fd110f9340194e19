"""`duohand label photos`: labelled photographs, or a user's own, become shards; what the teacher contradicts is left out."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hand.errors import UserError
from tests.paths import SHARED
from tools.photos.__main__ import Settings, main
from tools.train.bank import HandBank
from tools.train.labelled_photographs import LABELS, labelled_photographs

PHOTOS = SHARED / "photos" / "subhih"
COUNT = 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A few labelled photographs; the first one's joints are upside down, and the second says it is the other hand."""
    if not PHOTOS.is_dir():
        pytest.skip("the shared photographs are not here")
    lines = [json.loads(line) for line in (PHOTOS / LABELS).read_text().splitlines()[:: 1504 // COUNT][:COUNT]]
    folder = tmp_path / "mine"
    folder.mkdir()
    for line in lines:
        shutil.copy(PHOTOS / line["file"], folder)
    lines[0]["keypoints_px"] = (np.array([240, 240]) - lines[0]["keypoints_px"]).clip(0, 150).tolist()
    lines[1]["right"] = 1 - lines[1]["right"]
    (folder / LABELS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.mark.usefixtures("mediapipe_models")
def test_wrong_labels_are_left_out_and_said(folder, tmp_path, capsys):
    main(Settings(folder, out=tmp_path / "shards", crops=20, engine="torch", backgrounds=None))
    said = capsys.readouterr().out
    assert f"2 of {COUNT} photographs believed" in said and "1, other side" in said
    crops = len(HandBank(tmp_path / "shards", 64, 0))
    assert crops == 20 or abs(crops - 20) <= 2
    with pytest.raises(UserError, match="give a new folder"):
        main(Settings(folder, out=tmp_path / "shards", backgrounds=None))


@pytest.mark.usefixtures("mediapipe_models")
def test_a_folder_without_labels_is_labelled_by_the_teacher(folder, tmp_path, capsys):
    (folder / LABELS).unlink()
    main(Settings(folder, out=tmp_path / "shards", crops=8, engine="torch", backgrounds=None))
    said = capsys.readouterr().out
    assert "photographs believed" in said and "0 of" not in said
    assert len(HandBank(tmp_path / "shards", 64, 0)) > 0


def test_what_cannot_be_labels_is_said_with_its_line(tmp_path):
    with pytest.raises(UserError, match=LABELS):
        labelled_photographs(tmp_path)
    with pytest.raises(UserError, match="holds neither"):
        main(Settings(tmp_path, out=tmp_path / "shards", backgrounds=None))
    (tmp_path / LABELS).write_text('{"file": "a.jpg", "keypoints_px": [[1, 2]], "right": 1}\n')
    with pytest.raises(UserError, match="line 1: keypoints_px has the shape"):
        labelled_photographs(tmp_path)
