"""Hands as a table for notebooks, R and spreadsheets (.csv, .parquet): one row a joint a hand.

Columns: hand (its number in the file), index (the left frame's), captured_ns, side, joint (0 to 20), name; x, y, z of the unit
hand, left camera's axes; x_mm, y_mm, z_mm, sigma_mm where known; weight_left; of each view u_*, v_* (px of its
frame), confidence_*.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from hand.errors import UserError
from hand.joints import JOINT_NAMES
from runtime.outputs.hand_line import HandLine

COLUMNS = (
    *("hand", "index", "captured_ns", "side", "joint", "name"),
    *("x", "y", "z", "x_mm", "y_mm", "z_mm", "sigma_mm", "weight_left"),
    *("u_left", "v_left", "confidence_left", "u_right", "v_right", "confidence_right"),
)
_NOWHERE = (None, None, None)


def rows(hands: Sequence[HandLine]) -> Iterator[tuple]:
    """A tuple of `COLUMNS` a joint a hand; None for what is not known."""
    for number, hand in enumerate(hands):
        for joint, name in enumerate(JOINT_NAMES):
            seen = []
            for view in (hand.views.left, hand.views.right):
                pixels, confidence = view.pixels, view.confidence
                seen += [*(pixels[joint] if pixels else _NOWHERE[:2]), confidence[joint] if confidence else None]
            yield (
                *(number, hand.index, hand.captured_ns, hand.side, joint, name),
                *hand.fused.joints[joint],
                *(hand.joints_mm[joint] if hand.joints_mm else _NOWHERE),
                hand.joint_sigma_mm[joint] if hand.joint_sigma_mm else None,
                hand.fused.weight_left[joint],
                *seen,
            )


def write_csv(hands: Sequence[HandLine], to: Path) -> None:
    """With a header; an empty field for what is not known."""
    with to.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows(hands))


def write_parquet(hands: Sequence[HandLine], to: Path) -> None:
    """Typed columns, null for what is not known. Raises UserError where pyarrow is not installed."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UserError("Parquet needs pyarrow: pip install 'duohand[sweep]', or give a .csv") from error
    types = dict.fromkeys(COLUMNS, pa.float64()) | dict.fromkeys(("hand", "index", "captured_ns", "joint"), pa.int64())
    schema = pa.schema(list((types | {"side": pa.string(), "name": pa.string()}).items()))
    columns = list(zip(*rows(hands), strict=True)) or [()] * len(COLUMNS)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), to)
