"""What an estimator saw in a stream of both views, and what is true of it: kept in one NumPy file, read in no time."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import numpy as np

from capture.views import VIEWS, PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.files import saving
from hand.joints import JOINTS
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import Side, ViewHand
from tools.evaluate.two_views import Observed, Rig

NO_HAND, LEFT_HAND, RIGHT_HAND = 0, 1, 2
_OF_VIEWS = ("side", "pixels", "joints", "confidence", "pixel_share")
"""Fields of `Landmarks` that hold an array for each view."""
_SIDES: dict[int, Side] = {LEFT_HAND: "left", RIGHT_HAND: "right"}


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of a stream."""

    rig: Rig
    joints_mm: np.ndarray
    """(N, 21, 3) left camera's axes; NaN where they are not known."""
    pixels: PerView[np.ndarray]
    """(N, 21, 2) of these joints in each view's frames, the lenses' distortion included; NaN where they are not known."""
    radial: PerView[float]
    """The lenses' radial distortion, OpenCV's k1."""
    side: Side | None
    """Which hand it is; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Landmarks:
    """One estimator's hands in N pairs of frames."""

    estimator: str
    captured_ns: np.ndarray
    """(N,) int64."""
    sizes_px: PerView[tuple[int, int]]
    """(width, height) of each view's frames."""
    side: PerView[np.ndarray]
    """(N,) `NO_HAND`, `LEFT_HAND` or `RIGHT_HAND`."""
    pixels: PerView[np.ndarray]
    """(N, 21, 2); NaN where there is no hand."""
    joints: PerView[np.ndarray]
    """(N, 21, 3) unit hands, each camera's axes as a lens of 60° has them; NaN where there is no hand."""
    confidence: PerView[np.ndarray]
    """(N, 21)."""
    pixel_share: PerView[np.ndarray]
    """(N, 21) as in `ViewHand`."""
    truth: Truth | None = None

    @classmethod
    def of(
        cls,
        estimator: str,
        captured_ns: np.ndarray,
        sizes_px: PerView[tuple[int, int]],
        hands: list[PerView[ViewHand | None]],
        truth: Truth | None = None,
    ) -> Self:
        """The hands of pairs that were captured at `captured_ns` (N,)."""

        def gathered(name: str, *shape: int) -> PerView[np.ndarray]:
            empty = np.full(shape, np.nan)
            return PerView.of(
                lambda view: np.array(
                    [np.broadcast_to(getattr(hand, name), shape) if (hand := pair[view]) else empty for pair in hands]
                ).reshape(-1, *shape)
            )

        def side(view: View) -> np.ndarray:
            by_name = {name: code for code, name in _SIDES.items()}
            return np.array([by_name[hand.side] if (hand := pair[view]) else NO_HAND for pair in hands], np.int8)

        return cls(
            estimator,
            np.asarray(captured_ns, np.int64),
            sizes_px,
            PerView.of(side),
            gathered("pixels", JOINTS, 2),
            gathered("joints", JOINTS, 3),
            gathered("confidence", JOINTS),
            gathered("pixel_share", JOINTS),
            truth,
        )

    def __len__(self) -> int:
        return len(self.captured_ns)

    def with_views(self, change: Callable[[PerView[np.ndarray]], PerView[np.ndarray]], **others: Any) -> Self:
        """The same with what both views saw changed, each array alike, and `others` of its fields. The truth is left out."""
        changed = {name: change(getattr(self, name)) for name in _OF_VIEWS}
        return replace(self, truth=None, **changed, **others)

    def hand(self, view: View, number: int) -> ViewHand | None:
        """What a view saw in a pair."""
        side = _SIDES.get(int(self.side[view][number]))
        if side is None:
            return None
        values = (values[view][number] for values in (self.joints, self.pixels, self.confidence, self.pixel_share))
        return ViewHand(view, side, *values)

    @property
    def pairs(self) -> list[PerView[ViewHand] | None]:
        """(N) both views' hands; None where a view saw none."""
        both = [(self.hand("left", number), self.hand("right", number)) for number in range(len(self))]
        return [PerView(left, right) if left and right else None for left, right in both]

    def observed(self) -> Observed:
        """As the self-calibration is judged on. Raises UserError for a stream whose truth is not known."""
        if self.truth is None:
            raise UserError(f"the landmarks of {self.estimator} have no truth to be compared with: give those of rendered rigs")
        return Observed(self.truth.rig, self.truth.joints_mm, self.captured_ns, self.pairs)

    def save(self, file: Path) -> None:
        """Raises UserError where the file cannot be written."""
        arrays: dict[str, np.ndarray] = {"estimator": np.array(self.estimator), "captured_ns": self.captured_ns}
        for view in VIEWS:
            arrays[f"size_{view}_px"] = np.array(self.sizes_px[view])
            arrays[f"side_{view}"] = self.side[view]
            for name in ("pixels", "joints", "confidence", "pixel_share"):
                arrays[f"{name}_{view}"] = getattr(self, name)[view].astype(np.float32)
        if self.truth is not None:
            arrays |= _truth_arrays(self.truth)
        data = BytesIO()
        np.savez_compressed(data, allow_pickle=False, **arrays)
        with saving(file) as part:
            part.write_bytes(data.getvalue())

    @classmethod
    def load(cls, file: Path) -> Self:
        """Raises UserError for a file that holds no landmarks."""
        try:
            with np.load(file) as stored:
                arrays = dict(stored)

            def of(name: str) -> PerView[np.ndarray]:
                return PerView.of(lambda view: arrays[f"{name}_{view}"].astype(float))

            sizes_px = PerView.of(lambda view: (int(arrays[f"size_{view}_px"][0]), int(arrays[f"size_{view}_px"][1])))
            return cls(
                str(arrays["estimator"]),
                arrays["captured_ns"],
                sizes_px,
                PerView.of(lambda view: arrays[f"side_{view}"]),
                of("pixels"),
                of("joints"),
                of("confidence"),
                of("pixel_share"),
                _truth(arrays, sizes_px) if "true_R_right_from_left" in arrays else None,
            )
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"{file} holds no landmarks ({error}): expected a file that these commands have written") from error


def _truth_arrays(truth: Truth) -> dict[str, np.ndarray]:
    rig, g = truth.rig, truth.rig.geometry
    return {
        "true_R_right_from_left": g.R_right_from_left,
        "true_t_right_from_left_mm": g.t_right_from_left_mm,
        "true_focal_px": np.array([camera.focal_px for camera in g.cameras]),
        "true_centre_px": np.array([camera.centre_px for camera in g.cameras]),
        "true_fov_deg": np.array([*rig.fov_deg]),
        "true_radial": np.array([*truth.radial]),
        "true_axes_deg": np.array(rig.axes_deg),
        "true_R_left_from_space": rig.R_left_from_space,
        "true_t_left_from_space_mm": rig.t_left_from_space_mm,
        "true_joints_mm": truth.joints_mm,
        "true_pixels_left": truth.pixels.left,
        "true_pixels_right": truth.pixels.right,
        "true_side": np.array(truth.side or ""),
    }


def _truth(arrays: dict[str, np.ndarray], sizes_px: PerView[tuple[int, int]]) -> Truth:
    focal, centre = PerView(*arrays["true_focal_px"].tolist()), PerView(*arrays["true_centre_px"].tolist())
    cameras = PerView.of(lambda view: PinholeCamera(focal[view], tuple(centre[view]), sizes_px[view]))
    rig = Rig(
        TwoViewGeometry(cameras, arrays["true_R_right_from_left"], arrays["true_t_right_from_left_mm"]),
        arrays["true_R_left_from_space"],
        arrays["true_t_left_from_space_mm"],
        PerView(*arrays["true_fov_deg"].tolist()),
        float(arrays["true_axes_deg"]),
    )
    side = str(arrays["true_side"])
    return Truth(
        rig,
        arrays["true_joints_mm"],
        PerView.of(lambda view: arrays[f"true_pixels_{view}"]),
        PerView(*arrays["true_radial"].tolist()),
        "left" if side == "left" else "right" if side == "right" else None,
    )
