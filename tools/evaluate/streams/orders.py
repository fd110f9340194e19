"""The same stream told differently: backwards, with left and right exchanged, in a mirror; no answer may depend on that."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from capture.views import PerView, View
from runtime.geometry.two_view import TwoViewGeometry
from tools.evaluate.streams.landmarks import LEFT_HAND, NO_HAND, RIGHT_HAND, Landmarks

T = TypeVar("T")
_MIRROR = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True)
class Order:
    """One way to tell a stream, and what cameras found in it mean for the stream as it was."""

    name: str
    told: Callable[[Landmarks], Landmarks]
    """Without its truth."""
    back: Callable[[TwoViewGeometry], TwoViewGeometry]
    exchanges: bool = False
    """Whether left and right are exchanged."""


def part(landmarks: Landmarks, pairs: np.ndarray) -> Landmarks:
    """The pairs with these numbers, in this order; times stay in order. The truth is left out."""
    times = np.sort(landmarks.captured_ns[pairs])
    if len(pairs) > 1 and pairs[0] > pairs[-1]:
        times = times[0] + times[-1] - times[::-1]
    return landmarks.with_views(lambda values: values.map(lambda of_view: of_view[pairs]), captured_ns=times)


def forwards(landmarks: Landmarks) -> Landmarks:
    """As it was."""
    return replace(landmarks, truth=None)


def backwards(landmarks: Landmarks) -> Landmarks:
    """From the last pair to the first."""
    return part(landmarks, np.arange(len(landmarks))[::-1])


def swapped(values: PerView[T]) -> PerView[T]:
    """Left and right exchanged."""
    return PerView(values.right, values.left)


def exchanged(landmarks: Landmarks) -> Landmarks:
    """The left camera is called right, and the other way round."""
    return landmarks.with_views(swapped, sizes_px=swapped(landmarks.sizes_px))


def mirrored(landmarks: Landmarks) -> Landmarks:
    """Both views as in a mirror: a right hand is a left one."""
    other = np.zeros(3, np.int8)
    other[[NO_HAND, LEFT_HAND, RIGHT_HAND]] = NO_HAND, RIGHT_HAND, LEFT_HAND

    def pixels(view: View) -> np.ndarray:
        return landmarks.pixels[view] * [-1, 1] + [landmarks.sizes_px[view][0] - 1, 0]

    return replace(
        landmarks,
        side=landmarks.side.map(lambda side: other[side]),
        pixels=PerView.of(pixels),
        joints=landmarks.joints.map(lambda joints: joints * _MIRROR),
        truth=None,
    )


def _as_it_is(g: TwoViewGeometry) -> TwoViewGeometry:
    return g


def _exchanged_back(g: TwoViewGeometry) -> TwoViewGeometry:
    R = g.R_right_from_left.T
    return TwoViewGeometry(swapped(g.cameras), R, -R @ g.t_right_from_left_mm)


def _mirrored_back(g: TwoViewGeometry) -> TwoViewGeometry:
    cameras = g.cameras.map(
        lambda one: replace(one, centre_px=(one.size_px[0] - 1 - one.centre_px[0], one.centre_px[1])),
    )
    return TwoViewGeometry(cameras, _MIRROR[:, None] * g.R_right_from_left * _MIRROR, _MIRROR * g.t_right_from_left_mm)


ORDERS = (
    Order("forwards", forwards, _as_it_is),
    Order("backwards", backwards, _as_it_is),
    Order("exchanged", exchanged, _exchanged_back, exchanges=True),
    Order("mirrored", mirrored, _mirrored_back),
)
