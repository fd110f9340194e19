"""What an estimator is: it finds the joints of each view in a frame pair, and nothing downstream knows which one it was."""

from dataclasses import dataclass
from typing import Literal, Protocol

from capture.frames import FramePair
from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from runtime.types import ViewHand

Roi = tuple[float, float, float]
"""Centre x, centre y and side length of a box in the frame, px."""
HANDEDNESS_TIMEOUT_NS = 2_000_000_000
"""A hand that is absent for no longer than this keeps its handedness."""


@dataclass(frozen=True, slots=True)
class FollowSettings:
    """Which hand an estimator follows."""

    hand_side: Literal["auto", "left", "right"] = "auto"
    """Which hand of the person is shown; `auto` finds out."""
    roi: PerView[Roi | None] = PerView(None, None)
    """A box per view in which the hand is, in place of a search of the whole frame."""

    def check(self, sizes_px: PerView[tuple[int, int]]) -> None:
        """Raises UserError for a roi that lies outside its view's frames, whose (width, height) are given."""
        for view, roi in self.roi.items():
            if roi is None:
                continue
            (x, y, size), (width, height) = roi, sizes_px[view]
            if not (-size / 2 < x < width + size / 2 and -size / 2 < y < height + size / 2):
                raise UserError(
                    f"roi_{view} is {x:g} {y:g} {size:g}, outside the frame of {width}x{height} px: expected the centre and the "
                    "side length, in px, of a square around the hand"
                )


ANY_HAND = FollowSettings()
"""Either hand, anywhere in the frame."""


class Estimator(Protocol):
    """Follows one hand of a person in both views of a stream; what it knows of earlier frames is its own."""

    @property
    def description(self) -> str:
        """Which one this is and why it was chosen, for the person at the screen."""
        ...

    def __call__(self, pair: FramePair, cameras: PerView[PinholeCamera]) -> PerView[ViewHand | None]:
        """Each view's hand, both of one side; None where none is found or it is not plausible, and for an absent frame.

        A side that changes within `HANDEDNESS_TIMEOUT_NS` corrects the earlier one and restarts calibration: it must not flicker.
        `cameras` hold the current intrinsics; frames have their size.
        """
        ...

    def lose(self, view: View) -> None:
        """What `view` tracks is not the hand: locate it anew."""
        ...
