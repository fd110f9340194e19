"""Which motion of the hand would make the cameras better known: predicted for each of a few, before anyone moves.

Some of the hands that were seen are carried on as each motion would carry them, and what both views would see of them joins the
problem. From its normal equations follows how uncertain the cameras would be then, noise and biased landmarks considered, as for
a claim (`runtime.calibration.claims`); nothing is solved anew.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from capture.views import VIEWS, PerView, View
from hand.rotations import from_vector
from runtime.calibration.bundle import NEAREST, Bundle, Keypoints
from runtime.calibration.claims import NOISE_SCALE
from runtime.calibration.landmark_bias import bias_covariance
from runtime.calibration.noise import Eliminated
from runtime.calibration.robust_losses import FINAL_LOSSES
from runtime.calibration.status import HandMotion
from runtime.calibration.variables import TURN, Scene

SEEN_PAIRS, IMAGINED_PAIRS = 24, 8
"""Pairs of the problem that the prediction is made with, evenly spaced, and pairs that each motion adds to them."""
MIN_GAIN = 0.08
"""Share by which a motion must lower the rotation's uncertainty, compared with the same hands once more, to be worth a word."""
KNOWN_DEG = 1.0
"""Uncertainty of the rotation below which nothing is advised."""
_TURN_DEG, _ACROSS, _NEARER, _FARTHER = 50.0, 0.6, 0.7, 1.6
"""By how much the hand is turned; how far it goes towards the picture's rims; shares of its distance that are left."""
_MARGIN = 0.03
"""Of the picture's width; a joint must be so far inside."""


def advised(bundle: Bundle, scene: Scene) -> HandMotion | None:
    """The motion after which the right camera's rotation would be known best; None where none helps much, or none is needed.

    `scene`: the minimum of `bundle`, whose views have the noise of its residuals.
    """
    if not bundle.prior.place:
        return None
    chosen = np.unique(np.linspace(0, bundle.count - 1, min(SEEN_PAIRS, bundle.count)).round().astype(int))
    seen = Sighting(bundle.views.map(lambda keypoints: keypoints.subset(chosen)), replace(scene, joints=scene.joints[chosen]))
    some = np.unique(np.linspace(0, len(chosen) - 1, IMAGINED_PAIRS).round().astype(int))
    again = seen.part(some)
    if _rotation_deg(bundle, [seen]) < KNOWN_DEG:
        return None
    best, best_deg = None, (1 - MIN_GAIN) * _rotation_deg(bundle, [seen, again])
    for motion in _MOTIONS:
        imagined = imagine(again, motion)
        if imagined is None:
            continue
        rotation_deg = _rotation_deg(bundle, [seen, imagined])
        if rotation_deg < best_deg:
            best, best_deg = motion, rotation_deg
    return best


def imagine(seen: "Sighting", motion: HandMotion) -> "Sighting | None":
    """The hands as a motion would carry them, and what both views would see of them; None where they would leave a picture."""
    return seen.carried(_MOTIONS[motion](seen))


@dataclass(frozen=True, slots=True)
class Sighting:
    """Hands, and what both views see of them."""

    views: PerView[Keypoints]
    scene: Scene

    def part(self, pairs: np.ndarray) -> "Sighting":
        """Those of some pairs, by index or mask."""
        views = self.views.map(lambda keypoints: keypoints.subset(pairs))
        return Sighting(views, replace(self.scene, joints=self.scene.joints[pairs]))

    @property
    def middles(self) -> np.ndarray:
        """(F, 1, 3) of the hands."""
        return self.scene.joints.mean(1, keepdims=True)

    def carried(self, joints: np.ndarray) -> "Sighting | None":
        """What would be seen of hands of other joints (F, 21, 3); None where most of them would leave a picture."""
        moved = replace(self.scene, joints=joints)
        pixels = PerView.of(lambda view: _pixels(self.views[view], moved, view))
        inside = np.ones(len(joints), bool)
        for view in VIEWS:
            size = 2 * self.views[view].centre_px + 1
            margin = _MARGIN * size[0]
            within = ((pixels[view] > margin) & (pixels[view] < size - margin)).all(-1)
            inside &= (within & (moved.in_view_axes(view)[..., 2] > 2 * NEAREST)).mean(1) > 0.9
        if 2 * inside.sum() < len(joints):
            return None

        def keypoints(view: View) -> Keypoints:
            old, new = (one.in_view_axes(view) for one in (self.scene, moved))
            # A network errs in proportion to the hand that it sees.
            larger = old[..., 2].mean(1) / new[..., 2].mean(1)
            seen = self.views[view]
            return Keypoints(pixels[view], seen.sigma_px * larger[:, None], new - new[:, :1], seen.shape_sigma, seen.centre_px)

        return Sighting(PerView.of(keypoints), moved).part(inside)


def _pixels(keypoints: Keypoints, scene: Scene, view: View) -> np.ndarray:
    points = scene.in_view_axes(view)
    return scene.focal(view) * points[..., :2] / np.maximum(points[..., 2:], 1e-3) + keypoints.centre_px


def _rotation_deg(bundle: Bundle, parts: list[Sighting]) -> float:
    """Predicted standard deviation of the rotation from these hands together."""

    def joined(view: View) -> Keypoints:
        of_view = [part.views[view] for part in parts]
        names = ("pixels", "sigma_px", "shape", "shape_sigma")
        pixels, sigma_px, shape, shape_sigma = (np.concatenate([getattr(one, name) for one in of_view]) for name in names)
        return Keypoints(pixels, sigma_px, shape, shape_sigma, of_view[0].centre_px)

    scene = replace(parts[0].scene, joints=np.concatenate([part.scene.joints for part in parts]))
    together = Bundle(PerView.of(joined), bundle.prior, FINAL_LOSSES, bundle.prior_weight)
    eliminated = Eliminated.of(together, scene)
    covariance = NOISE_SCALE**2 * bundle.prior_weight * eliminated.inverse + bias_covariance(together, scene, eliminated)
    return float(np.degrees(np.sqrt(np.trace(covariance[TURN, TURN]))))


def _turned(seen: Sighting) -> np.ndarray:
    """Each hand about its own middle, left camera's axes: to the side, up and down in turn."""
    angle = np.radians(_TURN_DEG) * np.array([[0, 1, 0], [1, 0, 0], [0, -1, 0], [-1, 0, 0]])
    turn = from_vector(angle[np.arange(len(seen.scene.joints)) % len(angle)])
    return (seen.scene.joints - seen.middles) @ turn.swapaxes(1, 2) + seen.middles


def _towards(view: View, share: float) -> Callable[[Sighting], np.ndarray]:
    """The hand on its line to a camera, at a share of its distance."""

    def carry(seen: Sighting) -> np.ndarray:
        scene = seen.scene
        camera = np.zeros(3) if view == "left" else -scene.R_right_from_left.T @ scene.t_right_from_left
        return scene.joints + (share - 1) * (seen.middles - camera)

    return carry


def _away(seen: Sighting) -> np.ndarray:
    """The hand away from both cameras."""
    return _towards("left", _FARTHER)(seen) / 2 + _towards("right", _FARTHER)(seen) / 2


def _across(seen: Sighting) -> np.ndarray:
    """The hand towards the sides and corners of the left picture, as far away as it is."""
    places = np.array([[-1, 0], [1, 0], [0, -1], [0, 1], [-1, -1], [1, 1], [-1, 1], [1, -1]]) * _ACROSS
    place = places[np.arange(len(seen.scene.joints)) % len(places)] * (seen.views.left.centre_px / seen.scene.focal("left"))
    middle = seen.middles
    at = np.concatenate([place[:, None] * middle[..., 2:], middle[..., 2:]], -1)
    return seen.scene.joints - middle + at


_MOTIONS: dict[HandMotion, Callable[[Sighting], np.ndarray]] = {
    HandMotion.TURN: _turned,
    HandMotion.NEARER_LEFT: _towards("left", _NEARER),
    HandMotion.NEARER_RIGHT: _towards("right", _NEARER),
    HandMotion.AWAY: _away,
    HandMotion.ACROSS: _across,
}
