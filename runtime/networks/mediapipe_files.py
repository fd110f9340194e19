"""Where MediaPipe's hand models are kept, and which ones they are."""

import hashlib
from pathlib import Path
from typing import Literal

from hand.errors import UserError
from hand.folders import cache_folder

VERSION = "0.10.21"
"""Of the package that the models come from; newer ones carry no models."""
PALMS = "palm_detection_full.tflite"
MediaPipeName = Literal["mediapipe", "mediapipe-lite"]
LANDMARKS: dict[MediaPipeName, str] = {"mediapipe": "hand_landmark_full.tflite", "mediapipe-lite": "hand_landmark_lite.tflite"}
"""The landmark model of each estimator."""
SHA256 = {
    PALMS: "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
    LANDMARKS["mediapipe"]: "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
    LANDMARKS["mediapipe-lite"]: "048edd3645c9bf7397d19a9f6e3a42957d6e414c9bea6598030a2e9b624156e6",
}


class ModelsNotFetched(UserError):
    """MediaPipe's models, which are optional, are not there."""


def folder() -> Path:
    """The user's own cache; nothing of these models is part of the project."""
    return cache_folder(f"mediapipe-{VERSION}")


def model_file(name: str) -> Path:
    """One of the models. Raises ModelsNotFetched where it was not fetched, UserError where it is another one."""
    file = folder() / name
    advice = "fetch MediaPipe's models once with python -m tools.get_mediapipe (36 MB), or choose another --estimator"
    if not file.is_file():
        raise ModelsNotFetched(f"{file} is not there: {advice}")
    if hashlib.sha256(file.read_bytes()).hexdigest() != SHA256[name]:
        raise UserError(f"{file} is not the model of mediapipe {VERSION}: {advice}")
    return file


def models_installed() -> bool:
    """Whether all models were fetched."""
    try:
        for name in SHA256:
            model_file(name)
    except UserError:
        return False
    return True
