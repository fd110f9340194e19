"""A calibration of frames of another size is told by its principal point, and a lens that is a little off-centre is none."""

import pytest

from hand.errors import UserError
from runtime.geometry.calibration_size import USUAL_MODES_PX, other_size
from runtime.geometry.lens import Lens


@pytest.mark.parametrize("size", USUAL_MODES_PX)
@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (0.045, -0.03), (-0.045, 0.045)])
def test_a_principal_point_near_the_middle_is_of_these_frames(size: tuple[int, int], dx: float, dy: float):
    width, height = size
    assert other_size((width * (0.5 + dx) - 0.5, height * (0.5 + dy) - 0.5), size) is None


@pytest.mark.parametrize(
    ("made_at", "used_at"),
    [
        ((1280, 720), (1920, 1080)),
        ((1920, 1080), (1280, 720)),
        ((480, 480), (720, 720)),
        ((640, 480), (640, 360)),
        ((640, 480), (800, 600)),
        ((1280, 800), (1280, 720)),
        ((640, 480), (1280, 720)),
    ],
)
def test_that_of_frames_of_another_size_is_told_with_the_size(made_at: tuple[int, int], used_at: tuple[int, int]):
    centre_px = (made_at[0] * 0.495, made_at[1] * 0.505)
    assert other_size(centre_px, used_at) == made_at
    with pytest.raises(UserError, match=rf"{made_at[0]}x{made_at[1]} px, and the frames have {used_at[0]}x{used_at[1]}"):
        Lens((900.0, 900.0), centre_px).at(used_at)


def test_an_unusual_size_is_estimated():
    assert other_size((211.0, 160.5), (640, 480)) == (423, 322)


def test_a_file_that_says_its_size_may_have_any_principal_point():
    assert Lens((900.0, 900.0), (640.0, 360.0), size_px=(1920, 1080)).at((1920, 1080)).centre_px == (640.0, 360.0)
