"""Frame pairs of the synthetic cameras, which show a drawn right hand: for tests of networks that know real ones."""

from collections.abc import Callable

import numpy as np

from capture.frames import Frame, FramePair
from capture.sources.synthetic import R_RIGHT_FROM_LEFT, RIGHT_IN_LEFT_MM, SyntheticSource, truth
from capture.views import PerView, View
from hand.camera import PinholeCamera


def drawn_pairs(count: int) -> list[FramePair]:
    def frames(view: View) -> list[Frame]:
        shown = SyntheticSource(view).frames(0, paced=False)
        taken = [next(shown) for _ in range(count)]
        return [Frame(view, seq, captured_ns, captured_ns, image) for seq, captured_ns, image in taken]

    return [FramePair(left, right) for left, right in zip(frames("left"), frames("right"), strict=True)]


def cameras(pair: FramePair, fov_deg: float = 70.0) -> PerView[PinholeCamera]:
    """Those of the synthetic cameras, unless another field of view is given."""

    def camera(view: View) -> PinholeCamera:
        height, width, _ = pair[view].image.shape
        return PinholeCamera.from_fov(width, height, fov_deg)

    return PerView.of(camera)


def true_joints(pair: FramePair) -> PerView[np.ndarray]:
    """(21, 3) mm in each camera's axes."""
    left = truth(pair.left.captured_ns)
    return PerView(left, (left - RIGHT_IN_LEFT_MM) @ R_RIGHT_FROM_LEFT.T)


def true_pixels(pair: FramePair) -> PerView[np.ndarray]:
    """(21, 2) px."""
    joints = true_joints(pair)
    return PerView.of(lambda view: cameras(pair)[view].project(joints[view]))


def changed(pairs: list[FramePair], change: Callable[[np.ndarray], np.ndarray]) -> list[FramePair]:
    """The same pairs with other images."""
    return [
        FramePair(*(Frame(f.view, f.seq, f.captured_ns, f.received_ns, change(f.image)) for f in (pair.left, pair.right)))
        for pair in pairs
    ]
