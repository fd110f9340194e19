"""A page of labelled crops, each with its joints: to see what a teacher says before anything learns from it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapt.core.label_crops import LabelledCrop
from tools.report.figures import Tile, draw_tiles, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS, ROWS = 8, 5
MAX_CROPS = COLUMNS * ROWS
"""Crops that the page shows at most."""
_TILE_PX = 170
_BONE = "gold"


@dataclass(frozen=True, slots=True)
class SampleCrop:
    """A crop that is shown."""

    title: str
    number: int
    """Of its pair."""
    crop: LabelledCrop


def draw_label_sheet(samples: list[SampleCrop]) -> "Figure":
    """Each crop with its border; its joints are coloured by their weight. Raises UserError where matplotlib is missing."""
    columns = min(COLUMNS, max(len(samples), 4))
    figure = new_figure(columns * _TILE_PX + 90, -(-len(samples) // columns) * (_TILE_PX + 20) + 40)
    figure.suptitle("Labelled crops: number of the pair, view, mean weight", fontsize=10)
    tiles = [Tile(one.crop.image, f"{one.title}, {one.crop.weight.mean():.2f}", [(one.crop.pixels, _BONE)]) for one in samples]
    grid = draw_tiles(figure, tiles, columns)
    for axes, one in zip(grid, samples, strict=True):
        points = axes.scatter(*one.crop.pixels.T, c=one.crop.weight, s=9, cmap="RdYlGn", vmin=0, vmax=1, zorder=3)
    if grid:
        figure.colorbar(points, ax=grid, label="weight of the joint", fraction=0.02)
    return figure
