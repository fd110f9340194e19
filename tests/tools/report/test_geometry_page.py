"""The page of self-calibrations is a picture of all its panels, whether any stream was calibrated or not."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from hand.errors import UserError
from tests.tools.evaluate.test_geometry import outcome
from tools.report.figures import save_figure
from tools.report.geometry_page import draw_page


@pytest.mark.parametrize("updates", [(3, 1, 0), (0,)])
def test_the_page_is_a_picture_whether_there_are_calibrations_or_not(tmp_path: Path, updates: tuple[int, ...]):
    save_figure(draw_page([outcome(number, count) for number, count in enumerate(updates)], "title"), tmp_path / "page.png")
    page = cv2.imread(str(tmp_path / "page.png"))
    assert page is not None and page.shape == (1400, 1600, 3)
    # Nine panels, each of which holds something dark.
    assert all(part.min() < 100 for rows in np.array_split(page, 3) for part in np.array_split(rows, 3, axis=1))


def test_nothing_to_draw_is_the_users_error():
    with pytest.raises(UserError, match="no rigs"):
        draw_page([], "title")
