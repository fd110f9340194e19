"""Whether a window can be opened: a display that is named must answer, too.

open3d draws on no screen where the window system does not answer, and says nothing of it.
"""

import ctypes
import logging
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

log = logging.getLogger(__name__)


def has_display(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the display that `environment` names can be opened; where not, the reason is logged."""
    if sys.platform != "linux":
        return True
    wayland, x11 = environment.get("WAYLAND_DISPLAY"), environment.get("DISPLAY")
    if not wayland and not x11:
        log.info("there is no display (DISPLAY and WAYLAND_DISPLAY are not set): going on without a window")
        return False
    if (wayland and _wayland_answers(wayland, environment.get("XDG_RUNTIME_DIR", ""))) or (x11 and _x11_answers(x11)):
        return True
    named = " and ".join(f"{name} {value}" for name, value in (("DISPLAY", x11), ("WAYLAND_DISPLAY", wayland)) if value)
    log.warning(
        f"the display does not answer ({named}): going on without a window; log in where there is a screen, allow this user on "
        "it, or give --headless"
    )
    return False


def _wayland_answers(name: str, runtime_folder: str) -> bool:
    """`name` is a socket, in the user's runtime folder unless its path is absolute (wl_display_connect)."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(Path(runtime_folder) / name))
        except OSError:
            return False
    return True


def _x11_answers(name: str) -> bool:
    """Whether Xlib, which open3d's window opens its display by, can open this one."""
    try:
        xlib = ctypes.CDLL("libX11.so.6")
    except OSError:
        return False
    xlib.XOpenDisplay.restype = ctypes.c_void_p
    display = xlib.XOpenDisplay(name.encode())
    if display:
        xlib.XCloseDisplay(ctypes.c_void_p(display))
    return bool(display)
