"""Fetch MediaPipe's hand models, which the first run of an estimator that uses them does too: `python -m tools.get_mediapipe`.

What is taken from where, and how: `runtime.networks.mediapipe_fetch`.
"""

from dataclasses import dataclass
from pathlib import Path

from hand import program
from runtime.networks.mediapipe_fetch import fetch_models
from runtime.networks.mediapipe_files import folder, models_installed


@dataclass
class Settings:
    """Fetch MediaPipe's hand models."""

    wheel: Path | None = None
    """A downloaded wheel, in place of a download."""
    again: bool = False
    """Fetch them even if they are there already."""


def fetch(settings: Settings) -> Path:
    """Put the models into the user's cache; returns the folder. Raises UserError where that fails."""
    if not settings.again and models_installed():
        print(f"MediaPipe's models are there already: {folder()}")
        return folder()
    to = fetch_models(settings.wheel, again=settings.again)
    print(f"MediaPipe's models (Apache-2.0) are in {to}: --estimator auto uses them where they keep up with the cameras")
    return to


def main(settings: Settings) -> None:
    fetch(settings)


if __name__ == "__main__":
    program.run(main, Settings)
