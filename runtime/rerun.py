"""A recorded run that is run again: with what it had, or with other settings, and then it says so."""

from pathlib import Path

import msgspec
import torch

from capture.replay import ReplayPairs
from hand.errors import UserError
from runtime.noted_solver import SolverAsRecorded
from runtime.profile import Profile
from runtime.run_record import PROFILE, RunAbout
from runtime.settings import DECIDES_HANDS, Settings
from runtime.solver_loop import Solver, SolverOnTheSpot


class Rerun:
    """What must be as it was for the hands to come out the same."""

    def __init__(self, path: Path, about: RunAbout, pairs: ReplayPairs) -> None:
        self.pairs = pairs
        self._path = path
        self._about = about
        self._same = True

    @property
    def threads(self) -> int | None:
        """Of the engine. How a sum is shared out among threads shows in its last digits."""
        return self._about.threads

    def begin(self, now: RunAbout) -> list[str]:
        """Take over what can be; one sentence for each thing that is not as it was."""
        torch.set_num_threads(self._about.torch_threads)
        then = self._about
        changed = [key for key in DECIDES_HANDS if getattr(now.settings, key) != getattr(then.settings, key)]
        changed = [key for key in changed if key != "weights"]
        if now.weights_sha256 != then.weights_sha256:
            changed.append("weights")
        self._same = not changed
        notes = [f"not as recorded: {', '.join(changed)}; hands will differ"] if changed else []
        if now.engine != then.engine:
            notes.append(f"recorded with the engine {then.engine}; hands may differ in their last digits")
        if then.settings.record_format != "sent":
            notes.append("images were made JPEGs for the recording: hands will differ from those recorded")
        return notes

    def profile(self) -> Profile | None:
        """What an earlier run had found of the cameras, once the first pair was read. Raises UserError where it is damaged."""
        text = self.pairs.about.get(PROFILE, {}).get("profile")
        try:
            return None if text is None else msgspec.json.decode(text, type=Profile)
        except msgspec.MsgspecError as error:
            raise UserError(f"the recording {self._path} has a damaged profile of its cameras: {error}") from error

    def solver(self) -> Solver:
        """With other settings there are other problems, and solutions come at once."""
        return SolverAsRecorded(self._told) if self._same else SolverOnTheSpot()

    def _told(self):
        return self.pairs.current.solver if self.pairs.current else ""


def recorded_settings(path: Path) -> Settings:
    """Those of the recorded run. Raises UserError for what is no recording of a run."""
    return read_run(path).settings


def read_run(path: Path) -> RunAbout:
    """Raises UserError for what is no recording of a run."""
    from capture.recording import read_about
    from runtime.run_record import RUN

    return RunAbout.from_metadata(path, read_about(path, RUN))
