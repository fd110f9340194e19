"""Draw the probe that engines are checked on: `python -m export.probe`.

The picture that ships came from this, with its default seed.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from export.crops import synthetic_crops
from hand import program
from hand.files import saving
from hand.outputs import ProgramFiles
from runtime.engines.parity import PROBE, PROBE_PX

SEED = 9_000_000
"""Neither training nor any judgement draws from here."""
ROWS, COLUMNS = 4, 5


@dataclass
class Settings:
    """Draw the probe that engines are checked on."""

    to: Path = PROBE
    seed: int = SEED
    overwrite: bool = False
    """Replace files that are there already."""


def main(settings: Settings) -> None:
    ProgramFiles(overwrite=settings.overwrite).writes("--to", settings.to, suffixes=(".png",), plain=True).check()
    crops = synthetic_crops(PROBE_PX, ROWS * COLUMNS, settings.seed)
    sheet = np.concatenate([np.concatenate(list(row), 1) for row in crops.reshape(ROWS, COLUMNS, *crops.shape[1:])])
    encoded = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
    with saving(settings.to) as part:
        part.write_bytes(encoded.tobytes())
    print(f"{settings.to}: {len(crops)} crops of {PROBE_PX} px, {settings.to.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    program.run(main, Settings)
