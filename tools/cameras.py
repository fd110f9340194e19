"""List the cameras of this host: name, formats, sizes, rates, USB bus.

python -m tools.cameras
"""

from collections import Counter
from dataclasses import dataclass

from capture.sources.v4l2 import CameraInfo, cameras
from hand import program

_MAX_SIZES = 8


@dataclass
class Settings:
    """List the cameras of this host."""

    all: bool = False
    """List every size, not only the largest few of each format."""


def main(settings: Settings) -> int:
    """Print a page; 1 where there is no camera."""
    found = cameras()
    if not found:
        print("no camera found: connect one, or see dmesg for what the system says of it")
        return 1
    for info in found:
        print("\n".join(describe(info, all_sizes=settings.all)))
    shared = [bus for bus, count in Counter(info.usb for info in found if info.usb).items() if count > 1]
    for bus in shared:
        print(f"several cameras share {bus}, which carries raw video of one: use MJPG, or a port of another USB controller")
    return 0


def describe(info: CameraInfo, *, all_sizes: bool) -> list[str]:
    """One camera's lines."""
    lines = [f"{info.path}  {info.name}  ({info.usb or info.bus or 'unknown bus'})"]
    if info.problem:
        lines.append(f"    cannot be opened: {info.problem}")
    for fourcc in dict.fromkeys(mode.fourcc for mode in info.modes):
        modes = sorted((mode for mode in info.modes if mode.fourcc == fourcc), key=lambda mode: -mode.width * mode.height)
        for mode in modes if all_sizes else modes[:_MAX_SIZES]:
            rates = ", ".join(f"{rate:g}" for rate in mode.rates_fps) or "rates not known"
            lines.append(f"    {fourcc:<5}{mode.width:>5}×{mode.height:<5} {rates} /s")
        if not all_sizes and len(modes) > _MAX_SIZES:
            lines.append(f"    {fourcc:<5}{len(modes) - _MAX_SIZES} smaller sizes: --all")
    return lines


if __name__ == "__main__":
    program.run(main, Settings)
