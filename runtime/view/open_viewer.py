"""Whether a run opens a viewer, and with what: a window, a video, a picture, or none of them."""

import logging
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from capture.views import PerView
from hand.camera import PinholeCamera
from runtime.settings import Settings

if TYPE_CHECKING:
    from runtime.view.viewer import Viewer

log = logging.getLogger(__name__)


def viewer_opener(settings: Settings, cameras: PerView[PinholeCamera]) -> "Callable[[], Viewer] | None":
    """Opens the viewer when called, which takes a second; None where nothing is to be shown."""
    headless = settings.headless or not _has_display()
    if headless and not (settings.video or settings.picture):
        return None

    def open_viewer() -> "Viewer":
        from runtime.view.viewer import Viewer

        return Viewer(
            headless=headless,
            video=settings.video,
            picture=settings.picture,
            cameras=cameras,
            hand_size_mm=settings.hand_size_mm,
        )

    return open_viewer


def _has_display() -> bool:
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return True
    log.info("there is no display (DISPLAY and WAYLAND_DISPLAY are not set): going on without a window")
    return False
