"""Which hand of the person it is, told by the joint network itself: it knows right hands only, and doubts itself on left ones."""

from runtime.types import Side

FIRST_PAIRS = 12
"""Pairs after a hand was found in which both answers are asked for."""
LATER_EVERY = 10
"""Of the later pairs, every how many-th."""
MEMORY = 0.97
"""What is left of the evidence after another test: a wrong start is forgotten."""
LOCATOR_WEIGHT = 0.02
"""What the locator's word counts, in mean confidence; it sees the whole frame, but coarsely."""
MARGIN = 0.2
"""Evidence that it takes to change one's mind."""
CLEAR = 0.5
"""Evidence from which on later pairs are tested now and then only."""
VOTE_FROM = 0.35
"""Mean confidence, the better way round, from which a crop has a vote: what is hardly a hand has no side."""


class HandednessFilter:
    """Collects evidence while one hand is followed. The views see the same hand, so they vote together."""

    def __init__(self) -> None:
        self.side: Side | None = None
        """The answer so far; None before a hand was found."""
        self._evidence = 0.0
        """For a right hand, in mean confidence."""
        self._pairs = 0

    def start(self, side: Side, score: float) -> None:
        """A hand was found where none was followed; the locator says which, with a score in [0, 1]."""
        self.side = side
        self._evidence = LOCATOR_WEIGHT * score * (1 if side == "right" else -1)
        self._pairs = 0

    def due(self) -> bool:
        """Whether this pair's crops are to be tried both ways; to be asked once a pair."""
        self._pairs += 1
        unclear = self._pairs <= FIRST_PAIRS or abs(self._evidence) < CLEAR
        return unclear or self._pairs % LATER_EVERY == 0

    def add(self, right: float, left: float) -> None:
        """Take in the mean confidences of one view's crop, taken as a right and as a left hand."""
        assert self.side is not None, "a vote needs a start"
        if max(right, left) < VOTE_FROM:
            return
        self._evidence = MEMORY * self._evidence + right - left
        if abs(self._evidence) >= MARGIN:
            self.side = "right" if self._evidence > 0 else "left"
