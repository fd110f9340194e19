"""Draw `docs/dataflow.png`, the processes and threads of a live run and what flows between them: `python docs/draw_dataflow.py`.

Needs matplotlib, which `pip install '.[dev]'` brings.
"""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

OUT = Path(__file__).with_name("dataflow.png")
SIZE_IN, DPI = (13.0, 7.6), 110
PROCESS, THREAD, OUTSIDE = "#e8eef7", "#ffffff", "#f3efe4"
INK, EDGE, FLOW = "#1d2733", "#5b718c", "#2f5f9e"

Place = tuple[float, float, float, float]
"""x, y, width, height; the picture is 130 wide and 76 high, its origin bottom left."""


class Drawing:
    """Boxes and arrows on one figure."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=SIZE_IN, dpi=DPI)
        FigureCanvasAgg(self.figure)
        self._axes = self.figure.add_axes((0, 0, 1, 1))
        self._axes.set_xlim(0, 130)
        self._axes.set_ylim(0, 76)
        self._axes.axis("off")

    def box(self, place: Place, title: str, lines: str = "", *, colour: str, dashed: bool = False) -> None:
        """A titled box; `lines` stand below the title."""
        x, y, width, height = place
        style = "--" if dashed else "-"
        shape = FancyBboxPatch((x, y), width, height, "round,pad=0,rounding_size=1", fc=colour, ec=EDGE, lw=1.2, ls=style)
        self._axes.add_patch(shape)
        self._axes.text(x + 1.2, y + height - 1.2, title, size=10, weight="bold", color=INK, va="top")
        self._axes.text(x + 1.2, y + height - 4.2, lines, size=9, color=INK, va="top", linespacing=1.35)

    def arrow(self, start: tuple[float, float], end: tuple[float, float], label: str, at: tuple[float, float]) -> None:
        """An arrow, its label centred at `at`."""
        self._axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=13, color=FLOW, lw=1.6))
        self._axes.text(*at, label, size=8.5, color=FLOW, ha="center", va="center", linespacing=1.2)


def draw() -> Figure:
    """The picture."""
    d = Drawing()
    d.box(
        (1, 58, 23, 15),
        "capture process, left",
        "open the source\nstamp captured_ns\nencode, publish\n(capture.process)",
        colour=PROCESS,
    )
    d.box(
        (1, 38, 23, 13),
        "capture process, right",
        "the same; both are\nstarted again when they end\n(capture.supervisor)",
        colour=PROCESS,
    )
    d.box(
        (1, 14, 23, 15),
        "another program",
        "a feed: headset, robot,\ntools.feed; answers\nclock probes\n(capture/PROTOCOL.md)",
        colour=OUTSIDE,
    )

    d.box((37, 2, 67, 71), "stream.py, one process", colour=PROCESS)
    d.box(
        (40, 49, 26, 18),
        "thread: receive",
        "decode the wire format\ncorrect clocks\npair by captured_ns\nqueue: newest pair wins\n(capture.stream)",
        colour=THREAD,
        dashed=True,
    )
    d.box(
        (75, 33, 26, 34),
        "thread: hands",
        "estimator: locate, crop,\n  network (runtime.estimators,\n  runtime.engines)\n\n"
        "rig: rotation, calibration,\n  merge validation\nhand track: consistency,\n  fit or merge, smoothing\n"
        "  (runtime.fusion)\n\n"
        "lines, messages, recording\n  (runtime.outputs)",
        colour=THREAD,
        dashed=True,
    )
    d.box(
        (40, 26, 26, 13), "thread: record", "MCAP, on disk within\nhalf a second\n(capture.recording)", colour=THREAD, dashed=True
    )
    d.box(
        (40, 6, 26, 13),
        "main thread: viewer",
        "newest hand, at most 30 Hz\nwindow, video, picture\n(runtime.view)",
        colour=THREAD,
        dashed=True,
    )
    d.box(
        (75, 6, 26, 16),
        "thread: builder",
        "engine for new weights,\nchecked for parity, then\nexchanged between two pairs\n(adapt.online)",
        colour=THREAD,
        dashed=True,
    )

    d.box((112, 51, 17, 16), "solver process", "bundle adjustment\nlow priority\n(runtime.\n calibration)", colour=PROCESS)
    d.box(
        (112, 6, 17, 18),
        "adapter process",
        "mean teacher,\nvalidation,\npromotion gate\nlowest priority\n(adapt.online)",
        colour=PROCESS,
    )

    d.arrow((24, 65), (40, 61), "Frame\nZeroMQ, ipc", (30.5, 68))
    d.arrow((24, 44.5), (40, 57), "Frame\nZeroMQ, ipc", (30.5, 43.5))
    d.arrow((24, 22), (40, 52), "Frame\nZeroMQ, tcp", (30.5, 22))
    d.arrow((66, 60), (75, 60), "Frame-\nPair", (70.5, 63.3))
    d.arrow((53, 49), (53, 39), "messages as sent", (60.8, 44))
    d.arrow((75, 36.5), (66, 34), "DualHand", (70.5, 38))
    d.arrow((75, 34), (66, 14), "DualHand", (74.5, 24.5))
    d.arrow((101, 63), (112, 63), "Problem", (108, 65))
    d.arrow((112, 54), (101, 54), "Solution", (108, 52))
    d.arrow((101, 37), (116, 24), "LivePair,\nCameras", (114, 32.5))
    d.arrow((112, 13), (101, 13), "Adapter-\nMessage", (108, 16.3))
    d.arrow((88, 22), (88, 33), "Engine", (92.2, 27.5))
    return d.figure


if __name__ == "__main__":
    draw().savefig(OUT)
