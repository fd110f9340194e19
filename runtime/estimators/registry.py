"""Which estimators there are, and how each is loaded: another one is a module with a factory, its name, and an entry here."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from capture.views import PerView
from runtime.engines.names import EngineName
from runtime.estimators.estimator import ANY_HAND, Estimator, FollowSettings

if TYPE_CHECKING:
    # It brings torch, which settings do not wait for.
    from runtime.engines.engine import Engine

EstimatorName = Literal["detnet", "mediapipe-3d", "mediapipe", "mediapipe-lite"]
AdaptableName = Literal["detnet", "mediapipe-3d"]
"""Those whose network can be adapted."""
EstimatorSetting = Literal["auto", EstimatorName]
"""`auto` stands for the one that `runtime.estimators.auto` takes."""
ESTIMATORS: dict[EstimatorName, tuple[str, str]] = {
    "detnet": ("runtime.estimators.crop_estimator", "load_detnet"),
    "mediapipe-3d": ("runtime.estimators.mediapipe_3d", "load_mediapipe_3d"),
    "mediapipe": ("runtime.estimators.mediapipe", "load_full"),
    "mediapipe-lite": ("runtime.estimators.mediapipe", "load_lite"),
}
"""Name → module and factory; imported when asked for."""
_OF_ARCHITECTURE: dict[str, AdaptableName] = dict.fromkeys(
    ("mediapipe-3d", "mediapipe-landmarks", "mediapipe-landmarks-lite"), "mediapipe-3d"
)
"""Whose weights are not detnet's."""
NEED_MODELS: frozenset[EstimatorName] = frozenset({"mediapipe-3d", "mediapipe", "mediapipe-lite"})
"""Those that use MediaPipe's models, which are fetched."""


def estimator_of(architecture: str) -> AdaptableName:
    """Whose network has weights of this architecture."""
    return _OF_ARCHITECTURE.get(architecture, "detnet")


@dataclass(frozen=True, slots=True)
class EstimatorOptions:
    """What an estimator is asked for; a factory refuses what it cannot heed."""

    engine: EngineName = "auto"
    """What runs the network of `detnet` and `mediapipe-3d`."""
    weights: Path | None = None
    """Network weights; None takes those that ship with the estimator."""
    threads: int | None = None
    """Of the CPU, for that engine; None takes all."""
    reselect: bool = False
    """Whether an engine that is remembered for long may be tried again aside, for the next start."""
    follow: FollowSettings = ANY_HAND
    made: "Engine | None" = None
    """The engine of these options, where it was made already, to be timed."""


@dataclass(frozen=True, slots=True)
class LoadedEstimator:
    """An estimator whose networks are loaded, before the size of the frames is known."""

    description: str
    """Which one this is and why it was chosen, for the person at the screen."""
    weights: Path | None
    """The network's file; None for an estimator whose models are not ours."""
    make: Callable[[PerView[tuple[int, int]]], Estimator]
    """Gives an estimator for frames of (width, height) px, another one each time: what is followed is the estimator's state."""


class EstimatorFactory(Protocol):
    """Loads one kind of estimator."""

    def __call__(self, options: EstimatorOptions) -> LoadedEstimator:
        """Raises UserError for options that are not for this estimator, and where its parts cannot be loaded."""
        ...


def load_estimator(name: EstimatorName, options: EstimatorOptions = EstimatorOptions()) -> LoadedEstimator:
    """The estimator called `name`, its networks loaded.

    Raises UserError for options that are not for it, and where its parts cannot be loaded.
    """
    module, factory = ESTIMATORS[name]
    load: EstimatorFactory = getattr(importlib.import_module(module), factory)
    return load(options)
