"""Pictures in, lines and drawings out: in real files."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from hand.errors import UserError
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer
from runtime.estimators.search import SearchHit
from runtime.types import HandBox, ViewHand
from tests.paths import SHARED
from tests.runtime.hands import flexed_hand
from tools.predict import Settings, draw_hands, filter_by_score, main, read_picture

SCORER = SHARED / "eval" / "score_stills.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A drawn hand in a picture that is wider than high, and what was predicted for it."""
    folder = tmp_path_factory.mktemp("pictures")
    image = CropRenderer(32, Backgrounds.load(None, "held_out"), 5, border=16).render(1).images[0].numpy()
    cv2.imwrite(str(folder / "hand.png"), cv2.cvtColor(np.pad(image, ((0, 0), (8, 8), (0, 0))), cv2.COLOR_RGB2BGR))
    main(Settings([folder / "hand.png"], save=folder / "out" / "predictions.jsonl", draw=folder / "drawn"))
    return folder


def test_a_picture_gives_a_line_with_its_hands_best_first(folder):
    (line,) = (folder / "out" / "predictions.jsonl").read_text().splitlines()
    picture = json.loads(line)
    assert picture["image"] == "hand.png" and picture["hands"]
    scores = [hand["score"] for hand in picture["hands"]]
    assert scores == sorted(scores, reverse=True)
    for hand in picture["hands"]:
        assert hand["side"] in ("left", "right")
        assert np.shape(hand["keypoints_px"]) == (21, 2) and np.shape(hand["confidence"]) == (21,)
        joints = np.array(hand["joints"])
        assert (joints[0] == 0).all() and np.linalg.norm(joints[9]) == pytest.approx(1, abs=1e-3)


def test_and_a_drawing_of_them(folder):
    drawn, plain = read_picture(folder / "drawn" / "hand.png"), read_picture(folder / "hand.png")
    assert drawn.shape[1] / drawn.shape[0] == plain.shape[1] / plain.shape[0]
    enlarged = cv2.resize(plain, (drawn.shape[1], drawn.shape[0]), interpolation=cv2.INTER_CUBIC)
    assert (drawn != enlarged).any(-1).mean() > 0.005


@pytest.mark.skipif(not SCORER.is_file(), reason="the scorer of photographs is not beside this repository")
def test_the_scorer_reads_the_lines(folder):
    saved = json.loads((folder / "out" / "predictions.jsonl").read_text())
    reference = {"hand.png": {"keypoints_px": saved["hands"][0]["keypoints_px"]}}
    (folder / "reference.json").write_text(json.dumps(reference))
    command = [sys.executable, str(SCORER), str(folder / "out" / "predictions.jsonl"), str(folder), "--json"]
    result = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert (result["found"], result["pck_0.1"], result["median_error"]) == (1, 1.0, 0.0)


@pytest.mark.parametrize("content", [None, b"", b"not a picture"])
def test_what_is_no_picture_is_told_in_one_sentence(tmp_path, content):
    path = tmp_path / "broken.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.jpg is not .*: give [^\n]*$"):
        read_picture(path)


def test_and_before_any_network_is_loaded(tmp_path):
    cv2.imwrite(str(tmp_path / "good.png"), np.zeros((8, 8, 3), np.uint8))
    for wrong, says in (("gone.png", "gone.png is not there"), (".", r"is a folder: give its pictures, such as .*/\*\.jpg")):
        with pytest.raises(UserError, match=says):
            main(Settings([tmp_path / "good.png", tmp_path / wrong], weights=tmp_path / "none.safetensors"))


def test_a_picture_is_turned_as_its_camera_was(tmp_path):
    image = np.zeros((32, 48, 3), np.uint8)
    image[:, :24] = (0, 0, 255)
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    # TIFF, big endian, one entry: orientation (0x0112), a short, 6: to be turned clockwise by a quarter.
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    (tmp_path / "turned.jpg").write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    read = read_picture(tmp_path / "turned.jpg")
    assert read.shape == (48, 32, 3)
    assert read[4, 16, 0] > 200 and read[44, 16, 0] < 50


def found(score: float, centre: float) -> SearchHit:
    pixels = flexed_hand()[:, :2] * 20 + centre
    hand = ViewHand("left", "right", flexed_hand(), pixels, np.full(21, score))
    return SearchHit(hand, score, HandBox("left", "right", (centre, centre), 60.0, 0.0))


def test_the_best_hand_is_kept_whatever_its_score():
    hands = [found(0.3, 50), found(0.2, 100), found(0.1, 150)]
    assert filter_by_score(hands, 0.9) == hands[:1]
    assert filter_by_score(hands, 0.15) == hands[:2]
    assert filter_by_score([], 0.1) == []


def test_large_pictures_keep_their_size_and_hands_out_of_sight_do_no_harm():
    image = np.zeros((700, 1000, 3), np.uint8)
    assert draw_hands(image, [found(0.5, 300)]).shape == image.shape
    assert (draw_hands(image, [found(0.5, 1e7)]) != 0).mean() < 0.05
    assert not image.any()
