"""Whether a run opens a viewer, and with what: a window, a video, a picture, or none of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from capture.views import PerView
from hand.camera import PinholeCamera
from hand.findings import Findings
from runtime.settings import Settings
from runtime.view.display import has_display

if TYPE_CHECKING:
    from runtime.view.viewer import Viewer


def viewer_opener(settings: Settings, cameras: PerView[PinholeCamera], findings: Findings) -> "Callable[[], Viewer] | None":
    """Opens the viewer when called, which takes a second; None where nothing is to be shown."""
    headless = settings.headless or not has_display()
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
            overwrite=settings.overwrite,
            findings=findings,
        )

    return open_viewer
