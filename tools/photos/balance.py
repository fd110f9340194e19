"""How often each photograph is shown: near-duplicates together as often as one, rare poses more often, no collection by itself.

Frames of one video differ by little; a network that sees them as often as all else learns them by heart.
"""

from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np

from hand.joints import finger_extension

SAME_BITS = 6
"""Most bits of 64 in which the hashes of near-duplicates differ."""
_HASH_SIDE = 8
_STRAIGHT = np.array([0.85, 0.82, 0.82, 0.82, 0.82])
"""Extension from which on each finger is straight, the thumb first."""


def picture_hash(image: np.ndarray) -> int:
    """64 bits that light, size and compression hardly change: whether each of 8×8 cells is brighter than the one to its left."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_HASH_SIDE + 1, _HASH_SIDE), interpolation=cv2.INTER_AREA).astype(int)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_duplicates(hashes: Sequence[int]) -> np.ndarray:
    """(N,) how many of the pictures are near-duplicates of each, itself included."""
    values = np.array(hashes, np.uint64)
    return np.array([int((np.bitwise_count(values ^ value) <= SAME_BITS).sum()) for value in values])


def articulation(joints: np.ndarray) -> tuple[bool, ...]:
    """Which fingers of a hand (21, 3) are straight."""
    return tuple((finger_extension(joints) >= _STRAIGHT).tolist())


def shares(collections: Sequence[str], articulations: Sequence[tuple[bool, ...]], duplicates: np.ndarray) -> np.ndarray:
    """(N,) how often each photograph is to be shown, adding up to 1.

    Within a collection by the inverse of its near-duplicates and of the square root of how common its articulation is there;
    collections by the square root of how many different pictures they hold.
    """
    weight = 1.0 / duplicates
    common: Counter[tuple[str, tuple[bool, ...]]] = Counter()
    for key, value in zip(zip(collections, articulations, strict=True), weight, strict=True):
        common[key] += value
    different: Counter[str] = Counter()
    for name, value in zip(collections, weight, strict=True):
        different[name] += value
    shown = weight / np.sqrt([common[key] for key in zip(collections, articulations, strict=True)])
    total: Counter[str] = Counter()
    for name, value in zip(collections, shown, strict=True):
        total[name] += value
    shown = shown * [np.sqrt(different[name]) / total[name] for name in collections]
    return shown / shown.sum()


def looks(share: np.ndarray, crops: int, most: int, random: np.random.Generator) -> np.ndarray:
    """(N,) how many crops to cut of each photograph: `crops` in all but for those beyond `most` of one; rounded by chance."""
    wanted = np.minimum(share * crops, most)
    return (wanted + random.random(len(wanted))).astype(int)
