"""Which hand of the person it is, by the network's confidence: it knows right hands only, and is less confident on left ones."""

from runtime.types import Side

FIRST_PAIRS = 12
"""Pairs after a hand was found in which both sides are predicted."""
TEST_INTERVAL = 10
"""Both sides are predicted in every so many-th of the later pairs."""
EVIDENCE_DECAY = 0.97
"""Share of the evidence that is kept at each update: a wrong start is forgotten."""
LOCATOR_WEIGHT = 0.02
"""Weight of the locator's side, in mean confidence; it sees the whole frame, but coarsely."""
SWITCH_THRESHOLD = 0.2
"""Evidence from which the side changes."""
CLEAR_THRESHOLD = 0.5
"""Evidence from which only every `TEST_INTERVAL`-th pair is tested."""
MIN_VOTE_CONFIDENCE = 0.35
"""Mean confidence, as the better side, from which a crop counts: below that, the crop may not show a hand."""


class HandednessFilter:
    """Collects evidence while one hand is followed; both views see the same hand and share it."""

    def __init__(self) -> None:
        self.side: Side | None = None
        """The current estimate; None before a hand was found."""
        self._evidence = 0.0
        """Mean confidence as a right hand minus that as a left hand, decaying sum."""
        self._pairs = 0

    def start(self, side: Side, score: float) -> None:
        """A hand was found where none was followed; the locator says which, with a score in [0, 1]."""
        self.side = side
        self._evidence = LOCATOR_WEIGHT * score * (1 if side == "right" else -1)
        self._pairs = 0

    def due(self) -> bool:
        """Whether this pair's crops are to be predicted as both sides; call it once a pair."""
        self._pairs += 1
        unclear = self._pairs <= FIRST_PAIRS or abs(self._evidence) < CLEAR_THRESHOLD
        return unclear or self._pairs % TEST_INTERVAL == 0

    def add(self, right: float, left: float) -> None:
        """Add the mean confidences of one view's crop as a right and as a left hand."""
        assert self.side is not None, "start comes first"
        if max(right, left) < MIN_VOTE_CONFIDENCE:
            return
        self._evidence = EVIDENCE_DECAY * self._evidence + right - left
        if abs(self._evidence) >= SWITCH_THRESHOLD:
            self.side = "right" if self._evidence > 0 else "left"
