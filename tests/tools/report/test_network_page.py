"""The page of an evaluation shows its figures, its curves and its hands, with the truth and the predictions."""

from pathlib import Path

import cv2
import pytest

from hand.joints import JOINT_NAMES
from hand.synth.backgrounds import Backgrounds
from runtime.estimators.framing import AROUND_JOINTS
from tests.tools.evaluate.test_network import COUNT, SIZE, Knowing, judged
from tests.tools.report.skeletons import count_skeletons
from tools.evaluate.held_out_hands import HeldOutHands, render_held_out
from tools.evaluate.network import headlines, reliability_of
from tools.report.figures import save_figure
from tools.report.network_page import CASES, PREDICTION, TRUTH, WIDTH, draw_page


@pytest.fixture(scope="module")
def hands() -> HeldOutHands:
    return render_held_out("our", COUNT, SIZE, Backgrounds.load(None, "held_out"), AROUND_JOINTS)


def test_the_page_shows_figures_curves_and_hands_of_both_kinds(hands: HeldOutHands, tmp_path: Path):
    from matplotlib.table import Table
    from matplotlib.text import Text

    one = judged(hands, 0.1)
    rows = headlines([one, one])
    figure = draw_page("net", rows, [one, one], [reliability_of(Knowing(hands), one.final), None], "clip\n  Mono-M 30 mm")
    texts = {text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)}
    assert {"clip\n  Mono-M 30 mm", "Held-out hands: net"} <= texts
    cells = {
        cell.get_text().get_text()
        for table in figure.findobj(Table)
        if isinstance(table, Table)
        for cell in table.get_celld().values()
    }
    assert {cell for row in rows.values() for cell in row.values()} | {*rows} <= cells
    assert {name.replace("_", "\n") for name in JOINT_NAMES} <= texts
    # Of two kinds, the worst and the median hands.
    assert count_skeletons(figure, TRUTH) == count_skeletons(figure, PREDICTION) == 4 * min(CASES, COUNT)
    save_figure(figure, tmp_path / "page.png")
    page = cv2.imread(str(tmp_path / "page.png"))
    assert page is not None and page.shape[1] == WIDTH
