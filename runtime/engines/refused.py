"""Why an engine may not run a network on this machine: the error, with the figures of the parity check where it failed."""

from typing import TYPE_CHECKING

from hand.errors import UserError

if TYPE_CHECKING:
    from runtime.engines.parity import Parity


class EngineRefused(UserError):
    """An engine that cannot be had on this machine, or that failed the parity check."""

    def __init__(self, reason: str, parity: "Parity | None" = None):
        """`parity`: the figures of the check that failed; None where the engine could not be made or checked."""
        super().__init__(reason)
        self.parity = parity
