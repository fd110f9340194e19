"""Rendering by open3d's classic Visualizer: coloured solids and textured panels, in a window or off screen."""

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from hand.camera import PinholeCamera
from hand.errors import UserError
from runtime.view.scene import Solids, Viewpoint

_HAND_EXTENT_MM = 150.0
_NEAR_MM, _FAR_MM = 30.0, 20_000.0
_GL_RGBA, _GL_UNSIGNED_BYTE = 0x1908, 0x1401
_QUAD = np.array([(0, 3, 2), (0, 2, 1)])
"""Triangles of corners that run from top left clockwise, facing the reader."""


class Canvas:
    """One drawing surface; every method belongs to the thread that made it, which must be the main one for a window."""

    def __init__(self, size_px: tuple[int, int], *, visible: bool, background: np.ndarray):
        """Raises UserError where the system lacks what drawing needs."""
        self._o3d = o3d = _open3d()
        self._visible = visible
        self.size_px = size_px
        self._visualizer = o3d.visualization.Visualizer()
        # Off screen, the window system is hidden: the pixels of a hidden window are undefined, and drawing would wait for vsync.
        with _hidden_display() if not visible else contextlib.nullcontext():
            opened = self._visualizer.create_window("DuoHand", *size_px, visible=visible)
        if not opened:
            raise UserError(
                "cannot open a window: the display does not give an OpenGL 3.3 context; run with --headless, or "
                "install a graphics driver (Debian: apt-get install libgl1-mesa-dri libegl1)"
            )
        options = self._visualizer.get_render_option()
        options.background_color = background
        options.mesh_show_back_face = True
        self._solids, self._panels = o3d.geometry.TriangleMesh(), o3d.geometry.TriangleMesh()
        self._rgba, self._rgb = (np.empty((size_px[1], size_px[0], channels), np.uint8) for channels in (4, 3))
        self._set_extrinsic: np.ndarray | None = None
        # The mouse rotates the view about the middle of the first mesh, which is where the hand will be.
        corners = _HAND_EXTENT_MM * np.array([[-1.0] * 3, [1.0] * 3])
        self.set_solids(Solids(corners, corners, np.zeros((2, 3)), np.zeros((1, 3), np.int32)))
        self._visualizer.add_geometry(self._solids)
        self._has_panels = False

    def set_solids(self, solids: Solids) -> None:
        """Set the triangles; their colours are drawn unlit."""
        self._solids.vertices = self._o3d.utility.Vector3dVector(solids.vertices)
        self._solids.vertex_colors = self._o3d.utility.Vector3dVector(solids.colours)
        self._solids.triangles = self._o3d.utility.Vector3iVector(solids.faces)

    def set_panels(self, corners: np.ndarray, texture_corners: np.ndarray, texture: np.ndarray) -> None:
        """Set flat pictures: corners (N, 4, 3) mm in the scene and (N, 4, 2) px in the texture, which is (H, W, 3) uint8.

        Corners run from top left clockwise; texture px count from its top left corner.
        """
        o3d = self._o3d
        faces = (_QUAD + 4 * np.arange(len(corners))[:, None, None]).reshape(-1, 3)
        uv = texture_corners.reshape(-1, 2) / np.array([texture.shape[1], texture.shape[0]])
        self._panels.vertices = o3d.utility.Vector3dVector(corners.reshape(-1, 3))
        self._panels.triangles = o3d.utility.Vector3iVector(faces)
        self._panels.triangle_uvs = o3d.utility.Vector2dVector(uv[faces.ravel()])
        self._panels.triangle_material_ids = o3d.utility.IntVector(np.zeros(len(faces), np.int32))
        self._panels.textures = [o3d.geometry.Image(texture)]

    def set_viewpoint(self, viewpoint: Viewpoint) -> None:
        """Draw from `viewpoint` until the next call or until the user rotates the view with the mouse."""
        o3d = self._o3d
        parameters = o3d.camera.PinholeCameraParameters()
        extrinsic = np.eye(4)
        extrinsic[:3, :3] = viewpoint.R_eye_from_scene
        extrinsic[:3, 3] = -viewpoint.R_eye_from_scene @ viewpoint.position
        parameters.extrinsic = extrinsic
        (width, height), focal = viewpoint.camera.size_px, viewpoint.camera.focal_px
        parameters.intrinsic = o3d.camera.PinholeCameraIntrinsic(width, height, focal, focal, *viewpoint.camera.centre_px)
        control = self._visualizer.get_view_control()
        control.convert_from_pinhole_camera_parameters(parameters, allow_arbitrary=True)
        control.set_constant_z_near(_NEAR_MM)
        control.set_constant_z_far(_FAR_MM)
        self._set_extrinsic = control.convert_to_pinhole_camera_parameters().extrinsic

    def viewpoint(self) -> Viewpoint:
        """The current viewpoint, including changes by mouse and window size."""
        parameters = self._visualizer.get_view_control().convert_to_pinhole_camera_parameters()
        intrinsic, extrinsic = parameters.intrinsic, np.asarray(parameters.extrinsic)
        matrix = intrinsic.intrinsic_matrix
        camera = PinholeCamera(matrix[0, 0], (matrix[0, 2], matrix[1, 2]), (intrinsic.width, intrinsic.height))
        return Viewpoint(camera, extrinsic[:3, :3], -extrinsic[:3, :3].T @ extrinsic[:3, 3])

    @property
    def turned_by_user(self) -> bool:
        """Whether the user has moved the view with the mouse since `set_viewpoint`."""
        now = self._visualizer.get_view_control().convert_to_pinhole_camera_parameters().extrinsic
        return self._set_extrinsic is not None and not np.allclose(now, self._set_extrinsic, atol=1e-3)

    def draw(self) -> bool:
        """Draw and take the window's events; False once it was closed (also by q or Esc)."""
        self._visualizer.update_geometry(self._solids)
        if self._has_panels:
            self._visualizer.update_geometry(self._panels)
        else:
            self._has_panels = self._visualizer.add_geometry(self._panels, reset_bounding_box=False)
        return self._visualizer.poll_events()

    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB of the last drawing; the next call reuses the array."""
        if self._visible or not (gl := _gl_library()):
            image = np.asarray(self._visualizer.capture_screen_float_buffer(do_render=True))
            return (255 * image + 0.5).astype(np.uint8)
        # open3d reads floats and holds Python's lock while the picture is drawn: 10 ms more, and the network's thread waits.
        # The arrays are kept because fresh memory costs as much as the reading itself.
        target = self._rgba.ctypes.data_as(ctypes.c_void_p)
        gl.glReadPixels(0, 0, *self.size_px, _GL_RGBA, _GL_UNSIGNED_BYTE, target)
        cv2.cvtColor(cv2.flip(self._rgba, 0, self._rgba), cv2.COLOR_RGBA2RGB, self._rgb)
        return self._rgb

    def close(self) -> None:
        self._visualizer.destroy_window()


def _open3d() -> Any:
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise UserError(f"cannot draw: open3d does not load ({error}); `make setup` installs what it needs") from error
    open3d.utility.set_verbosity_level(open3d.utility.VerbosityLevel.Error)
    return open3d


def _gl_library() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL("libGL.so.1") if sys.platform == "linux" else None
    except OSError:
        return None


@contextlib.contextmanager
def _hidden_display() -> Iterator[None]:
    names = ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR")
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    # Without it, Wayland's library complains on the terminal; it finds no display here.
    os.environ["XDG_RUNTIME_DIR"] = os.devnull
    try:
        yield
    finally:
        del os.environ["XDG_RUNTIME_DIR"]
        os.environ.update(hidden)
