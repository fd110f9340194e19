"""The page of `tools.evaluate`: both held-out hands side by side, in figures, curves, bars and their worst and middling cases."""

import numpy as np

from hand.joints import JOINT_NAMES
from tools.evaluate.held_out import AUC_MM, Judged, groups
from tools.evaluate.metrics import Reliability, pck_curve
from tools.evaluate.sheet import DIM, GRID, PANEL, TEXT, Colour, Plot, Sheet

WIDTH = 1600
MARGIN, GAP = 24, 16
KIND_COLOURS: tuple[Colour, Colour] = ((88, 166, 255), (255, 166, 77))
"""Our hand's and the foreign one's."""
TRUTH: Colour = (60, 220, 90)
SEEN: Colour = (255, 80, 40)
CASES = 12
CASES_A_ROW = 4
SHOWN = 0.7
"""Share of a case's picture that is shown, in the middle: the box takes half."""
SHARE_LIMIT = 0.3
ROW_PX = 21


def draw_page(
    title: str, headlines: dict[str, dict[str, str]], judged: list[Judged], told: list[Reliability | None], real: str
) -> np.ndarray:
    """(H, 1600, 3) uint8 RGB. `told` holds each kind's reliability, `real` the lines about real pictures."""
    masks = [groups(one.hands.frames) for one in judged]
    questions = [name for name in masks[0] if name != "pose"]
    table_height = 26 + ROW_PX * (len(headlines) + 1)
    real_lines = real.splitlines()
    real_height = 24 + ROW_PX * len(real_lines) if real_lines else 0
    tile = (WIDTH - 2 * MARGIN - GAP - 2 * (CASES_A_ROW - 1) * 6) / (2 * CASES_A_ROW)
    cases_height = 2 * (40 + (CASES // CASES_A_ROW) * (tile + 6))
    heights = (64, table_height, real_height, 330, 250, 250, 250, cases_height)
    tops = np.cumsum([0, *(height + GAP if height else 0 for height in heights)])
    sheet = Sheet(WIDTH, int(tops[-1]) + MARGIN)
    sheet.text(MARGIN, 40, "Held-out hands", 16)
    sheet.text(WIDTH - MARGIN, 40, title, 9, DIM, 1)
    _legend(sheet, 300, 40)
    _table(sheet, tops[1], table_height, headlines)
    if real_lines:
        sheet.box(MARGIN, tops[2], WIDTH - 2 * MARGIN, real_height)
        for row, line in enumerate(real_lines):
            sheet.text(MARGIN + 14 + 20 * line.startswith(" "), tops[2] + 26 + ROW_PX * row, line.strip(), 9)
    _curves(sheet, tops[3], 330, judged, told)
    share = (WIDTH - 2 * MARGIN - GAP * (len(questions) - 1)) / len(questions)
    for number, question in enumerate(questions):
        place = (MARGIN + number * (share + GAP), tops[4], share, 250)
        _bars(sheet, place, question, *_by_answer([m[question] for m in masks], judged))
    whole = WIDTH - 2 * MARGIN
    _bars(sheet, (MARGIN, tops[5], whole, 250), "pose", *_by_answer([m["pose"] for m in masks], judged))
    joints = np.stack([one.final.error_mm.mean(0) for one in judged], 1)
    _bars(sheet, (MARGIN, tops[6], whole, 250), "joint", [name.replace("_", " ") for name in JOINT_NAMES], joints)
    for number, one in enumerate(judged):
        _cases(sheet, MARGIN + number * (whole + GAP) / 2, tops[7], tile, one, KIND_COLOURS[number])
    return sheet.finished()


def _legend(sheet: Sheet, x: float, y: float) -> None:
    for name, colour in zip(("our hand", "foreign hand"), KIND_COLOURS, strict=True):
        sheet.box(x, y - 11, 14, 11, colour)
        sheet.text(x + 22, y, name, 10)
        x += 150


def _table(sheet: Sheet, top: float, height: float, rows: dict[str, dict[str, str]]) -> None:
    sheet.box(MARGIN, top, WIDTH - 2 * MARGIN, height)
    columns = list(next(iter(rows.values())))
    first = 240
    step = (WIDTH - 2 * MARGIN - first - 20) / len(columns)
    for number, column in enumerate(columns):
        sheet.text(MARGIN + first + (number + 1) * step, top + 28, column, 9, DIM, 1)
    for row, (name, values) in enumerate(rows.items(), 1):
        y = top + 30 + ROW_PX * row
        colour = TEXT if "any roll" in name else DIM
        sheet.text(MARGIN + 14, y, name, 9.5, colour)
        for number, column in enumerate(columns):
            sheet.text(MARGIN + first + (number + 1) * step, y, values[column], 9.5, colour, 1)


def _curves(sheet: Sheet, top: float, height: float, judged: list[Judged], told: list[Reliability | None]) -> None:
    width = (WIDTH - 2 * MARGIN - 2 * GAP) / 3
    place = [(MARGIN + number * (width + GAP), top, width, height) for number in range(3)]
    shares = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    in_space = Plot(sheet, place[0], "3D PCK over mm (thin: upright)", (0, 10, 20, 30, 40, AUC_MM), shares)
    in_image = Plot(
        sheet, place[1], "2D PCK over share of the box (thin: upright)", (0, 0.05, 0.1, 0.15, 0.2, 0.25, SHARE_LIMIT), shares
    )
    most = max([60.0, *(float(np.max([one.foretold, one.made])) for one in told if one)])
    ticks = tuple(float(v) for v in np.arange(0, 20 * np.ceil(most / 20) + 1, 20))
    reliable = Plot(sheet, place[2], "mm made over mm foretold by the confidence", ticks, ticks)
    reliable.curve(np.array([0, ticks[-1]]), np.array([0, ticks[-1]]), GRID, 1.5)
    mm, share = np.linspace(0, AUC_MM, 101), np.linspace(0, SHARE_LIMIT, 101)
    for one, foretold, colour in zip(judged, told, KIND_COLOURS, strict=True):
        for scores, thickness in ((one.tracked, 0.7), (one.final, 2.0)):
            in_space.curve(mm, pck_curve(scores.error_mm, mm), colour, thickness)
            in_image.curve(share, pck_curve(scores.error_share, share), colour, thickness)
        if foretold:
            reliable.curve(foretold.foretold, foretold.made, colour, dots=True)


def _by_answer(masks: list[dict[str, np.ndarray]], judged: list[Judged]) -> tuple[list[str], np.ndarray]:
    """The answers and (answers, kinds) mean errors in mm; NaN where no hand is in one."""
    means = [
        [
            one.final.error_mm[mask[answer]].mean() if mask[answer].any() else np.nan
            for mask, one in zip(masks, judged, strict=True)
        ]
        for answer in masks[0]
    ]
    return list(masks[0]), np.array(means)


def _bars(sheet: Sheet, place: tuple[float, float, float, float], title: str, names: list[str], values: np.ndarray) -> None:
    """Bars in mm: `values` (names, kinds)."""
    left, top, width, height = place
    sheet.box(*place)
    sheet.text(left + 12, top + 20, f"{title} (mm)", 10)
    room, step = height - 80, (width - 24) / len(names)
    wide = min(34.0, step * 0.42)
    most = max(float(np.nanmax(values, initial=0)), 1e-6)
    for number, name in enumerate(names):
        middle = left + 12 + (number + 0.5) * step
        words = name.split("_" if "_" in name else " ") if step < 90 else [name]
        for line, word in enumerate(words):
            sheet.text(middle, top + height - 26 + 14 * line, word, 8, DIM, 0.5)
        for kind, colour in enumerate(KIND_COLOURS):
            value = values[number, kind]
            if np.isfinite(value):
                x, tall = middle + (kind - 1) * wide, room * value / most
                sheet.box(x + 1, top + height - 42 - tall, wide - 2, tall, colour)
                sheet.text(x + wide / 2, top + height - 46 - tall, f"{value:.0f}", 8, TEXT, 0.5)


def _cases(sheet: Sheet, left: float, top: float, tile: float, one: Judged, colour: Colour) -> None:
    """The worst hands of a kind and those in the middle, with the truth and what was seen."""
    by_error = np.argsort(-one.final.error_mm.mean(1))
    middle = max(0, len(by_error) // 2 - CASES // 2)
    for title, chosen in (("worst", by_error[:CASES]), ("in the middle", by_error[middle : middle + CASES])):
        sheet.text(left, top + 20, f"{one.hands.kind} hand, {title}", 11, colour)
        sheet.text(left + 330, top + 20, "truth", 9, TRUTH)
        sheet.text(left + 390, top + 20, "prediction", 9, SEEN)
        sheet.text(left + 490, top + 20, "mm, px of 128, confidence", 9, DIM)
        for place, number in enumerate(chosen.tolist()):
            x, y = left + place % CASES_A_ROW * (tile + 6), top + 30 + place // CASES_A_ROW * (tile + 6)
            _case(sheet, x, y, tile, one, number)
        top += 40 + (CASES // CASES_A_ROW) * (tile + 6)


def _case(sheet: Sheet, x: float, y: float, tile: float, one: Judged, number: int) -> None:
    image = one.hands.frames.images[number].numpy()
    margin = round(len(image) * (1 - SHOWN) / 2)
    image = image[margin:-margin, margin:-margin]
    scale = tile / len(image)
    sheet.picture(x, y, tile, image)
    for pixels, colour in ((one.hands.frames.pixels[number].numpy(), TRUTH), (one.final.pixels[number], SEEN)):
        sheet.skeleton((pixels - margin + 0.5) * scale + [x, y], colour, (x, y, tile))
    sheet.box(x, y + tile - 14, tile, 14, PANEL)
    mm, px, sure = (values[number].mean() for values in (one.final.error_mm, one.final.error_px, one.final.confidence))
    sheet.text(x + tile / 2, y + tile - 4, f"{mm:.0f} mm  {px:.0f} px  {sure:.2f}", 7.5, TEXT, 0.5)
