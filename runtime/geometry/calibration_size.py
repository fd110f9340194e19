"""At which size a calibration was made that does not say it: a lens has its principal point near the middle of its frames."""

import numpy as np

USUAL_MODES_PX = (
    *((320, 240), (640, 480), (800, 600), (1024, 768), (1280, 960), (1600, 1200), (2048, 1536), (2592, 1944)),
    *((640, 360), (848, 480), (960, 540), (1280, 720), (1600, 900), (1920, 1080), (2560, 1440), (3840, 2160)),
    *((640, 400), (1280, 800), (1920, 1200), (1280, 1024)),
    *((320, 320), (480, 480), (640, 640), (720, 720), (1080, 1080)),
)
"""(width, height) of cameras' modes."""
MAX_OFFSET = 0.12
"""Of a frame's side: a principal point farther from the middle is that of frames of another size."""
MODE_OFFSET, MODE_TOLERANCE = 0.05, 0.025
"""One that is so far from the middle is so already if it is, to this share, in the middle of another usual mode."""


def other_size(centre_px: tuple[float, float], size_px: tuple[int, int]) -> tuple[int, int] | None:
    """The size of the frames that have their middle at this principal point; None where that may be frames of `size_px`."""
    middle = 2 * (np.array(centre_px) + 0.5)
    offset = np.abs(middle / size_px - 1).max() / 2
    if offset <= MODE_OFFSET:
        return None
    off = [np.abs(middle / mode - 1).max() for mode in USUAL_MODES_PX]
    nearest = int(np.argmin(off))
    if off[nearest] <= MODE_TOLERANCE and USUAL_MODES_PX[nearest] != size_px:
        return USUAL_MODES_PX[nearest]
    return None if offset <= MAX_OFFSET else (round(middle[0]), round(middle[1]))
