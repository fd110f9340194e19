"""Which hand to follow: a box that lies outside the frames is refused."""

import pytest

from capture.views import PerView
from hand.errors import UserError
from runtime.estimators.estimator import FollowSettings

SIZES_PX: PerView[tuple[int, int]] = PerView((640, 480), (320, 240))


@pytest.mark.parametrize("roi", [(320, 240, 100), (-40, 240, 100), (639, 520, 100)])
def test_a_box_that_overlaps_the_frame_is_accepted(roi) -> None:
    FollowSettings(roi=PerView(roi, None)).check(SIZES_PX)


@pytest.mark.parametrize(("roi", "place"), [((-60, 240, 100), "-60 240 100"), ((500, 100, 100), "500 100 100")])
def test_a_box_outside_its_own_view_is_refused_with_the_frames_size(roi, place: str) -> None:
    with pytest.raises(UserError, match=f"roi_right is {place}, outside the frame of 320x240 px"):
        FollowSettings(roi=PerView(None, roi)).check(SIZES_PX)
