"""Live adaptation of `mediapipe-3d`: its hands come nearer to the labels, while pixels stay MediaPipe's to the last bit."""

import pytest

from adapt.online.adapter import Adapter, Pace
from adapt.online.promotion import GateMetric
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer
from runtime.estimators.adaptable_networks import load_adaptable
from runtime.estimators.framing import Framing
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest
from tests.adapt.live_hands import LiveHands, drawn, seen

pytest.importorskip("ai_edge_litert", reason="the extra [mediapipe] is not installed")
pytestmark = pytest.mark.usefixtures("mediapipe_models")
PACE = Pace(batch=8, validate_every=8)


@pytest.fixture(scope="module")
def own(mediapipe_models) -> tuple[HandNetwork, Manifest]:
    return load_adaptable("mediapipe-3d")


@pytest.fixture(scope="module")
def hands(own) -> LiveHands:
    return seen(drawn(4, 8.0, 8.0, 40.0), *load_adaptable("mediapipe-3d"))


@pytest.fixture(scope="module")
def adapter(own, hands) -> Adapter:
    network, manifest = own
    held_out = Backgrounds.load(None, "held_out")
    known = CropRenderer(manifest.crop_size, held_out, 7, framing=Framing.of(manifest)).render(8)
    adapter = Adapter(network, manifest, known, hands.widths_px, pace=PACE)
    adapter.set_cameras(hands.cameras)
    for pair in hands.pairs:
        adapter.add_pair(pair)
    return adapter


def test_hands_of_known_cameras_bring_it_nearer_to_the_labels_and_leave_the_rays(adapter: Adapter):
    update = None
    while adapter.has_work and update is None:
        update = adapter.work()
    assert update is not None and adapter.status.figures.steps == PACE.validate_every
    candidate, serving = update.validation.candidate, update.validation.serving
    assert candidate.labels < 0.97 * serving.labels
    # By what both views' pixels tell, networks that share them are alike, but for the size that hands are measured by.
    assert candidate.rays == pytest.approx(serving.rays, rel=0.05)
    assert update.validation.decision.metric is not GateMetric.RAYS
