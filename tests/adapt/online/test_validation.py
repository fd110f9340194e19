"""Validation metrics are zero for true joints, and each grows by the fault that it measures."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from adapt.core.crop_pairs import CropPairs
from adapt.core.targets import GeometryLabelBatch
from adapt.core.training_samples import TrainingSet
from adapt.online.validation import ValidationMetrics, ValidationPredictions, predict_samples, synthetic_error, validate
from capture.views import VIEWS, PerView
from hand.rotations import from_vector
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer
from tests.adapt.live_hands import drawn, seen, true_error
from tests.adapt.recordings import GEOMETRY
from tests.runtime.scenes import Scene

COUNT = 20


@pytest.fixture(scope="module")
def said() -> ValidationPredictions:
    """The truth of a hand that moves."""
    scene = Scene()
    seen = []
    for scene.seq in range(0, 5 * COUNT, 5):
        seen.append({view: (scene.truth(view), scene.pixels(view)) for view in VIEWS})

    def stacked(which: int) -> PerView[np.ndarray]:
        return PerView.of(lambda view: np.stack([one[view][which] for one in seen]))

    return ValidationPredictions(stacked(0), stacked(1), PerView.of(lambda view: np.full((COUNT, 21), 0.9)))


def material(said: ValidationPredictions) -> TrainingSet:
    """Labels alone: what is weighed is what was said."""
    taught = said.joints.map(
        lambda joints: GeometryLabelBatch(torch.from_numpy(joints), torch.zeros(COUNT, 21, 2), torch.ones(COUNT, 21))
    )
    nothing = PerView.of(lambda view: torch.zeros(COUNT, 0))
    return TrainingSet(CropPairs(nothing, nothing, torch.zeros(COUNT, dtype=torch.bool)), taught, [])


def of(said: ValidationPredictions, labels: ValidationPredictions) -> ValidationMetrics:
    return validate(said, material(labels), GEOMETRY, 0.3)


def test_true_joints_have_no_error(said: ValidationPredictions):
    evidence = of(said, said)
    for name in ("labels", "depth", "rays", "within", "bones", "apart"):
        assert getattr(evidence, name) < 1e-6, name
    assert evidence.inhuman == 0 and evidence.drawn == 0.3 and evidence.confidence == pytest.approx(0.9)


def turned(said: ValidationPredictions) -> ValidationPredictions:
    """3D hands in one view turned, as a wrong rotation teaches."""
    R = from_vector(np.array([0.0, 0.4, 0.0]))
    return replace(said, joints=PerView(said.joints.left, said.joints.right @ R.T))


def shifted(said: ValidationPredictions) -> ValidationPredictions:
    """Joints seen elsewhere in one view."""
    random = np.random.default_rng(0)
    return replace(said, pixels=PerView(said.pixels.left, said.pixels.right + random.normal(0, 4, said.pixels.right.shape)))


def breathing(said: ValidationPredictions) -> ValidationPredictions:
    """Fingers that grow and shrink."""
    size = 1 + 0.3 * np.sin(np.arange(COUNT))[:, None, None]
    fingers = np.where(np.isin(np.arange(21), [7, 8, 11, 12])[:, None], size, 1.0)
    return replace(said, joints=said.joints.map(lambda joints: joints * fingers))


def monstrous(said: ValidationPredictions) -> ValidationPredictions:
    """Finger tips twice as far from the wrist."""
    tips = np.where(np.isin(np.arange(21), [4, 8, 12, 16, 20])[:, None], 2.0, 1.0)
    return replace(said, joints=said.joints.map(lambda joints: joints * tips))


@pytest.mark.parametrize(
    ("spoilt", "names", "silent"),
    [
        (turned, {"labels", "depth", "within", "apart"}, {"rays", "bones", "inhuman"}),
        (shifted, {"rays", "depth", "within"}, {"labels", "bones", "apart", "inhuman"}),
        (breathing, {"bones", "labels", "depth", "within"}, {"rays"}),
        (monstrous, {"inhuman", "labels", "depth", "within"}, {"rays"}),
    ],
)
def test_each_metric_grows_by_the_fault_that_it_measures(said: ValidationPredictions, spoilt, names, silent):
    before, after = of(said, said), of(spoilt(said), said)
    for name in names:
        assert getattr(after, name) > getattr(before, name) + 0.005, name
    for name in silent:
        assert getattr(after, name) == pytest.approx(getattr(before, name), abs=1e-6), name


def test_rays_that_meet_behind_a_camera_are_lost_not_infinite(said: ValidationPredictions):
    crossed = replace(said, pixels=PerView(said.pixels.left, np.array([639.0, 0]) + said.pixels.right * [-1, 1]))
    assert 0.2 < of(crossed, said).depth <= 1.0


def test_predictions_are_those_of_the_crops(shipped):
    network, manifest = shipped
    hands = seen(drawn(3, 1.0, 4.0), network, manifest)
    samples = [pair.labelled(hands.cameras) for pair in hands.pairs]
    numbers = [number for number, sample in enumerate(samples) if sample is not None]
    hands = replace(hands, pairs=[hands.pairs[number] for number in numbers], truth=hands.truth.map(lambda truth: truth[numbers]))
    made = TrainingSet.of([sample for sample in samples if sample is not None])
    said = predict_samples(network, manifest, made)
    truth = np.mean([np.linalg.norm(said.joints[view] - hands.truth[view], axis=-1).mean() for view in VIEWS])
    assert truth == pytest.approx(true_error(network, manifest, hands), rel=1e-4)
    for view in VIEWS:
        with torch.inference_mode():
            told = network(made.pairs.images[view]).pixels.double().numpy()
        for shown, in_frame, in_crop in zip(made.samples, said.pixels[view], told, strict=True):
            np.testing.assert_allclose(shown.crops[view].camera.crop_from_frame(in_frame), in_crop, atol=1e-6)


def test_synthetic_hands_expose_a_spoilt_network(shipped):
    network, manifest = shipped
    hands = CropRenderer(manifest.crop_size, Backgrounds.load(None, "held_out"), 1).render(16, absent=0.2)
    usual = synthetic_error(network, hands)
    head = network.network.head
    kept = head.weight.detach().clone()
    with torch.no_grad():
        head.weight += head.weight.std() * torch.randn(head.weight.shape, generator=torch.Generator().manual_seed(0))
    assert synthetic_error(network, hands) > 1.2 * usual
    with torch.no_grad():
        head.weight.copy_(kept)
