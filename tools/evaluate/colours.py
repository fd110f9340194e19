"""How a picture would look to a camera of other colours: a grey one, one whose red and blue are exchanged, a coloured hand."""

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np

ColourName = Literal["as taken", "grey", "red and blue exchanged", "hues turned"]


def _grey(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def _exchanged(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[..., ::-1])


def _turned(image: np.ndarray) -> np.ndarray:
    """Skin becomes blue, as a glove or a light may be."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    # Half a turn of OpenCV's 180 steps.
    hsv[..., 0] = (hsv[..., 0].astype(int) + 90) % 180
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


COLOURS: dict[ColourName, Callable[[np.ndarray], np.ndarray]] = {
    "as taken": lambda image: image,
    "grey": _grey,
    "red and blue exchanged": _exchanged,
    "hues turned": _turned,
}
"""Each takes and gives an image (H, W, 3) uint8 RGB."""
