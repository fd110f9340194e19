"""Where the joints, bones, weights and skin regions of a hand mesh are. Joints follow anatomy, not the rig."""

import numpy as np

from hand.joints import FINGERS, MIDDLE_MCP, PARENTS, TIPS
from hand.model import BONE_JOINTS, FOREARM
from tools.make.hand_mesh import first_hit, smoothstep

WRIST_SHIFT = 0.105
"""Share of wrist bone → middle MCP by which the wrist joint is moved towards the hand: about 10 mm."""
KNUCKLE_SHIFT = {"thumb": -0.12, "index": 0.41, "middle": 0.26, "ring": 0.29, "little": 0.44}
"""Share of the proximal phalanx by which an MCP is moved from where the rig has it back to the knuckle (the thumb's forwards),
so that phalanges and metacarpals have the proportions of Buryanov and Kotiuk 2010, "Proportions of hand segments", table 1."""
TIP_DEPTH = 0.05
"""How far inside the finger the tip joint lies, in unit hands: about 5 mm, near the end of the bone."""
KNUCKLE_DEPTH = 0.06
"""How far MCPs are moved from under the skin into the metacarpal's head, in unit hands: about 5 mm."""


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


def hand_axes(joints: np.ndarray) -> np.ndarray:
    """(3, 3) rotation into hand axes: x to the little finger, y to the fingers, z out of the back of a right hand."""
    y = joints[MIDDLE_MCP] - joints[0]
    x = joints[17] - joints[5]
    y = y / np.linalg.norm(y)
    x = x - (x @ y) * y
    x /= np.linalg.norm(x)
    return np.stack([x, y, np.cross(x, y)])


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
