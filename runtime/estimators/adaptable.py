"""What adaptation needs of an estimator: the engine that is in use, and a way to put another one in its place."""

from typing import Protocol, runtime_checkable

from runtime.engines.engine import Engine
from runtime.estimators.estimator import Estimator
from runtime.networks.weights import Manifest


@runtime_checkable
class Adaptable(Estimator, Protocol):
    """An estimator whose network may be exchanged while it follows a hand."""

    @property
    def engine(self) -> Engine:
        """The one in use."""
        ...

    @property
    def manifest(self) -> Manifest:
        """Of the weights in use."""
        ...

    def swap(self, engine: Engine) -> None:
        """Predict with `engine`, of the same architecture, from the next pair on; call it between two pairs."""
        ...
