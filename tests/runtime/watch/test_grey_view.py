"""Grey pictures are named once they last, by view; coloured, dark and absent ones are not."""

import cv2
import numpy as np
import pytest

from capture.views import PerView
from hand.findings import Finding, Findings
from runtime.watch.grey_view import GreyView, is_grey
from runtime.watch.run_watch import RunWatch
from runtime.watch.watched import WatchedPair
from tests.runtime.watch.watching import UNSEEN, scene, show_pictures, watched

ROOM = scene(1)
GREY = np.repeat(cv2.cvtColor(ROOM, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def pairs(left: np.ndarray, right: np.ndarray = ROOM, count: int = 90, start: int = 0) -> list[WatchedPair]:
    return [watched(start + n, UNSEEN, images=PerView(left, right)) for n in range(count)]


def found(*shown: WatchedPair) -> list[Finding]:
    return show_pictures(GreyView(), shown)


@pytest.mark.parametrize(
    ("left", "right", "view", "named"),
    [
        (GREY, ROOM, "left", "the left picture has no colour"),
        (ROOM, GREY, "right", "the right picture has no colour"),
        (GREY, GREY, None, "both pictures have no colour"),
    ],
)
def test_grey_pictures_are_named_by_view(left, right, view, named):
    (finding,) = found(*pairs(left, right))
    assert (finding.kind, finding.view, finding.level) == ("grey_frames", view, "warning") and finding.text.startswith(named)


def test_coloured_dark_and_absent_pictures_are_not_named():
    assert not found(*pairs(ROOM))
    assert not found(*pairs(np.full_like(ROOM, 5)))
    assert not found(*[watched(n, images=PerView(GREY, ROOM), absent="left") for n in range(90)])


def test_a_moment_is_not_named_and_colour_that_comes_back_withdraws_it():
    assert not found(*pairs(GREY, count=50))
    assert not found(*pairs(GREY), *pairs(ROOM, start=90))
    assert found(*pairs(GREY), *pairs(ROOM, count=50, start=90)), "a coloured moment withdraws nothing"


@pytest.mark.parametrize("quality", [10, 50, 95])
def test_coding_makes_no_colour_and_takes_none_away(quality):
    def coded(image: np.ndarray) -> np.ndarray:
        jpeg = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        decoded = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        assert decoded is not None
        return decoded[..., ::-1].reshape(-1, 3)

    assert is_grey(coded(GREY)) is True and is_grey(coded(ROOM)) is False


def test_a_hand_in_colour_before_a_grey_wall_is_colour():
    wall = np.full((240, 320, 3), 120, np.uint8)
    assert is_grey(wall.reshape(-1, 3)) is True
    wall[100:140, 100:140] = (200, 150, 120)
    assert is_grey(wall.reshape(-1, 3)) is False
    assert is_grey(np.zeros((10, 3), np.uint8)) is None


@pytest.mark.parametrize("taught_in_colour", [True, False])
def test_grey_pictures_are_told_where_they_harm(taught_in_colour):
    findings, rng = Findings(), np.random.default_rng(0)
    watch = RunWatch(findings, taught_in_colour=taught_in_colour)
    for number in range(90):
        noise = rng.normal(0, 2, GREY.shape[:2])[..., None]
        views = PerView.of(lambda view, noise=noise: np.clip((GREY if view == "left" else ROOM) + noise, 0, 255).astype(np.uint8))
        watch.take(watched(number, images=views).pair, [])
    assert ("grey_frames" in [finding.kind for finding in findings.all]) == taught_in_colour
