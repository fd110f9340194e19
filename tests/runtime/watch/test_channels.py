"""Exchanged channels are found by hands that only appear with red and blue exchanged back, and at little cost."""

import numpy as np
import pytest

from capture.views import VIEWS, PerView, View
from runtime.types import HandBox
from runtime.watch.channels import FIRST_TRIES, MIN_TRIES, ExchangedChannels
from tests.runtime.watch.watching import PERIOD_NS, UNSEEN, view_hand, watched

RGB = np.full((48, 64, 3), (200, 120, 80), np.uint8)
"""A picture of skin."""
BGR = np.ascontiguousarray(RGB[..., ::-1])


class Locator:
    """Finds a hand where red is above blue, and counts its calls."""

    def __init__(self, score: float = 0.6, wrong: float = 0.0) -> None:
        self.calls, self._score, self._wrong = 0, score, wrong

    def __call__(self, image: np.ndarray, view: View) -> list[HandBox]:
        self.calls += 1
        score = self._score if image[0, 0, 0] > image[0, 0, 2] else self._wrong
        return [HandBox(view, "right", (32, 24), 20, score)] if score else []


def run(channels: ExchangedChannels, images: PerView[np.ndarray], seconds: float, *, hands: bool) -> None:
    for number in range(round(seconds * 1e9 / PERIOD_NS)):
        channels.take(watched(number, PerView.of(view_hand) if hands else UNSEEN, images=images))


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_whose_hands_appear_only_when_exchanged_is_named(view):
    locator = Locator()
    channels = ExchangedChannels(lambda: locator)
    run(channels, PerView.of(lambda each: BGR if each == view else RGB), 5, hands=False)
    (finding,) = channels.findings
    assert finding.kind == "channels_exchanged" and finding.view == view
    assert f"in the {view} pictures" in finding.text and "as they are in 0" in finding.text and "RGB" in finding.text


def test_wrong_hands_that_are_found_do_not_hide_it():
    channels = ExchangedChannels(lambda: Locator(wrong=0.3))
    run(channels, PerView(BGR, BGR), 30, hands=True)
    assert len(channels.findings) == 2


@pytest.mark.parametrize("locator", [Locator(), Locator(score=0.35), Locator(score=0.5, wrong=0.45), Locator(score=0)])
def test_right_pictures_and_unclear_ones_give_no_finding(locator):
    channels = ExchangedChannels(lambda: locator)
    run(channels, PerView(RGB, RGB), 20, hands=False)
    assert not channels.findings


def test_an_empty_room_costs_a_few_tries_and_a_hand_in_view_next_to_none():
    locator = Locator(score=0)
    run(ExchangedChannels(lambda: locator), PerView(RGB, RGB), 60, hands=False)
    # Two pictures a try, two views: the first ones, then every three seconds.
    assert 4 * FIRST_TRIES < locator.calls < 4 * (FIRST_TRIES + 20)
    run(ExchangedChannels(lambda: pytest.fail("tried though a hand is seen")), PerView(RGB, RGB), 0.9, hands=False)
    locator = Locator()
    run(ExchangedChannels(lambda: locator), PerView(RGB, RGB), 60, hands=True)
    assert locator.calls <= 4 * 20


def test_a_few_tries_are_not_enough():
    channels = ExchangedChannels(Locator)
    run(channels, PerView(BGR, RGB), 1 + 0.5 * (MIN_TRIES - 2), hands=False)
    assert not channels.findings
