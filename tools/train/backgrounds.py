"""Collect background photographs for rendered hands: `python -m tools.train.backgrounds`.

The pictures come from Debian's wallpaper packages (downloaded and unpacked, not installed) and from the samples of
scikit-image and scikit-learn where those are installed. They are shrunk into one file under `data/`, which is not committed:
each package keeps its own licence. Every sixth picture is held out for validation.
"""

import subprocess
import tempfile
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import save
from tqdm import tqdm

from hand import program
from hand.errors import UserError
from hand.files import saving
from hand.outputs import ProgramFiles

SIZE = (192, 256)
"""(height, width) of a stored picture."""
PACKAGES = ("gnome-backgrounds", "plasma-workspace-wallpapers", "lomiri-wallpapers-20.04", "mate-backgrounds")
DEFAULT_BANK = Path("data/backgrounds.safetensors")


@dataclass
class Settings:
    """Collect background photographs."""

    out: Path = DEFAULT_BANK
    folder: list[Path] = field(default_factory=list)
    """Folders of further pictures."""
    packages: bool = True
    """Download Debian's wallpaper packages (needs apt)."""
    overwrite: bool = False
    """Replace files that are there already."""


def download(packages: tuple[str, ...], into: Path) -> None:
    """Fetch and unpack Debian packages below `into`, without installing them."""
    try:
        subprocess.run(["apt-get", "-q", "download", *packages], cwd=into, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError("apt-get is not here to fetch wallpapers; give --no-packages and --folder FOLDER of pictures") from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().splitlines()[-1]
        raise UserError(f"apt-get download failed ({reason}); run 'apt-get update' first, or give --no-packages") from None
    for package in into.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(into)], check=True)


def pictures(folder: Path) -> list[Path]:
    """The picture files below a folder; of one motif in several sizes only the largest."""
    files = [p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp", ".jxl") and p.is_file()]
    motifs: dict[Path, Path] = {}
    for path in sorted(files):
        motif = path.parent if path.parent.name.startswith("images") else path
        if motif not in motifs or path.stat().st_size > motifs[motif].stat().st_size:
            motifs[motif] = path
    return list(motifs.values())


def shrink(path: Path) -> list[np.ndarray]:
    """RGB uint8 tiles of `SIZE`: the whole picture and, of a large one, four details; none if it is unreadable, flat or tiny."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None or min(image.shape[:2]) < 150 or image.std() < 8:
        return []
    height, width = image.shape[:2]
    tiles = [image]
    if height >= 4 * SIZE[0] and width >= 4 * SIZE[1]:
        corners = ((0, 0), (1 / 3, 1 / 3), (1 / 2, 1 / 8), (1 / 2, 1 / 2))
        tiles += [image[int(y * height) :, int(x * width) :][: height // 3, : width // 3] for y, x in corners]
    resized = (cv2.resize(tile, SIZE[::-1], interpolation=cv2.INTER_AREA) for tile in tiles)
    return [cv2.cvtColor(tile, cv2.COLOR_BGR2RGB) for tile in resized if tile.std() > 8]


def main(settings: Settings) -> None:
    files = ProgramFiles(overwrite=settings.overwrite).reads("--folder", *settings.folder, whole=True)
    files.writes("--out", settings.out, plain=True).check()
    with tempfile.TemporaryDirectory() as temporary:
        folders = list(settings.folder)
        if settings.packages:
            print("downloading", ", ".join(PACKAGES))
            download(PACKAGES, Path(temporary))
            folders.append(Path(temporary))
        for name in ("skimage", "sklearn"):
            spec = find_spec(name)
            if spec and spec.submodule_search_locations:
                folders.append(Path(spec.submodule_search_locations[0]))
        sources = [path for folder in folders for path in pictures(folder)]
        train, held_out = [], []
        for number, path in enumerate(tqdm(sources, desc="pictures")):
            (held_out if number % 6 == 5 else train).extend(shrink(path))
    if not train or not held_out:
        raise UserError(f"only {len(sources)} pictures were found, at least 6 are needed; give --folder FOLDER of pictures")
    with saving(settings.out) as part:
        part.write_bytes(save({"train": np.stack(train), "held_out": np.stack(held_out)}))
    print(f"{settings.out}: {len(train)} tiles to train, {len(held_out)} held out, from {len(sources)} pictures")


if __name__ == "__main__":
    program.run(main, Settings)
