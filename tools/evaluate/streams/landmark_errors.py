"""How landmarks err: in time, joint by joint and from view to view; what a claim that takes errors for independent overlooks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capture.views import VIEWS, View
from hand.joints import JOINTS, MIDDLE_MCP, WRIST
from tools.evaluate.streams.landmarks import NO_HAND, Landmarks
from tools.report.table import table

LAGS_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0)
GROSS = 0.5
"""Hands; a hand whose median joint is farther off than this is another one, or none."""


@dataclass(frozen=True, slots=True)
class LandmarkErrors:
    """Errors of one estimator's pixels over many streams, in hands as large as they are seen."""

    estimator: str
    median: float
    """Of the distance from the truth."""
    p95: float
    missed: float
    """Share of the views' frames without a hand, or with one that is elsewhere."""
    correlation: np.ndarray
    """(LAGS_S,) of errors so many seconds apart; independent ones have 1, 0, 0, …; NaN where no stream is that long."""
    constant: float
    """Share of the squared error that is constant over a stream, for a joint, a view and the hand's own axes."""
    constant_if_independent: float
    """The same for independent errors in as many frames."""
    bias: np.ndarray
    """(21,) root mean square length of that constant part, hands."""
    common: float
    """Share of the squared error that all joints of a hand have in common in a frame; independent errors have 1/21."""


def measure(streams: Sequence[Landmarks]) -> LandmarkErrors:
    """Errors over streams of one estimator whose truth is known."""
    errors = [(one, _relative(one, view)) for one in streams for view in VIEWS]
    all_errors = np.concatenate([error for _, error in errors])
    seen = np.isfinite(all_errors).all((1, 2))
    length = np.linalg.norm(all_errors[seen], axis=-1)
    square, constant, if_independent, common = [], [], [], []
    products = np.zeros((len(LAGS_S), 2))
    for one, error in errors:
        there = np.isfinite(error).all((1, 2))
        if there.sum() < 2:
            continue
        own = error[there]
        square.append((own**2).sum(-1).mean(0))
        constant.append((own.mean(0) ** 2).sum(-1))
        if_independent.append(square[-1] / there.sum())
        common.append((own.mean(1) ** 2).sum(-1).mean())
        step_s = float(np.median(np.diff(one.captured_ns))) / 1e9
        for k, lag_s in enumerate(LAGS_S):
            lag = round(lag_s / step_s)
            if lag >= len(error):
                continue
            first, second = error[: len(error) - lag], error[lag:]
            both = np.isfinite(first).all((1, 2)) & np.isfinite(second).all((1, 2))
            scale = ((first[both] ** 2).sum() + (second[both] ** 2).sum()) / 2
            products[k] += (first[both] * second[both]).sum(), scale
    total = float(np.sum(square))
    return LandmarkErrors(
        streams[0].estimator,
        float(np.median(length)),
        float(np.percentile(length, 95)),
        float(1 - seen.mean()),
        np.divide(products[:, 0], products[:, 1], out=np.full(len(LAGS_S), np.nan), where=products[:, 1] > 0),
        float(np.sum(constant)) / total,
        float(np.sum(if_independent)) / total,
        np.sqrt(np.mean(constant, axis=0)),
        float(np.sum(common)) * JOINTS / total,
    )


def _relative(one: Landmarks, view: View) -> np.ndarray:
    """(N, 21, 2) errors of a view's pixels, hands: x along the line from wrist to middle knuckle, y across it.

    A left hand's are mirrored, so that a joint's bias has one direction for both. NaN where there is no hand.
    """
    assert one.truth is not None, one.estimator
    true = one.truth.pixels[view]
    along = true[:, MIDDLE_MCP] - true[:, WRIST]
    along /= np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-9)
    across = along[:, ::-1] * [-1, 1] * (-1 if one.truth.side == "left" else 1)
    off = one.pixels[view] - true
    depth = one.truth.rig.geometry.in_view_axes(one.truth.joints_mm)[view][..., 2].mean(1)
    hand_mm = np.linalg.norm(one.truth.joints_mm[:, MIDDLE_MCP] - one.truth.joints_mm[:, WRIST], axis=-1)
    hand_px = one.truth.rig.geometry.cameras[view].focal_px * hand_mm / np.maximum(depth, 1.0)
    turned = np.stack([(off * along[:, None]).sum(-1), (off * across[:, None]).sum(-1)], -1) / hand_px[:, None, None]
    bad = (one.side[view] == NO_HAND) | ~(np.median(np.linalg.norm(turned, axis=-1), axis=1) <= GROSS)
    turned[bad] = np.nan
    return turned


def describe_errors(measured: Sequence[LandmarkErrors]) -> str:
    """As a table."""
    rows = {}
    for one in measured:
        row = {"median": f"{one.median:.3f}", "95 %": f"{one.p95:.3f}", "missed": f"{one.missed:.1%}"}
        row |= {f"{lag:g} s": f"{value:.2f}" for lag, value in zip(LAGS_S[1:], one.correlation[1:], strict=True)}
        row |= {"constant": f"{one.constant:.0%}", "if independent": f"{one.constant_if_independent:.1%}"}
        rows[one.estimator] = row | {"common": f"{one.common:.0%}", "if independent ": f"{1 / JOINTS:.0%}"}
    return (
        "pixels off the truth, hands; correlation of errors so many seconds apart; shares of the squared error that are\n"
        f"constant over a stream (a joint, in the hand's axes) and common to a hand's joints\n{table(rows)}"
    )
