"""Make `hand/assets/foreign_hand.safetensors`, the hand for evaluation, never for training, from WebXR's generic hand (MIT).

    npm pack @webxr-input-profiles/assets@1.0.20 --pack-destination data
    pip install -e '.[make]' && python -m tools.make.foreign_hand

Running the project does not need this: the result is committed. Another artist's mesh and rig get our axes, joint order,
bones and a forearm. What is moved, so that a joint means the same on both hands: the wrist to the wrist's crease, the
thumb's CMC to the base of its metacarpal, the tips outwards; the thumb and the fan of the fingers rest as our hand's do, since
the pose prior counts its angles from there. Lengths are unit hands.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from hand import program
from hand.files import saving
from hand.joints import FINGERS, MIDDLE_MCP, PARENTS, unit_hand
from hand.model import BONE_JOINTS, FOREARM, FOREIGN_ASSET, HandModel
from hand.outputs import ProgramFiles
from tools.make.hand_mesh import FOREARM_LENGTH, FOREARM_RINGS, boundary_loop, forearm_faces, smoothstep, vertex_normals
from tools.make.hand_rig import hand_axes, regions
from tools.make.webxr_rig import PACKAGE, VERSION, Rig, bone_frame, read_package, read_rig

WRIST_SHIFT = 0.08
"""Share of the rig's wrist → middle MCP by which the wrist is moved to the crease: as on our hand, the arm widens from there."""
CMC_SHIFT = 0.4
"""Share of the rig's thumb metacarpal by which the CMC is moved back to the bone's base, as far from the wrist as on our hand."""
TIP_DEPTH = 0.064
"""How far inside the finger's end the tip joint lies, in unit hands, as on our hand; the rig's lies 0.10 to 0.14 inside."""

FINGER_LENGTH, THUMB_LENGTH, OUTER_LENGTH = 0.06, 0.05, 0.05
"""What one standard deviation of a shape component lengthens bones by: all fingers', the thumb's, and those of ring and
little finger against those of index and middle finger. These and the next are chosen to look human, not measured."""
FINGER_GIRTH, PALM_WIDTH, PALM_DEPTH, ARM_GIRTH = 0.09, 0.07, 0.08, 0.06
"""What one standard deviation adds across fingers, palm (side to side, back to front) and forearm."""


@dataclass
class Settings:
    """Make the foreign hand's asset."""

    package: Path = Path("data") / f"webxr-input-profiles-assets-{VERSION}.tgz"
    """As npm packs it."""
    out: Path = FOREIGN_ASSET
    overwrite: bool = False
    """Replace files that are there already."""


def place(rig: Rig) -> Rig:
    """The rig in hand axes and unit hands, its joints where ours are: wrist, CMC and tips moved."""
    joints = rig.joints.copy()
    joints[0] += WRIST_SHIFT * (joints[MIDDLE_MCP] - joints[0])
    joints[1] += CMC_SHIFT * (joints[1] - joints[2])
    turn, size = hand_axes(joints), np.linalg.norm(joints[MIDDLE_MCP] - joints[0])
    vertices = (rig.vertices - joints[0]) @ turn.T / size
    joints = unit_hand(joints) @ turn.T
    for _, _, last, tip in FINGERS.values():
        along = (joints[tip] - joints[last]) / np.linalg.norm(joints[tip] - joints[last])
        offset = vertices - joints[last]
        reach = offset @ along
        beside = np.linalg.norm(offset - reach[:, None] * along, axis=1)
        joints[tip] = joints[last] + (reach[beside < 0.16].max() - TIP_DEPTH) * along
    axes = np.stack([bone_frame(turn @ flex, turn @ along) for flex, along, _ in rig.axes])
    axes[0] = [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]
    return Rig(vertices, rig.faces, rig.weights, joints, axes)


def open_wrist(rig: Rig) -> Rig:
    """The rig without the lid on its wrist."""
    a, b, c = (rig.vertices[rig.faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    lid = (normal[:, 1] < -0.7 * np.linalg.norm(normal, axis=1)) & (((a + b + c) / 3)[:, 1] < -0.1)
    faces = rig.faces[~lid]
    kept, faces = np.unique(faces, return_inverse=True)
    return Rig(rig.vertices[kept], faces.reshape(-1, 3), rig.weights[kept], rig.joints, rig.axes)


def rest_as(rig: Rig, model: HandModel) -> Rig:
    """The rig at rest with the thumb turned as `model` holds it and the fingers fanned as its fingers are."""
    targets, model_joints = model.axes.double().numpy(), model.joints.double().numpy()
    rotations = np.tile(np.eye(3), (FOREARM + 1, 1, 1))
    for finger, chain in FINGERS.items():
        bones = [BONE_JOINTS.index(joint) for joint in chain[:3]]
        if finger == "thumb":
            rotations[bones] = targets[bones].transpose(0, 2, 1) @ rig.axes[bones]
        else:
            theirs, own = (np.subtract(j[chain[1]], j[chain[0]]) for j in (model_joints, rig.joints))
            angle = np.arctan2(theirs[1], theirs[0]) - np.arctan2(own[1], own[0])
            cos, sin = np.cos(angle), np.sin(angle)
            rotations[bones] = [[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]
    joints = rig.joints.copy()
    for joint, parent in enumerate(PARENTS):
        if joint:
            joints[joint] = joints[parent] + rotations[BONE_JOINTS.index(parent)] @ (rig.joints[joint] - rig.joints[parent])
    pivots = [*BONE_JOINTS, 0]
    moved = np.einsum("bij,bvj->bvi", rotations, rig.vertices - rig.joints[pivots, None]) + joints[pivots, None]
    vertices = np.einsum("vb,bvi->vi", rig.weights, moved)
    return Rig(vertices, rig.faces, rig.weights, joints, rig.axes @ rotations[:FOREARM].transpose(0, 2, 1))


def join_forearm(rig: Rig) -> Rig:
    """The rig with a forearm at its open wrist, closed at the elbow: rounder than the wrist and thicker, as seen in life."""
    loop = boundary_loop(rig.faces)
    ring = rig.vertices[loop]
    centre = ring.mean(0)
    radius = np.linalg.norm((ring - centre)[:, [0, 2]], axis=1).mean()
    rings = []
    for step in np.linspace(0, 1, FOREARM_RINGS + 1)[1:]:
        spread = (ring - centre) * [1, max(0.0, 1 - 4 * step), 1]
        across = spread[:, [0, 2]]
        circle = across / np.linalg.norm(across, axis=1, keepdims=True) * radius
        rounder = smoothstep(np.array(step), 0.0, 0.7)
        spread[:, [0, 2]] = (across * (1 - rounder) + circle * rounder) * (1 + 0.6 * smoothstep(np.array(step), 0.05, 0.75))
        rings.append(centre + spread - [0, step * FOREARM_LENGTH, 0])
    first = len(rig.vertices)
    vertices = np.concatenate([rig.vertices, *rings])
    weights = np.concatenate([rig.weights, np.zeros((len(vertices) - first, FOREARM + 1))])
    weights[first:, 0] = 1
    arm = smoothstep(-vertices[:, 1], -0.06, 0.16)
    weights *= (1 - arm)[:, None]
    weights[:, FOREARM] += arm
    return Rig(vertices, np.concatenate([rig.faces, forearm_faces(loop, first)]), weights, rig.joints, rig.axes)


def shape_components(rig: Rig) -> tuple[np.ndarray, np.ndarray]:
    """(K, V, 3) and (K, 21, 3): what one standard deviation adds to skin and joints."""
    chains = {name: [BONE_JOINTS.index(joint) for joint in chain[:3]] for name, chain in FINGERS.items()}
    fingers = [bone for name, bones in chains.items() if name != "thumb" for bone in bones]
    inner, outer = chains["index"] + chains["middle"], chains["ring"] + chains["little"]
    # Per component: stretch of each bone about its joint, along its (flexion axis, direction, dorsal direction).
    stretch = np.zeros((7, FOREARM + 1, 3))
    stretch[0, fingers, 1] = FINGER_LENGTH
    stretch[1][np.ix_(range(1, FOREARM), (0, 2))] = FINGER_GIRTH
    stretch[2, 0, 0] = PALM_WIDTH
    stretch[3, 0, 2] = PALM_DEPTH
    stretch[4, chains["thumb"], 1] = THUMB_LENGTH
    stretch[5, outer, 1], stretch[5, inner, 1] = OUTER_LENGTH, -OUTER_LENGTH
    stretch[6][np.ix_((FOREARM,), (0, 2))] = ARM_GIRTH

    axes = np.concatenate([rig.axes, rig.axes[:1]])
    matrices = np.einsum("bai,kba,baj->kbij", axes, stretch, axes)
    joints = np.zeros((len(stretch), len(PARENTS), 3))
    for joint, parent in enumerate(PARENTS):
        if joint:
            offset = rig.joints[joint] - rig.joints[parent]
            joints[:, joint] = joints[:, parent] + matrices[:, BONE_JOINTS.index(parent)] @ offset
    pivots = [*BONE_JOINTS, 0]
    moved = np.einsum("kbij,bvj->kbvi", matrices, rig.vertices - rig.joints[pivots, None]) + joints[:, pivots, None]
    return np.einsum("vb,kbvi->kvi", rig.weights, moved), joints


def make(glb: bytes) -> dict[str, np.ndarray]:
    """The asset's tensors, named as in `hand.safetensors`."""
    rig = join_forearm(rest_as(open_wrist(place(read_rig(glb))), HandModel.load()))
    shape_vertices, shape_joints = shape_components(rig)
    labels = regions(rig.vertices, vertex_normals(rig.vertices, rig.faces), rig.joints, rig.weights, rig.axes)
    return {
        "vertices": rig.vertices.astype(np.float32),
        "joints": rig.joints.astype(np.float32),
        "shape_vertices": shape_vertices.astype(np.float16),
        "shape_joints": shape_joints.astype(np.float16),
        "faces": rig.faces.astype(np.int16),
        "bone_axes": rig.axes.astype(np.float32),
        "weights": rig.weights.astype(np.float16),
        **{f"region_{name}": values.astype(np.float16) for name, values in labels.items()},
    }


def main(settings: Settings) -> None:
    files = ProgramFiles(overwrite=settings.overwrite).reads("--package", settings.package)
    files.writes("--out", settings.out, plain=True).check()
    tensors = make(read_package(settings.package))
    # One entry alone: the order of several is not always the same, and the file shall be.
    source = (
        f"npm {PACKAGE} {VERSION}, generic-hand/right.glb (MIT, Copyright (c) 2019 Amazon), by python -m tools.make.foreign_hand"
    )
    with saving(settings.out) as part:
        part.write_bytes(save(tensors, metadata={"source": source}))
    counts = f"{len(tensors['vertices'])} vertices, {len(tensors['faces'])} triangles"
    print(f"{settings.out}: {counts}, {settings.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    program.run(main, Settings)
