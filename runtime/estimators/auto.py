"""Which estimator `auto` takes: what sees real hands best, where it can be had and keeps up with the cameras; else detnet.

On photographs with true depth mediapipe-3d is far better than detnet (docs/results.md). Weights, and int8, that only one of
them has decide before that, and so do drawn hands, which detnet learnt from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hand.errors import UserError
from runtime.engines.names import EngineName
from runtime.estimators.registry import EstimatorName, estimator_of

BEST: EstimatorName = "mediapipe-3d"
OTHERWISE: EstimatorName = "detnet"
MAX_SHARE = 0.75
"""Of the time between two pairs, for the network: crops, geometry and outputs need some too."""


@dataclass(frozen=True, slots=True)
class Task:
    """What an estimator is wanted for, as far as it decides which one."""

    architecture: str | None = None
    """Of the weights that were given."""
    engine: EngineName = "auto"
    drawn: bool = False
    """Whether both cameras are synthetic."""
    period_ms: float | None = None
    """Between two pairs of the cameras; None where they wait for the estimator."""


@dataclass(frozen=True, slots=True)
class EstimatorChoice:
    """The estimator to take."""

    name: EstimatorName
    why: str
    """Completes "NAME, since "."""
    compromise: bool = False
    """Whether another one would see real hands better, so that the user should know."""
    too_slow: bool = False
    """Whether the best one's network was timed and does not keep up."""

    def __str__(self) -> str:
        if self.compromise:
            return f"{self.name} finds the joints in place of {BEST}, which sees real hands best (docs/results.md): {self.why}"
        return f"{self.name}, since {self.why}"


def choose_estimator(
    task: Task, provide: Callable[[], object], pair_ms: Callable[[], float], int8_plan: Path, no_int8: str = "it has no plan"
) -> EstimatorChoice:
    """The estimator for a task.

    `provide` makes the best one's parts be there and raises UserError where it cannot; `pair_ms` measures what its network takes
    for a pair on this machine, ms; `int8_plan` is its plan's file, and `no_int8` says why there is none.
    """
    decided = _decided(task, int8_plan, no_int8)
    if decided is not None:
        return decided
    try:
        provide()
        took_ms = None if task.period_ms is None else pair_ms()
    except UserError as error:
        return EstimatorChoice(OTHERWISE, str(error), compromise=True)
    if task.period_ms is None or took_ms is None:
        return EstimatorChoice(BEST, "it sees real hands best, and the frames wait for it")
    rate = 1e3 / task.period_ms
    if took_ms > MAX_SHARE * task.period_ms:
        why = (
            f"its network takes {took_ms:.0f} ms a pair on this machine, and cameras of {rate:.3g} Hz leave it "
            f"{MAX_SHARE * task.period_ms:.0f}; with --estimator {BEST} fewer pairs are seen, each better"
        )
        return EstimatorChoice(OTHERWISE, why, compromise=True, too_slow=True)
    return EstimatorChoice(BEST, f"it sees real hands best, and takes {took_ms:.0f} of {task.period_ms:.0f} ms a pair")


def _decided(task: Task, int8_plan: Path, no_int8: str) -> EstimatorChoice | None:
    """The choice where what was asked for leaves only one; else None."""
    if task.architecture is not None:
        return EstimatorChoice(estimator_of(task.architecture), f"the weights are those of a {task.architecture}")
    if task.engine == "onnx-int8" and not int8_plan.is_file():
        return EstimatorChoice(OTHERWISE, f"{BEST} has no int8", compromise=True)
    if task.drawn:
        return EstimatorChoice(OTHERWISE, "it learnt from hands as the synthetic cameras draw them")
    return None
