"""Which network a command takes: `--estimator` and `--weights`, the same in every command that needs one of ours."""

from dataclasses import dataclass
from pathlib import Path

from runtime.estimators.adaptable_networks import load_adaptable, weights_of
from runtime.estimators.registry import AdaptableName
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest


@dataclass(kw_only=True)
class NetworkSettings:
    """For settings to inherit."""

    estimator: AdaptableName = "detnet"
    """Whose network."""
    weights: Path | None = None
    """Of that network; none: those that the estimator comes with."""

    @property
    def weights_file(self) -> Path:
        """Raises UserError where the estimator's parts are missing."""
        return weights_of(self.estimator, self.weights)

    def load_network(self) -> tuple[HandNetwork, Manifest]:
        """Raises UserError for weights that are another estimator's, or cannot be loaded."""
        return load_adaptable(self.estimator, self.weights)
