"""The hands that a figure shows."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def count_skeletons(figure: "Figure", colour: str) -> int:
    """How many hands are drawn in a colour."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_hex

    drawn = [part for part in figure.findobj(LineCollection) if isinstance(part, LineCollection)]
    return sum(to_hex(np.asarray(part.get_colors())[0].tolist()) == to_hex(colour) for part in drawn)
