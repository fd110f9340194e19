"""Draw the probe that engines are checked on: `python -m export.probe`.

The picture that ships came from this, with its default seed.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from export.crops import synthetic_crops
from hand import program
from hand.errors import UserError
from runtime.engines.parity import PROBE, PROBE_PX

SEED = 9_000_000
"""Neither training nor any judgement draws from here."""
ROWS, COLUMNS = 4, 5


@dataclass
class Settings:
    """Draw the probe that engines are checked on."""

    to: Path = PROBE
    seed: int = SEED


def main(settings: Settings) -> None:
    crops = synthetic_crops(PROBE_PX, ROWS * COLUMNS, settings.seed)
    sheet = np.concatenate([np.concatenate(list(row), 1) for row in crops.reshape(ROWS, COLUMNS, *crops.shape[1:])])
    if not cv2.imwrite(str(settings.to), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise UserError(f"cannot write {settings.to}: give a .png file in a folder that is there")
    print(f"{settings.to}: {len(crops)} crops of {PROBE_PX} px, {settings.to.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    program.run(main, Settings)
