"""Viewer panels: each view's live image with its joints, the status line and the legend."""

import cv2
import numpy as np

from capture.views import PerView, View
from hand.joints import BONES
from runtime.types import ViewHand
from runtime.view.scene import LEFT_COLOUR, NEUTRAL_COLOUR, RIGHT_COLOUR, trust_colours

BACKGROUND = np.array([0.085, 0.092, 0.105])
IMAGE_SIZE_PX = (320, 220)
"""Largest width and height of a live image."""
STATUS_SIZE_PX = (1280, 44)

_FONT = cv2.FONT_HERSHEY_DUPLEX
_TEXT = (205, 208, 214)
_SCALE_WIDTH_PX = 110
_SHIFT = 3
"""Fractional bits of coordinates in OpenCV's drawing functions."""


def image_panel(view: View, image: np.ndarray, hand: ViewHand | None, most_px: tuple[int, int] = IMAGE_SIZE_PX) -> np.ndarray:
    """The frame `image` (H, W, 3), RGB, resized to fit `most_px`, with its joints, a border and the view's name."""
    height, width = image.shape[:2]
    scale = min(most_px[0] / width, most_px[1] / height)
    size = (max(16, round(width * scale)), max(16, round(height * scale)))
    panel = image
    # Halving is quick and averages; reducing by a fraction in one averaging step takes ten times as long.
    while panel.shape[1] >= 2 * size[0] and panel.shape[0] >= 2 * size[1]:
        panel = cv2.resize(panel, (panel.shape[1] // 2, panel.shape[0] // 2), interpolation=cv2.INTER_AREA)
    panel = cv2.resize(panel, size, interpolation=cv2.INTER_LINEAR)
    colour = _bytes(LEFT_COLOUR if view == "left" else RIGHT_COLOUR)
    if hand is not None:
        _draw_skeleton(panel, (hand.pixels + 0.5) * np.array([size[0] / width, size[1] / height]) - 0.5, colour)
    text = view if hand is not None else f"{view}: no hand"
    (text_width, _), _ = cv2.getTextSize(text, _FONT, 0.45, 1)
    cv2.rectangle(panel, (0, 0), (text_width + 16, 22), _bytes(BACKGROUND), -1)
    cv2.putText(panel, text, (8, 16), _FONT, 0.45, colour, 1, cv2.LINE_AA)
    cv2.rectangle(panel, (0, 0), (size[0] - 1, size[1] - 1), colour, 2)
    return panel


def status_panel(status: str) -> np.ndarray:
    """(44, 1280, 3) the status line and the colour scale of the joints, on the background's colour."""
    width, height = STATUS_SIZE_PX
    panel = np.empty((height, width, 3), np.uint8)
    panel[:] = _bytes(BACKGROUND)
    baseline = height // 2 + 6
    # Hershey fonts hold ASCII only.
    text = status.encode("ascii", "replace").decode()
    cv2.putText(panel, text, (20, baseline), _FONT, 0.52, _TEXT, 1, cv2.LINE_AA)
    y = height // 2
    texts = (("joints trust", _TEXT), ("left", _bytes(LEFT_COLOUR)), (None, _TEXT), ("right", _bytes(RIGHT_COLOUR)))
    widths = [cv2.getTextSize(text, _FONT, 0.52, 1)[0][0] if text else _SCALE_WIDTH_PX for text, _ in texts]
    x = width - 20 - sum(widths) - 12 * (len(texts) - 1)
    for (text, colour), length in zip(texts, widths, strict=True):
        if text:
            cv2.putText(panel, text, (x, baseline), _FONT, 0.52, colour, 1, cv2.LINE_AA)
        else:
            panel[y - 5 : y + 6, x : x + length] = np.round(255 * trust_colours(np.linspace(1, 0, length)))
        x += length + 12
    return panel


def atlas(images: PerView[np.ndarray], status: np.ndarray) -> np.ndarray:
    """One texture (308, 1280, 3): the status panel on top, the live images below it, left and right."""
    width, height = IMAGE_SIZE_PX
    texture = np.zeros((STATUS_SIZE_PX[1] + height, STATUS_SIZE_PX[0], 3), np.uint8)
    texture[: STATUS_SIZE_PX[1]] = status
    for image, x in zip(images, (0, width), strict=True):
        texture[STATUS_SIZE_PX[1] : STATUS_SIZE_PX[1] + image.shape[0], x : x + image.shape[1]] = image
    return texture


def atlas_boxes(images: PerView[np.ndarray]) -> tuple[np.ndarray, PerView[np.ndarray]]:
    """Corners (4, 2) in the texture, px from its top left: of the status panel, and of each live image."""
    width, top = IMAGE_SIZE_PX[0], STATUS_SIZE_PX[1]
    boxes = (box(x, top, image.shape[1], image.shape[0]) for image, x in zip(images, (0, width), strict=True))
    return box(0, 0, *STATUS_SIZE_PX), PerView(*boxes)


def box(x: float, y: float, width: float, height: float) -> np.ndarray:
    """(4, 2) corners: top left, top right, bottom right, bottom left."""
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], float)


def _draw_skeleton(panel: np.ndarray, pixels: np.ndarray, colour: tuple[int, int, int]) -> None:
    if not np.isfinite(pixels).all():
        return
    points = np.clip(np.round(pixels * (1 << _SHIFT)), -1e6, 1e6).astype(int)
    for start, end in BONES:
        cv2.line(panel, points[start].tolist(), points[end].tolist(), colour, 2, cv2.LINE_AA, _SHIFT)
    for point in points:
        cv2.circle(panel, point.tolist(), 2 << _SHIFT, _bytes(NEUTRAL_COLOUR), -1, cv2.LINE_AA, _SHIFT)


def _bytes(colour: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = (int(round(255 * channel)) for channel in colour)
    return red, green, blue
