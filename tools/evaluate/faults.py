"""Streams that no two fixed cameras could observe of one hand, made of observed ones."""

from dataclasses import replace

import numpy as np

from capture.views import PerView, View
from runtime.types import ViewHand
from tools.evaluate.two_views import Observed


def mirrored(observed: Observed, view: View = "right") -> Observed:
    """One view's pictures flipped left to right."""
    width = observed.rig.geometry.cameras[view].size_px[0]

    def flipped(hand: ViewHand) -> ViewHand:
        return replace(hand, joints=hand.joints * [-1, 1, 1], pixels=hand.pixels * [-1, 1] + [width - 1, 0])

    return _with_view(observed, view, [pair and flipped(pair[view]) for pair in observed.pairs])


def unsynchronised(observed: Observed, frames: int, view: View = "right") -> Observed:
    """One view shows what it saw `frames` frames before."""
    late = [None] * frames + [pair and pair[view] for pair in observed.pairs[: len(observed.pairs) - frames]]
    return _with_view(observed, view, late)


def frozen(observed: Observed, at_s: float, view: View = "right") -> Observed:
    """One view repeats, from `at_s` on, the last hand that it saw before."""
    hands = [pair and pair[view] for pair in observed.pairs]
    start = _frame_at(observed, at_s)
    last = next((hand for hand in reversed(hands[:start]) if hand), None)
    return _with_view(observed, view, hands[:start] + [last] * (len(hands) - start))


def two_hands(left: Observed, right: Observed) -> Observed:
    """The left view as in `left`, the right one as in `right`: two hands of one person, swapped, or of two people."""
    return _with_view(left, "right", [pair and pair.right for pair in right.pairs])


def then(before: Observed, after: Observed, at_s: float) -> Observed:
    """`before` until `at_s`, then `after`: a camera is moved (other rig), or another person comes (other motion).

    The rig is that of the end, in whose left camera's axes all true joints are.
    """
    start = _frame_at(before, at_s)
    first = after.rig.in_left(before.rig.in_space(before.joints_mm[:start]))
    joints_mm = np.concatenate([first, after.joints_mm[start:]])
    return replace(after, joints_mm=joints_mm, pairs=before.pairs[:start] + after.pairs[start:])


def _frame_at(observed: Observed, at_s: float) -> int:
    return int(np.searchsorted(observed.captured_ns, observed.captured_ns[0] + at_s * 1e9))


def _with_view(observed: Observed, view: View, hands: list[ViewHand | None]) -> Observed:
    """Other hands in one view; pairs that lack one are none."""

    def pair(old: PerView[ViewHand] | None, hand: ViewHand | None) -> PerView[ViewHand] | None:
        if old is None or hand is None:
            return None
        return PerView(hand, old.right) if view == "left" else PerView(old.left, hand)

    return replace(observed, pairs=[pair(*both) for both in zip(observed.pairs, hands, strict=True)])
