"""Hands that were cut out onto white: which pictures are such, and the hand before something else."""

import cv2
import numpy as np

_WHITE = 245
_WHITE_BORDER = 0.5
"""Share of the picture's rim from which it counts as cut out; arms reach the rim."""


def mask_of(image: np.ndarray) -> np.ndarray | None:
    """(H, W) in [0, 1], 1 where the hand is, of a picture (H, W, 3) uint8 RGB that is white all around; None for any other."""
    white = (image.min(2) >= _WHITE).astype(np.uint8)
    rim = np.concatenate([white[0], white[-1], white[:, 0], white[:, -1]])
    if rim.mean() < _WHITE_BORDER:
        return None
    # White within the hand is light on it: only what hangs together with the rim is background.
    _, parts = cv2.connectedComponents(white)
    at_rim = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    background = np.isin(parts, at_rim[at_rim > 0]).astype(np.uint8)
    # The outermost pixel is mixed with white.
    background = cv2.dilate(background, np.ones((3, 3), np.uint8))
    return cv2.GaussianBlur(1.0 - background.astype(np.float32), (3, 3), 0)


def pasted(image: np.ndarray, mask: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The hand of a picture (H, W, 3) uint8 before another one of the same shape."""
    share = mask[..., None]
    return (image * share + background * (1 - share) + 0.5).astype(np.uint8)
