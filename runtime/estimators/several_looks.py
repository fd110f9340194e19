"""A photograph's hand is looked at in several crops, since time is free there: the mean of several looks errs less than one.

The crops are turned either way, which the network knows from hands that stand askew. Mirrored, the hand looks like the other
one, of which MediaPipe's own outputs know as much; heads that learnt depth of right hands alone do not, so that a mirrored look
gives pixels only.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hand.camera import PinholeCamera
from hand.joints import unit_hand
from runtime.engines.engine import Engine
from runtime.estimators.crop_prediction import CropPrediction, CropRequest, mirrored, predict_crops
from runtime.estimators.search import SearchHit
from runtime.types import HandBox, ViewHand

TURNS_DEG = (-20.0, 20.0)
"""Of further crops, from that in which the hand was found."""


def seen_again(engine: Engine, image: np.ndarray, camera: PinholeCamera, hits: Sequence[SearchHit]) -> list[SearchHit]:
    """The hands found in an image (H, W, 3) uint8 RGB, each the mean of several looks at it."""
    boxes = [box for hit in hits for box in _further(hit.box)]
    seen = predict_crops(engine, [CropRequest(box, camera, image) for box in boxes])
    count = len(TURNS_DEG) + 1
    return [replace(hit, hand=_mean(hit.hand, seen[count * n : count * (n + 1)])) for n, hit in enumerate(hits)]


def _further(box: HandBox) -> list[HandBox]:
    """The turned boxes, then the mirrored one."""
    return [*(replace(box, roll_deg=box.roll_deg + turn) for turn in TURNS_DEG), mirrored(box)]


def _mean(first: ViewHand, seen: Sequence[CropPrediction]) -> ViewHand:
    """Of the first look and the further ones, in the order of `_further`; what is no hand in one is as it was at first."""
    *turned, other = (prediction.hand for prediction in seen)
    same = [first, *turned]
    joints, pixels = np.mean([hand.joints for hand in same], 0), np.mean([hand.pixels for hand in (*same, other)], 0)
    if not (np.isfinite(joints).all() and np.isfinite(pixels).all()):
        return first
    return replace(first, joints=unit_hand(joints), pixels=pixels, confidence=np.mean([hand.confidence for hand in same], 0))
