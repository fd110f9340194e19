"""What finds joints in frames: every way of doing so gives the same `ViewHand`s, and nothing downstream knows which it was."""

from dataclasses import dataclass
from typing import Literal, Protocol

from capture.frames import FramePair
from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from runtime.types import ViewHand

Roi = tuple[float, float, float]
"""Centre x, centre y and side length of a box in the frame, px."""
FORGET_SIDE_NS = 2_000_000_000
"""A hand that comes back after no longer than this is taken for the same one."""


@dataclass(frozen=True, slots=True)
class FollowSettings:
    """Which hand an estimator follows."""

    hand_side: Literal["auto", "left", "right"] = "auto"
    """Which hand of the person is shown; `auto` finds out."""
    roi: PerView[Roi | None] = PerView(None, None)
    """A box per view in which the hand is, in place of a search of the whole frame."""


ANY_HAND = FollowSettings()
"""Whichever hand there is, wherever it is."""


class EstimatorNotInstalled(UserError):
    """An optional estimator whose models were not fetched."""


class Estimator(Protocol):
    """Follows one hand of a person in both views of a stream; what it knows of earlier frames is its own."""

    @property
    def description(self) -> str:
        """Which one this is and why it was chosen, for the person at the screen."""
        ...

    def __call__(self, pair: FramePair, cameras: PerView[PinholeCamera]) -> PerView[ViewHand | None]:
        """Each view's hand, both of one side; None where none is seen or the answer is not believed, and for an absent frame.

        A side that changes within FORGET_SIDE_NS is a correction of what was said before: all that was learnt of the cameras is
        then forgotten, so do not let it flicker. `cameras` are as well known as they are by now; frames have their size.
        """
        ...

    def lose(self, view: View) -> None:
        """What `view` followed is not the hand: search it anew."""
        ...
