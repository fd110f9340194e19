"""Figures show images and skeletons where they are asked to, and what hinders a page is the user's error."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from hand.errors import UserError
from tools.report.figures import Tile, add_legend, draw_tiles, new_figure, save_figure

GREY = np.full((40, 40, 3), 128, np.uint8)
HAND = np.stack([np.linspace(5, 35, 21), np.linspace(35, 5, 21)], 1)


def rendered(file: Path, tiles: list[Tile], columns: int) -> np.ndarray:
    """(H, W, 3) BGR."""
    figure = new_figure(400, 200)
    add_legend(figure, {"truth": "blue"})
    draw_tiles(figure, tiles, columns)
    save_figure(figure, file)
    page = cv2.imread(str(file))
    assert page is not None
    return page


def test_a_figure_is_as_large_as_asked_for_and_shows_every_tile(tmp_path: Path):
    page = rendered(tmp_path / "page.png", [Tile(GREY, "a"), Tile(255 - GREY // 2, "b"), Tile(GREY, "c")], 2)
    assert page.shape == (200, 400, 3)
    assert (page == 128).all(-1).sum() > 2 * (page == 191).all(-1).sum() * 0.9 > 1000


def test_a_skeleton_is_clipped_by_its_tile(tmp_path: Path):
    without = rendered(tmp_path / "without.png", [Tile(GREY, ""), Tile(GREY, "")], 2)
    inside = rendered(tmp_path / "inside.png", [Tile(GREY, "", [(HAND, "red")]), Tile(GREY, "")], 2)
    far = rendered(tmp_path / "far.png", [Tile(GREY, "", [(HAND + 1e6, "red")]), Tile(GREY, "")], 2)
    changed = (inside != without).any(-1)
    assert changed.sum() > 50 and (without[changed] == 128).all()
    np.testing.assert_array_equal(far, without)


def test_a_page_that_cannot_be_written_is_the_users_error(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/page\.png: Not a directory"):
        save_figure(new_figure(100, 100), tmp_path / "file" / "page.png")
    with pytest.raises(UserError, match="page.txt"):
        save_figure(new_figure(100, 100), tmp_path / "page.txt")


def test_without_matplotlib_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UserError, match=r"needs matplotlib.*pip install '\.\[report\]'"):
        new_figure(100, 100)
