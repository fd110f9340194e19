"""A recording of `tests.runtime.scenes`: its pairs, what stands where, and an estimator that sees it as it is."""

from collections.abc import Iterator

import numpy as np

from capture.frames import FramePair
from capture.views import PerView, View
from hand.camera import PinholeCamera
from runtime.calibration.variables import CHILD, PARENT
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import ViewHand
from tests.runtime.scenes import CAMERAS, R_RIGHT_FROM_LEFT, Scene

_AT_MM = PerView(np.array([50.0, 40.0, 500.0]), np.array([-30.0, 20.0, 450.0]))
"""Where the scene's own middle is, in each camera's axes."""
GEOMETRY = TwoViewGeometry(CAMERAS, R_RIGHT_FROM_LEFT, _AT_MM.right - R_RIGHT_FROM_LEFT @ _AT_MM.left)


def bones(scene: Scene) -> np.ndarray:
    """(20,) lengths in hands."""
    joints = scene.truth()
    return np.linalg.norm(joints[CHILD] - joints[PARENT], axis=-1)


def pairs_of(scene: Scene, count: int) -> Iterator[FramePair]:
    """Its first pairs; the scene goes on as they are taken."""
    for scene.seq in range(count):
        yield scene.pair()


class Eyes:
    """An `Estimator` that knows the scene, whichever frame it is shown."""

    description = "truth"

    def __init__(self, scene: Scene):
        self._scene = scene
        self.squints: View | None = None
        """A view in which it sees the hand elsewhere."""

    def __call__(self, pair: FramePair, cameras: PerView[PinholeCamera]) -> PerView[ViewHand | None]:
        self._scene.seq = pair.left.seq
        return PerView.of(self._hand)

    def lose(self, view: View) -> None:
        pass

    def _hand(self, view: View) -> ViewHand | None:
        scene = self._scene
        if view in scene.hidden:
            return None
        pixels = scene.pixels(view)
        if view == self.squints:
            pixels = np.roll(pixels, 7, axis=0)
        return ViewHand(view, scene.side, scene.truth(view), pixels, np.full(21, 0.9))
