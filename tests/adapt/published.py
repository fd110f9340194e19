"""A few pictures in AssemblyHands' published layout, written from its description alone, and what stands in them."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hand.joints import FINGERS
from tests.runtime.hands import flexed_hand, random_rotation

SIZE_PX = (120, 90)
NAMES = ("HMC_21176875", "HMC_21176623", "HMC_21110305", "HMC_21179183")
"""The first headset's, in the order of their numbers."""
SEQUENCE = "nusar-2021_action_both_0000"
FRAMES = (6, 8, 10)
K = [[70.0, 0, 61.5], [0, 70.0, 43.0], [0, 0, 1]]
TIP_FIRST = [joint for chain in FINGERS.values() for joint in reversed(chain)] + [0]
"""Our number of each joint, as AssemblyHands lists a hand's: of each finger from its tip on, the wrist last."""


class Published:
    """Three frames of two hands before four cameras; what is in `data`, `calib` and `joints` may be changed before `write`."""

    def __init__(self, root: Path):
        self.root = root
        rng = np.random.default_rng(0)
        self.world_mm = {frame: self._hands(rng) for frame in FRAMES}
        """(2, 21, 3) right and left hand, world axes, our order."""
        self.extrinsics = {(frame, camera): self._camera(rng) for frame in FRAMES for camera in range(4)}
        """(3, 4)."""
        images, annotations = [], []
        for frame in FRAMES:
            for camera, name in enumerate(NAMES):
                number = len(images) + 100
                width, height = SIZE_PX
                images.append(
                    {
                        "id": number,
                        "file_name": self.name(frame, camera),
                        "seq_name": SEQUENCE,
                        "camera": name,
                        "frame_idx": frame,
                        "width": width,
                        "height": height,
                    }
                )
                boxes = {side: [10.0 + camera, 20.0, 60.0 + camera, 50.0] for side in ("right", "left")}
                annotations.append({"id": number, "image_id": number, "bbox": boxes, "joint_valid": [[1.0]] * 42})
        self.data: dict[str, Any] = {"images": images, "annotations": annotations}
        cameras = {
            f"{frame:06d}": {f"{NAMES[c]}_mono10bit": self.extrinsics[frame, c].tolist() for c in range(4)} for frame in FRAMES
        }
        intrinsics = {f"{name}_mono10bit": K for name in NAMES}
        self.calib: dict[str, Any] = {"calibration": {SEQUENCE: {"intrinsics": intrinsics, "extrinsics": cameras}}}
        told = {f"{frame:06d}": {"world_coord": self.world_mm[frame][:, TIP_FIRST].reshape(42, 3).tolist()} for frame in FRAMES}
        self.joints: dict[str, Any] = {"annotations": {SEQUENCE: told}}

    def name(self, frame: int, camera: int) -> str:
        return f"ego_images_rectified/val/{SEQUENCE}/{NAMES[camera]}_mono10bit/{frame:06d}.jpg"

    def picture(self, frame: int, camera: int) -> Path:
        return self.root / "images" / self.name(frame, camera)

    def annotation(self, frame: int, camera: int) -> dict[str, Any]:
        return self.data["annotations"][FRAMES.index(frame) * 4 + camera]

    def file(self, kind: str) -> Path:
        return self.root / "annotations" / "val" / f"assemblyhands_val_{kind}_v1-1.json"

    def write(self, pictures: bool = True) -> None:
        for kind, content in (("ego_data", self.data), ("ego_calib", self.calib), ("joint_3d", self.joints)):
            self.file(kind).parent.mkdir(parents=True, exist_ok=True)
            self.file(kind).write_text(json.dumps(content))
        for frame in FRAMES if pictures else ():
            for camera in range(4):
                self.picture(frame, camera).parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(self.picture(frame, camera)), np.full((SIZE_PX[1], SIZE_PX[0]), 40 * (camera + 1), np.uint8))

    @staticmethod
    def _hands(rng: np.random.Generator) -> np.ndarray:
        hand = flexed_hand(rng.uniform(0.1, 0.6)) * 90 @ random_rotation(rng).T
        return np.stack([hand, hand * [-1, 1, 1] + [120.0, 5, 0]]) + rng.normal(0, 30, 3)

    @staticmethod
    def _camera(rng: np.random.Generator) -> np.ndarray:
        """A camera that has the hands in front of it, wherever it is."""
        return np.concatenate([random_rotation(rng), [[10.0], [-5.0], [600.0]]], 1)
