"""What was found of two cameras: list it, or write it for OpenCV, Kalibr, Anipose and freemocap.

duohand calibration list
duohand calibration export hands.jsonl cameras.yml
duohand calibration export session.mcap camchain.yaml --format kalibr
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from tyro.conf import Positional

from capture.views import PerView
from hand import program
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.files import saving
from hand.outputs import ProgramFiles
from runtime.calibration.camera_profile import Profile, default_folder, load_profile
from runtime.calibration.formats.writing import WRITERS, FoundCameras
from runtime.geometry.two_view import TwoViewGeometry
from runtime.outputs.hand_line import HandLine
from tools.hand_files.reading import read_shown

Format = Literal["opencv", "kalibr", "anipose"]
PROFILE = ".json"
_ENDINGS: dict[Format, tuple[str, ...]] = {"opencv": (".yml", ".yaml"), "kalibr": (".yml", ".yaml"), "anipose": (".toml",)}


def export(found: Positional[Path], to: Positional[Path], format: Format | None = None, overwrite: bool = False) -> None:
    """Write the cameras that a run found as another program reads them.

    Args:
        found: hands.jsonl of --save, a recording of --record, or a profile of two cameras (duohand calibration list).
        to: A new file.
        format: Who is to read it: OpenCV (FileStorage), Kalibr (camchain) or Anipose and freemocap (TOML); none: by the ending of
            the new file, .yml for OpenCV, .toml for Anipose.
        overwrite: Replace a file that is there already.

    """
    chosen: Format = format or ("anipose" if to.suffix.lower() == ".toml" else "opencv")
    files = ProgramFiles(overwrite=overwrite).reads("FOUND", found)
    files.writes("TO", to, suffixes=_ENDINGS[chosen], plain=True).check()
    cameras = _of_profile(found) if found.suffix.lower() == PROFILE else _of_hands(found)
    text = WRITERS[chosen](cameras)
    with saving(to) as part:
        part.write_text(text, encoding="utf-8")
    certain = "" if cameras.rotation_deg is None else f", rotation +- {cameras.rotation_deg:.1f} deg"
    apart_mm = float(np.linalg.norm(cameras.geometry.t_right_from_left_mm))
    print(f"{to}: cameras {apart_mm:.0f} mm apart{certain}, for {chosen}; --calibration {to} reads it too")


def list_profiles() -> None:
    """List what is kept of two cameras between runs: when it was found, how certain it is, and its file."""
    files = sorted(default_folder().glob(f"*{PROFILE}"))
    for file in files:
        try:
            print(_line(file, _profile(file)))
        except UserError as error:
            print(error, file=sys.stderr)
    if not files:
        print(f"nothing is kept in {default_folder()}: a run with two live cameras keeps what it finds")


def _line(file: Path, profile: Profile) -> str:
    apart_mm = float(np.linalg.norm(profile.t_right_from_left_mm))
    sources = " and ".join(camera.source for camera in profile.cameras)
    return f"{sources}: {apart_mm:.0f} mm apart, rotation +- {profile.rotation_deg:.1f} deg, {profile.saved_at}\n    {file}"


def _profile(file: Path) -> Profile:
    profile = load_profile(file)
    if profile is None:
        raise UserError(f"{file} is not there: duohand calibration list names what is kept")
    return profile


def _of_profile(file: Path) -> FoundCameras:
    profile = _profile(file)
    focal_percent = profile.cameras.map(lambda camera: camera.focal_percent)
    return FoundCameras(profile.geometry(), profile.rotation_deg, profile.baseline_deg, focal_percent, profile.hand_size_mm)


def _of_hands(file: Path) -> FoundCameras:
    """The cameras of the last hand that was fitted to any."""
    hands = read_shown(file)
    hand = next((hand for hand in reversed(hands) if hand.cameras), None)
    if hand is None:
        raise UserError(f"{file}: the cameras were not found in its {len(hands):,} hands; the run's summary says why")
    return _of_hand(file, hand)


def _of_hand(file: Path, hand: HandLine) -> FoundCameras:
    cameras = hand.cameras
    assert cameras is not None and hand.R_right_from_left is not None
    if cameras.size_px is None or cameras.centre_px is None:
        raise UserError(f"{file} does not say the size of the frames, as an earlier release wrote it: run again with --save")
    focal_px, centre, size = cameras.focal_px, cameras.centre_px, cameras.size_px
    both = PerView(
        PinholeCamera(focal_px.left, (centre.left[0], centre.left[1]), (int(size.left[0]), int(size.left[1]))),
        PinholeCamera(focal_px.right, (centre.right[0], centre.right[1]), (int(size.right[0]), int(size.right[1]))),
    )
    geometry = TwoViewGeometry(both, np.array(hand.R_right_from_left), np.array(cameras.t_right_from_left_mm))
    return FoundCameras(geometry, hand.rotation_uncertainty_deg, hand_size_mm=hand.hand_size_mm)


COMMANDS: dict[str, Callable[..., None]] = {"list": list_profiles, "export": export}


def main(arguments: Sequence[str] | None = None, prog: str = "tools.calibration") -> int:
    """Do what a command line asks for; the exit code."""
    return program.code_of(
        lambda: tyro.extras.subcommand_cli_from_dict(COMMANDS, prog=prog, description=__doc__, args=arguments), prog
    )


if __name__ == "__main__":
    program.run_line(main)
