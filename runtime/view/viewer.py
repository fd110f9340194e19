"""Viewer: draws the merged hand and its two cameras in a window or, without a display, into a video and a picture."""

from pathlib import Path

import cv2
import numpy as np

from capture.frames import FramePair
from capture.views import PerView
from hand.camera import PinholeCamera
from hand.files import beside
from hand.findings import Findings
from hand.joints import WRIST
from hand.model import HandModel
from runtime.output_guard import OutputGuard
from runtime.types import DualHand
from runtime.view.canvas import Canvas
from runtime.view.layout import ViewerLayout
from runtime.view.panels import BACKGROUND, STATUS_SIZE_PX, atlas, atlas_boxes, box, image_panel, status_panel
from runtime.view.scene import Frustum, Solids, Viewpoint
from runtime.view.skin import Skin
from runtime.view.solids import floor_solids, frusta_solids, join, skeleton_solids
from runtime.view.video import FPS, VideoFile

SIZE_PX = (1280, 720)
_SKIN_COLOUR = np.array([0.90, 0.69, 0.58])
_PANEL_DEPTH_MM = 60.0
_MARGIN_PX = 16
_FLOOR_COLOUR = np.array([0.20, 0.215, 0.245])


class Viewer:
    """Draws one pair and its hand at a time; every method must be called on the main thread, as windows require."""

    def __init__(
        self,
        *,
        headless: bool,
        video: Path | None,
        picture: Path | None,
        cameras: PerView[PinholeCamera],
        hand_size_mm: float,
        video_fps: float = FPS,
        overwrite: bool = False,
        findings: Findings,
    ):
        """Opens the window unless `headless`; `video` is an MP4 file, `picture` a PNG file that gets the last picture. A
        lower `video_fps` saves most of what a CPU spends on drawing. A file that fails is one of the `findings`.

        The first drawing is done here, so that no later one takes unusually long. Raises UserError where the system cannot draw.
        """
        self._headless = headless
        self._picture = picture
        self._overwrite = overwrite
        self._hand_size_mm = hand_size_mm
        self._skin = Skin(HandModel.load())
        # The forearm fades into the background.
        self._skin_colours = _SKIN_COLOUR + self._skin.fade[:, None] ** 1.5 * (0.5 * BACKGROUND - _SKIN_COLOUR)
        self._layout = ViewerLayout(cameras, hand_size_mm, SIZE_PX)
        self._viewpoint: Viewpoint | None = None
        self._last: tuple[FramePair, DualHand | None, str] | None = None
        self._status = "starting", status_panel("starting")
        self._video = VideoFile(video, video_fps, overwrite=overwrite) if video else None
        self._video_guard = OutputGuard(findings, "video", video, self._length_of_video)
        self._picture_guard = OutputGuard(findings, "picture", picture)
        self._canvas: Canvas | None = None
        if video or not headless:
            self._canvas = Canvas(SIZE_PX, visible=not headless, background=BACKGROUND)
            blank = cameras.map(lambda camera: np.zeros((camera.size_px[1], camera.size_px[0], 3), np.uint8))
            self._draw(self._canvas, blank, None, "starting")

    def show(self, pair: FramePair, hand: DualHand | None, status: str) -> bool:
        """Draw; False once the window was closed (also by q or Esc). Headless, only what the video needs is drawn."""
        self._last = pair, hand, status
        captured_ns = pair.left.captured_ns
        self._layout.update(hand, captured_ns)
        due = self._video is not None and self._video.due(captured_ns)
        if self._canvas is None or (self._headless and not due):
            return True
        is_open = self._draw(self._canvas, PerView(pair.left.image, pair.right.image), hand, status)
        if is_open and due and self._video:
            with self._video_guard:
                self._video.write(self._canvas.pixels(), captured_ns)
            if self._video_guard.failed:
                self._close_video()
        return is_open

    def close(self) -> None:
        """Finish the video, close the window, write the picture."""
        self._close_video()
        if self._canvas:
            self._canvas.close()
            self._canvas = None
        if self._picture and self._last:
            with self._picture_guard:
                self._write_picture(self._picture, *self._last)
            self._last = None

    def _close_video(self) -> None:
        if self._video:
            with self._video_guard:
                self._video.close()
            self._video = None

    def _length_of_video(self) -> str:
        return f"{self._video.frames} frames, {self._video.seconds:.1f} s" if self._video and self._video.frames else ""

    def _write_picture(self, path: Path, pair: FramePair, hand: DualHand | None, status: str) -> None:
        # Drawn at twice the size, then halved: the renderer does not smooth edges.
        canvas = Canvas((2 * SIZE_PX[0], 2 * SIZE_PX[1]), visible=False, background=BACKGROUND)
        self._viewpoint = None
        self._draw(canvas, PerView(pair.left.image, pair.right.image), hand, status)
        image = cv2.resize(canvas.pixels(), SIZE_PX, interpolation=cv2.INTER_AREA)
        canvas.close()
        # `imwrite` may not notice that a disk is full.
        encoded = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
        with beside(path, overwrite=self._overwrite) as part:
            part.write_bytes(encoded.tobytes())

    def _draw(self, canvas: Canvas, images: PerView[np.ndarray], hand: DualHand | None, status: str) -> bool:
        placement = self._layout.placement()
        viewpoint = self._set_viewpoint(canvas, placement.viewpoint)
        parts = frusta_solids(placement.frusta, viewpoint)
        if placement.floor:
            colour = BACKGROUND + placement.measured * (_FLOOR_COLOUR - BACKGROUND)
            parts.append(floor_solids(placement.floor, placement.frusta, viewpoint, colour, BACKGROUND))
        if hand:
            joints = placement.wrist + (hand.joints - hand.joints[WRIST]) * self._hand_size_mm
            skin = self._skin.vertices(joints, hand.side)
            parts.append(Solids(skin, self._skin.normals(skin, hand.side), self._skin_colours, self._skin.faces(hand.side)))
            parts += skeleton_solids(joints, hand.weight_left, viewpoint)
        canvas.set_solids(join(parts, viewpoint))
        panels = PerView.of(lambda view: image_panel(view, images[view], hand.views[view] if hand else None))
        if status != self._status[0]:
            self._status = status, status_panel(status)
        canvas.set_panels(*_place_panels(panels, placement.frusta, viewpoint), atlas(panels, self._status[1]))
        return canvas.draw()

    def _set_viewpoint(self, canvas: Canvas, viewpoint: Viewpoint) -> Viewpoint:
        """Draw from `viewpoint`, unless the user has turned the view; gives the viewpoint in use."""
        if not canvas.turned_by_user and not (self._viewpoint and self._viewpoint.is_close_to(viewpoint)):
            self._viewpoint = viewpoint
            canvas.set_viewpoint(viewpoint.for_size(canvas.size_px))
        return canvas.viewpoint()


def _place_panels(
    panels: PerView[np.ndarray], frusta: PerView[Frustum | None], viewpoint: Viewpoint
) -> tuple[np.ndarray, np.ndarray]:
    """Corners in the scene (N, 4, 3) and in the atlas (N, 4, 2): status line, live images, frusta's images."""
    width, height = viewpoint.camera.size_px
    scale = width / SIZE_PX[0]
    status, images = atlas_boxes(panels)
    wide, tall = (scale * length for length in STATUS_SIZE_PX)
    places = [(box(0, height - tall, wide, tall), status)]
    for x, panel, image in zip((0, 1), panels, images, strict=True):
        high, across = (scale * length for length in panel.shape[:2])
        left = scale * _MARGIN_PX + x * (width - across - 2 * scale * _MARGIN_PX)
        places.append((box(left, scale * _MARGIN_PX, across, high), image))
    corners = [viewpoint.unproject(place - 0.5, _PANEL_DEPTH_MM) for place, _ in places]
    textures = [texture for _, texture in places]
    for frustum, image in zip(frusta, images, strict=True):
        if frustum:
            corners.append(frustum.corners)
            textures.append(image)
    return np.stack(corners), np.stack(textures)
