"""How a page is made and saved: matplotlib's figures without its global state, imported only where a page is drawn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hand.errors import UserError
from hand.files import saving
from hand.joints import BONES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase, SubFigure

DPI = 100
NEEDS_MATPLOTLIB = "drawing a page needs matplotlib, which is not installed: pip install '.[report]'"


def new_figure(width_px: int, height_px: int, dpi: int = DPI) -> "Figure":
    """An empty figure whose parts are laid out without overlaps; text grows with `dpi`.

    Raises UserError where matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(NEEDS_MATPLOTLIB) from error
    return Figure((width_px / dpi, height_px / dpi), dpi=dpi, layout="constrained")


def panels(figure: "Figure", rows: int, columns: int) -> "Callable[[int, int], Axes]":
    """Gives the axes, with a grid, at a row and a column of a figure of such panels."""
    grid = figure.add_gridspec(rows, columns)

    def panel(row: int, column: int) -> "Axes":
        axes = figure.add_subplot(grid[row, column])
        axes.grid(alpha=0.3)
        return axes

    return panel


def save_figure(figure: "Figure", file: Path) -> None:
    """Write the page in the format that the file's name says. Raises UserError where it cannot be written."""
    encoded = BytesIO()
    try:
        figure.savefig(encoded, format=file.suffix.removeprefix(".") or "png")
    except ValueError as error:
        raise UserError(f"cannot write {file} ({error}): give a .png file") from error
    with saving(file) as part:
        part.write_bytes(encoded.getvalue())


@dataclass(frozen=True, slots=True)
class Tile:
    """An image with hands drawn over it."""

    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    caption: str
    hands: Sequence[tuple[np.ndarray, str]] = field(default=())
    """Joints (21, 2), px of the image, each with its colour."""
    caption_colour: str = "black"


def draw_tiles(figure: "FigureBase", tiles: Sequence[Tile], columns: int) -> list["Axes"]:
    """The tiles row by row, in `columns`; their axes, on which image pixels are the unit."""
    grid = figure.subplots(-(-len(tiles) // columns), columns, squeeze=False).ravel().tolist()
    for axes in grid:
        axes.axis("off")
    for axes, tile in zip(grid, tiles, strict=False):
        axes.imshow(tile.image, interpolation="bicubic")
        # Skeletons that leave the image do not widen it.
        axes.set_autoscale_on(False)
        axes.set_title(tile.caption, fontsize=8, pad=3, color=tile.caption_colour)
        for pixels, colour in tile.hands:
            draw_skeleton(axes, pixels, colour)
    return grid[: len(tiles)]


def split(figure: "FigureBase", rows: int = 1, columns: int = 1, heights: Sequence[float] | None = None) -> "list[SubFigure]":
    """Parts of a figure, each laid out on its own; `heights` of the rows to each other."""
    return np.ravel(figure.subfigures(rows, columns, squeeze=False, height_ratios=heights, hspace=0)).tolist()


def draw_skeleton(axes: "Axes", pixels: np.ndarray, colour: str) -> None:
    """A hand's bones between joints (21, 2)."""
    from matplotlib.collections import LineCollection

    axes.add_collection(LineCollection([pixels[list(bone)] for bone in BONES], colors=colour, linewidths=1.3))


def add_legend(figure: "FigureBase", colours: Mapping[str, str], **look: Any) -> None:
    """What each colour of the figure means, beside the figure's parts."""
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=colour, linewidth=3, label=name) for name, colour in colours.items()]
    look = {"loc": "outside upper left", "frameon": "facecolor" in look, **look}
    figure.legend(handles=lines, ncols=len(lines), **look)
