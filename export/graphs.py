"""Export the graphs that ship, without weights: `python -m export.graphs`. Needed after a network's code changed."""

from dataclasses import dataclass
from pathlib import Path

from hand import program
from runtime.networks.graph import SHIPPED, export_graph, write
from runtime.networks.mediapipe_base import ARCHITECTURE_OF
from runtime.networks.mediapipe_landmarks import INPUT_PX
from runtime.networks.weights import ASSETS, DEFAULT_WEIGHTS, Manifest, load_network


@dataclass
class Settings:
    """Export the graphs that ship, without weights."""

    to: Path = ASSETS


def manifests() -> list[Manifest]:
    """Of the networks whose graphs ship: of our weights, DetNet as published, MediaPipe's models, and ours on one of them."""
    detnet = Manifest(architecture="detnet", root=0, crop_size=128, map_size=32, axes="frame", training_data="none")
    landmarks = [
        Manifest(architecture=architecture, root=0, crop_size=INPUT_PX, axes="crop", training_data="none")
        for architecture in (*ARCHITECTURE_OF.values(), "mediapipe-3d")
    ]
    return [load_network(DEFAULT_WEIGHTS)[1], detnet, *landmarks]


def main(settings: Settings) -> None:
    for manifest in manifests():
        path = settings.to / SHIPPED[manifest.architecture].name
        write(export_graph(manifest), path)
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    program.run(main, Settings)
