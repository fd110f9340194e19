"""Live adaptation of `mediapipe-3d`: better in depth through the gate, while pixels stay MediaPipe's to the last bit."""

import pytest
import torch

from adapt.online.adapter import Adapter, Pace
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer
from runtime.estimators.adaptable_networks import load_adaptable
from runtime.estimators.framing import Framing
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest
from tests.adapt.live_hands import LiveHands, drawn, seen, true_error

pytest.importorskip("ai_edge_litert", reason="the extra [mediapipe] is not installed")
pytestmark = pytest.mark.usefixtures("mediapipe_models")
PACE = Pace(batch=8, validate_every=4)


@pytest.fixture(scope="module")
def own(mediapipe_models) -> tuple[HandNetwork, Manifest]:
    return load_adaptable("mediapipe-3d")


@pytest.fixture(scope="module")
def hands(own) -> LiveHands:
    return seen(drawn(4, 8.0, 9.0, 40.0), *load_adaptable("mediapipe-3d"))


@pytest.fixture(scope="module")
def adapter(own, hands) -> Adapter:
    network, manifest = own
    held_out = Backgrounds.load(None, "held_out")
    known = CropRenderer(manifest.crop_size, held_out, 7, framing=Framing.of(manifest)).render(16)
    adapter = Adapter(network, manifest, known, hands.widths_px, pace=PACE)
    adapter.set_cameras(hands.cameras)
    for pair in hands.pairs:
        adapter.add_pair(pair)
    return adapter


def test_hands_of_known_cameras_make_its_depth_better_and_move_no_pixel(own, hands: LiveHands, adapter: Adapter):
    network, manifest = own
    rounds = []
    while adapter.has_work and len(rounds) < 2:
        update = adapter.work()
        if update is not None:
            rounds.append(update.validation)
    assert adapter.status.figures.promotions >= 1, rounds
    assert true_error(adapter.serving, manifest, hands) < 0.95 * true_error(network, manifest, hands)
    for validation in rounds:
        # By what both views' pixels tell, networks that share them are alike: that decides nothing, and refuses none.
        assert validation.candidate.rays == validation.serving.rays
    images = torch.from_numpy(hands.pairs[0].crops.left.image[None])
    with torch.inference_mode():
        before, after = network(images), adapter.serving(images)
    assert torch.equal(before.pixels, after.pixels) and not torch.equal(before.joints, after.joints)
