"""Adaptation brings two views of real crops together, through the rotation that it is given, and answers in the right axes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adapt.core.augment import Augmenter
from adapt.core.crop_pairs import CropPairs
from adapt.core.losses import Loss, adaptation_loss
from adapt.core.mean_teacher import MeanTeacher, StepFigures
from adapt.core.rehearsal import Rehearsal, render_bank
from adapt.core.targets import FAITHFUL, GeometryLabelBatch, LabelSource, Recipe, Targets
from capture.sources import synthetic
from capture.views import VIEWS, PerView, View
from hand.joints import unit_hand
from hand.rotations import angle_deg, from_vector
from runtime.estimators.crop import CropCamera, HandCrop
from runtime.estimators.framing import AROUND_JOINTS, box_around, roll_of
from runtime.networks.detnet import DetNet
from runtime.networks.detnet_lite import DetNetLite
from runtime.networks.network import Decoded, HandNetwork, MapNetwork, Maps
from runtime.networks.weights import Manifest
from runtime.types import HandBox, Side
from tests.runtime.hands import moving_hand, random_rotation
from tests.runtime.scenes import CAMERAS

OUTSIDE = 8
"""A joint that is taught beyond its crop."""
FROM_LEFT = PerView((np.eye(3), np.zeros(3)), (synthetic.R_RIGHT_FROM_LEFT, synthetic.RIGHT_IN_LEFT_MM))


@pytest.fixture(scope="module")
def headset(shipped) -> Iterator[CropPairs]:
    """The synthetic headset's first frames, cut around the hand in both views."""
    with pytest.MonkeyPatch.context() as patch:
        # Drawing the whole loop takes half a minute.
        patch.setattr(synthetic, "FRAMES", 16)
        sources = PerView.of(synthetic.SyntheticSource)
        frames = sources.map(lambda source: source.frames(0, paced=False))

        def crop(view: View) -> HandCrop:
            _, captured_ns, image = next(frames[view])
            R, place = FROM_LEFT[view]
            camera = sources[view].camera
            pixels = camera.project((synthetic.truth(captured_ns) - place) @ R.T)
            roll_deg = roll_of(pixels)
            centre, size = box_around(pixels, roll_deg)
            box = HandBox(view, "right", (centre[0], centre[1]), size, 1.0, roll_deg)
            return HandCrop.cut(box, camera, image, shipped[1].crop_size)

        yield CropPairs.of([PerView.of(crop) for _ in range(16)])


def error(network: HandNetwork, headset: CropPairs) -> float:
    """Mean distance of both views' joints from the truth, hands."""
    truth = unit_hand(np.stack([synthetic.truth(number * synthetic.PERIOD_NS) for number in range(len(headset))]))

    def of(view: View) -> float:
        with torch.inference_mode():
            joints = network(headset.images[view]).joints.double() @ headset.frame_from_crop("crop")[view].mT
        return float(np.linalg.norm(joints.numpy() - truth @ FROM_LEFT[view][0].T, axis=-1).mean())

    return sum(PerView.of(of)) / 2


def parameters(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def norms(network: nn.Module) -> Tensor:
    """Everything that batch-norms hold."""
    layers = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    return torch.cat([value.float().flatten() for layer in layers for value in layer.state_dict().values()])


def test_steps_bring_the_views_together_and_leave_the_rest_alone(shipped, headset):
    network, manifest = shipped
    before = parameters(network)
    off = error(network, headset)
    adaptation = MeanTeacher(network, manifest)
    torch.testing.assert_close(parameters(adaptation.student), parameters(adaptation.teacher), rtol=0, atol=0)
    frozen = norms(adaptation.student)

    figures = [adaptation.step(headset, synthetic.R_RIGHT_FROM_LEFT) for _ in range(6)]

    assert figures[-1].apart < 0.75 * figures[0].apart
    assert figures[-1].batch_off_deg < figures[0].batch_off_deg
    # What the views agree on is what is true, here, where the rotation is true.
    assert error(adaptation.teacher, headset) < 0.9 * off
    np.testing.assert_array_equal(adaptation.R_right_from_left, synthetic.R_RIGHT_FROM_LEFT)
    for trained in (adaptation.student, adaptation.teacher):
        torch.testing.assert_close(norms(trained), frozen, rtol=0, atol=0)
        assert not trained.training
    assert (parameters(adaptation.student) != parameters(adaptation.teacher)).any()
    torch.testing.assert_close(parameters(network), before, rtol=0, atol=0)


def test_the_first_step_moves_the_teacher_half_of_the_way(shipped, headset):
    adaptation = MeanTeacher(*shipped)
    start = parameters(adaptation.teacher)
    adaptation.step(headset, synthetic.R_RIGHT_FROM_LEFT)
    torch.testing.assert_close(parameters(adaptation.teacher), (start + parameters(adaptation.student)) / 2)


def test_the_same_batches_give_the_same_network(shipped, headset):
    first, second = (MeanTeacher(*shipped) for _ in range(2))
    for adaptation in (first, second):
        adaptation.step(headset)
        adaptation.step(headset)
    torch.testing.assert_close(parameters(first.teacher), parameters(second.teacher), rtol=0, atol=0)
    np.testing.assert_array_equal(first.R_right_from_left, second.R_right_from_left)


def test_without_a_rotation_the_pairs_tell_it(shipped, headset):
    adaptation = MeanTeacher(*shipped)
    assert adaptation.R_right_from_left is None
    adaptation.initialize_rotation(headset)
    begun = adaptation.R_right_from_left
    assert begun is not None and angle_deg(begun, synthetic.R_RIGHT_FROM_LEFT) < 30
    adaptation.step(headset)
    assert adaptation.R_right_from_left is not None
    assert 0 < angle_deg(adaptation.R_right_from_left, begun) < 0.1


@pytest.mark.parametrize("recipe", [Recipe(rate=1e-5), FAITHFUL], ids=["ours", "faithful"])
def test_the_published_architecture_learns_too(recipe):
    torch.manual_seed(0)
    network = HandNetwork(DetNet(root=9), 32).eval()
    manifest = Manifest(architecture="detnet", root=9, crop_size=32, map_size=8, axes="frame", training_data="none")
    images = PerView.of(lambda view: torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8))
    turns = PerView.of(lambda view: torch.eye(3, dtype=torch.float64).expand(2, 3, 3))
    pairs = CropPairs(images, turns, torch.tensor([False, True]))
    adaptation = MeanTeacher(network, manifest, recipe, np.eye(3))
    frozen = norms(adaptation.student)
    figures = [adaptation.step(pairs) for _ in range(2)]
    assert all(np.isfinite(f.loss) and f.loss > 0 for f in figures)
    torch.testing.assert_close(norms(adaptation.student), frozen, rtol=0, atol=0)
    assert (parameters(adaptation.teacher) != parameters(network)).any()


class Knowing(MapNetwork):
    """A network that knows every crop's hand by its first pixel."""

    heat_sigma = 1.2

    def __init__(self, hands: np.ndarray):
        super().__init__()
        self.root = 0
        self.register_buffer("known", torch.tensor(hands, dtype=torch.float32))
        self.offset = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Maps:
        which = ((images[:, 0, 0, 0] + 0.5) * 255).round().long()
        location = (self.get_buffer("known")[which] + self.offset).flatten(1)[..., None, None].expand(-1, -1, 4, 4)
        return Maps(torch.full((len(images), 21, 4, 4), 0.9), torch.zeros_like(location), location)

    def decode(self, maps: Maps, size: int) -> Decoded:
        return Decoded(maps.location[..., 0, 0].unflatten(1, (21, 3)), torch.zeros(len(maps.heat), 21, 2), maps.heat.amax((2, 3)))


@dataclass(frozen=True, slots=True)
class Known:
    """Eight hands, and a network that knows them in both views' crops."""

    pairs: CropPairs
    joints: PerView[np.ndarray]
    """(8, 21, 3) in the cameras' axes."""
    R: np.ndarray
    network: HandNetwork
    manifest: Manifest

    @classmethod
    def of(cls, side: Side, axes: Literal["crop", "frame"]) -> "Known":
        rng = np.random.default_rng(3)
        R, count = random_rotation(rng), 8
        truth = unit_hand(moving_hand(rng, count))
        in_frame = PerView(truth, truth @ R.T)

        def camera(view: View) -> CropCamera:
            frame = CAMERAS[view]
            centre = rng.uniform(0.1, 0.9, 2) * frame.size_px
            return CropCamera.at(frame, centre, 80.0, 8, mirror=side == "left", roll_deg=rng.uniform(-180, 180))

        cameras = [PerView.of(camera) for _ in range(count)]
        known = np.empty((2 * count, 21, 3))
        pairs = []
        for number, pair in enumerate(cameras):
            crops = []
            for place, view in enumerate(VIEWS):
                joints = in_frame[view][number]
                own = pair[view].joints_in_crop(joints) if axes == "crop" else pair[view].unmirrored(joints)
                known[2 * number + place] = own
                crops.append(HandCrop(view, side, pair[view], np.full((8, 8, 3), 2 * number + place, np.uint8)))
            pairs.append(PerView(*crops))
        manifest = Manifest(architecture="detnet", root=0, crop_size=8, map_size=4, axes=axes, training_data="none")
        return cls(CropPairs.of(pairs), in_frame, R, HandNetwork(Knowing(known), 8), manifest)


SIDES = pytest.mark.parametrize("side", ["right", "left"])
AXES = pytest.mark.parametrize("axes", ["crop", "frame"])


@SIDES
@AXES
def test_views_that_agree_in_camera_axes_give_no_location_loss(side: Side, axes):
    known = Known.of(side, axes)
    figures = MeanTeacher(known.network, known.manifest).step(known.pairs, known.R)
    assert figures.apart < 1e-5 and figures.location < 1e-4 and figures.batch_off_deg < 0.01
    turned = known.R @ from_vector(np.array([0.0, 0.3, 0.0]))
    wrong = MeanTeacher(known.network, known.manifest).step(known.pairs, turned)
    assert wrong.apart > 0.1 and wrong.location > 0.01


@SIDES
@AXES
def test_labels_in_camera_axes_become_targets_in_crop_axes(side: Side, axes):
    known = Known.of(side, axes)

    def location(joints: PerView[np.ndarray]) -> float:
        told = taught(joints.map(lambda x: torch.tensor(x, dtype=torch.float32)), size=8)
        return (
            MeanTeacher(known.network, known.manifest)
            .step(known.pairs, known.R, labels="geometry", geometry_labels=told)
            .location
        )

    assert location(known.joints) < 1e-4
    assert location(PerView(known.joints.right, known.joints.left)) > 0.1
    assert location(known.joints.map(lambda x: x * np.array([-1, 1, 1]))) > 0.1


def taught(joints: PerView[Tensor], size: int, weight: float = 1.0) -> PerView[GeometryLabelBatch]:
    """Joints, seen in crops of `size` px all over them; one of each hand beyond its crop."""

    def view(joints: Tensor) -> GeometryLabelBatch:
        count = len(joints)
        pixels = torch.rand(count, 21, 2, generator=torch.Generator().manual_seed(0)) * (size - 1)
        pixels[:, OUTSIDE] = torch.tensor([size + 1.0, size / 2])
        return GeometryLabelBatch(joints, pixels, torch.full((count, 21), weight))

    return joints.map(view)


@pytest.fixture(params=["detnet-lite", "detnet"])
def tiny(request: pytest.FixtureRequest) -> tuple[HandNetwork, Manifest, CropPairs]:
    """An untrained network of each architecture, and two pairs of noise, a right and a left hand."""
    torch.manual_seed(0)
    lite = request.param == "detnet-lite"
    network = DetNetLite(width=12, deep=12) if lite else DetNet(root=9)
    if isinstance(network, DetNetLite):
        nn.init.normal_(network.head.weight, std=0.3)
    root, cells = (0, 4) if lite else (9, 8)
    axes = "crop" if lite else "frame"
    manifest = Manifest(architecture=request.param, root=root, crop_size=32, map_size=cells, axes=axes, training_data="none")
    images = PerView.of(lambda view: torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8))
    turns = PerView.of(lambda view: torch.eye(3, dtype=torch.float64).expand(2, 3, 3))
    return HandNetwork(network, 32).eval(), manifest, CropPairs(images, turns, torch.tensor([False, True]))


def hands(seed: int = 5) -> PerView[Tensor]:
    """(2, 21, 3) hands, another in each view."""
    rng = np.random.default_rng(seed)
    return PerView.of(lambda view: torch.tensor(unit_hand(moving_hand(rng, 2)), dtype=torch.float32))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Targets]:
    """What students were asked for since, by view."""
    kept: list[Targets] = []

    def keep(network: MapNetwork, images: Tensor, asked: list[Targets]) -> Loss:
        kept.extend(asked)
        return adaptation_loss(network, images, asked)

    monkeypatch.setattr("adapt.core.map_learner.adaptation_loss", keep)
    return kept


def test_target_heat_has_the_architectures_form_and_ends_at_the_crop(tiny, asked):
    network, manifest, pairs = tiny
    MeanTeacher(network, manifest, R_right_from_left=np.eye(3)).step(
        pairs, labels="geometry", geometry_labels=taught(hands(), 32)
    )
    assert len(asked) == 2
    inside = torch.arange(21) != OUTSIDE
    for targets in asked:
        assert (targets.visible == inside).all() and not targets.heat[:, OUTSIDE].any()
        shown = targets.heat[:, inside]
        if manifest.architecture == "detnet-lite":
            torch.testing.assert_close(shown.sum((2, 3)), torch.ones(2, 20))
        else:
            # Between the middles of four cells, none of them is quite at the peak.
            assert shown.amax((2, 3)).max() <= 1 and shown.amax((2, 3)).min() > 0.8
        # The wrist's parent is the wrist.
        assert not targets.delta[:, 0].any()


def test_joints_beyond_the_crop_have_no_target_heat(tiny):
    network, manifest, pairs = tiny
    told = taught(hands(), 32)
    figures = []
    for weight in (1.0, 0.0):
        for view in VIEWS:
            told[view].weight[:, OUTSIDE] = weight
        adaptation = MeanTeacher(network, manifest, R_right_from_left=np.eye(3))
        figures.append(adaptation.step(pairs, labels="geometry", geometry_labels=told))
    assert figures[0].heat == figures[1].heat > 0


def test_hands_without_weight_have_no_gradient(tiny):
    network, manifest, pairs = tiny
    adaptation = MeanTeacher(network, manifest, R_right_from_left=np.eye(3))
    figures = adaptation.step(pairs, labels="geometry", geometry_labels=taught(hands(), 32, weight=0.0))
    assert (figures.heat, figures.delta, figures.location) == (0, 0, 0)
    if manifest.architecture == "detnet":
        # DetNet-lite's log error is kept as it is, which takes steps of its own.
        assert torch.equal(parameters(adaptation.student), parameters(network))


def test_both_labels_cost_the_mean_of_each(tiny):
    network, manifest, pairs = tiny

    def step(labels: LabelSource) -> StepFigures:
        adaptation = MeanTeacher(network, manifest, R_right_from_left=np.eye(3))
        return adaptation.step(pairs, labels=labels, geometry_labels=taught(hands(), 32))

    agreed, geometry, both = step("s2dhand"), step("geometry"), step("both")
    for part in ("loss", "heat", "delta", "location"):
        each, mean = (getattr(agreed, part), getattr(geometry, part)), getattr(both, part)
        assert mean == pytest.approx(sum(each) / 2, rel=1e-5)
    assert agreed.loss != pytest.approx(geometry.loss, rel=0.01)
    assert agreed.apart == geometry.apart == both.apart


def test_targets_of_turned_crops_are_turned(tiny, asked):
    network, manifest, pairs = tiny
    told = taught(hands(), 32)
    for augment in (None, Augmenter(0)):
        adaptation = MeanTeacher(network, manifest, R_right_from_left=np.eye(3), augment=augment)
        adaptation.step(pairs, labels="both", geometry_labels=told)
    plain, changed = asked[:4], asked[4:]
    for before, after in zip(plain, changed, strict=True):
        # Turned about the camera's axis: as deep as before, as far from the axis, but elsewhere.
        for name in ("location", "delta"):
            then, now = getattr(before, name), getattr(after, name)
            torch.testing.assert_close(now[..., 2], then[..., 2])
            torch.testing.assert_close(now[..., :2].norm(dim=-1), then[..., :2].norm(dim=-1))
            assert (now - then).abs().max() > 0.01
        assert not torch.equal(after.heat, before.heat)
        if manifest.architecture == "detnet-lite":
            shown = after.heat.sum((2, 3)) > 0
            torch.testing.assert_close(after.heat.sum((2, 3))[shown], torch.ones(int(shown.sum())))
    # Two teachers ask of one picture, turned one way.
    turned = []
    for before, after in zip(plain[:2], changed[:2], strict=True):
        then, now = (torch.view_as_complex(each.delta[:, 9, :2].contiguous()) for each in (before, after))
        turned.append((now / then).angle())
    torch.testing.assert_close(*turned, atol=1e-4, rtol=0)


def learnt(shipped: tuple[HandNetwork, Manifest], headset: CropPairs, seed: int) -> tuple[Tensor, list[StepFigures]]:
    """With everything switched on."""
    rehearsal = Rehearsal(render_bank(20, 64, AROUND_JOINTS, seed=0), 0.33, seed, spectra=True)
    adaptation = MeanTeacher(*shipped, augment=Augmenter(seed), rehearsal=rehearsal)
    figures = [adaptation.step(headset, synthetic.R_RIGHT_FROM_LEFT) for _ in range(2)]
    return parameters(adaptation.teacher), figures


def test_with_everything_on_a_seed_gives_the_same_weights_and_another_gives_others(shipped, headset):
    (first, figures), (again, same), (other, _) = (learnt(shipped, headset, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again) and figures == same and not torch.equal(first, other)
    assert all(0.05 < f.rehearsed < 1 for f in figures)


def test_rehearsal_lowers_its_own_error_and_keeps_the_real_hands_loss(tiny):
    network, manifest, pairs = tiny
    bank = render_bank(20, 32, AROUND_JOINTS, seed=0)
    told = taught(hands(), 32)

    def step(rehearsal: Rehearsal | None) -> tuple[StepFigures, Tensor]:
        adaptation = MeanTeacher(network, manifest, R_right_from_left=np.eye(3), rehearsal=rehearsal)
        return adaptation.step(pairs, labels="geometry", geometry_labels=told), parameters(adaptation.student)

    (alone, without), (beside, with_) = step(None), step(Rehearsal(bank, 0.5, 0))
    assert np.isnan(alone.rehearsed) and beside.rehearsed > 0
    assert (alone.loss, alone.heat, alone.delta, alone.location) == (beside.loss, beside.heat, beside.delta, beside.location)
    assert not torch.equal(without, with_)
