"""A data set's hands as MediaPipe's network is shown them, and what it is adapted to: nothing but the numbers that we added."""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch

from adapt.datasets.assembly_hands import AssemblyHands, HandPairs
from adapt.datasets.models import Models
from adapt.datasets.predictions import DatasetPredictions, predict_pairs
from adapt.datasets.published_options import Settings
from adapt.datasets.run import adapt, evaluate
from capture.views import VIEWS
from runtime.engines.engine import Engine
from runtime.estimators.adaptable_networks import adaptable_engine, load_adaptable
from runtime.estimators.crop_prediction import IN_STREAM
from runtime.estimators.framing import Framing
from runtime.networks.weights import load_network

PAIR = (1, 2)
MODELS = Models()


@pytest.fixture(scope="module")
def engine(mediapipe_models) -> Engine:
    return adaptable_engine(*load_adaptable("mediapipe-3d"), 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def pairs(headset_set: Path) -> HandPairs:
    return AssemblyHands(headset_set).pairs(0, PAIR)


@pytest.fixture(scope="module")
def predictions(engine: Engine, pairs: HandPairs) -> list[DatasetPredictions]:
    return predict_pairs(engine, pairs, range(10), "looking")


def test_the_true_box_is_mediapipes_square(engine, pairs):
    framing, rolls, sides = Framing.of(engine.manifest), list[float](), list[float]()
    for pair in pairs[:6]:
        for hand in pair.hands:
            crop = hand.crop(224, "joints", framing)
            pixels = crop.camera.crop_from_frame(hand.pixels)
            centre, side_px = framing.box(pixels, 0.0)
            np.testing.assert_allclose(centre, 111.5, atol=0.15 * 224)
            rolls.append(abs((framing.standing(pixels) + 180) % 360 - 180))
            sides.append(side_px)
    # Off the axis of a wide lens, a turned camera sees angles and sizes a little differently.
    assert np.median(rolls) < 15 and np.median(sides) == pytest.approx(224, rel=0.15)


def test_hands_are_found_in_mediapipes_square(engine, predictions):
    framing, fitting = Framing.of(engine.manifest), []
    for one in predictions:
        for view in VIEWS:
            told = one.told[view]
            assert told.presence is not None and told.same_side is not None
            assert one.crops[view].image.shape == (224, 224, 3)
            box = one.boxes[view]
            centre, side_px = framing.box(one.hands[view].pixels, box.roll_deg)
            off = np.abs(centre - box.centre_px).max() / box.size_px
            fitting.append(off < IN_STREAM.shift and 1 / IN_STREAM.size_ratio < side_px / box.size_px < IN_STREAM.size_ratio)
    # A hand may be refused a box that fits better: where no hand is seen in it.
    assert np.mean(fitting) > 0.8


def test_it_adapts_and_its_weights_are_found_again_by_number(headset_set, mediapipe_models, tmp_path):
    settings = Settings(
        estimator="mediapipe-3d",
        datasets_train=(str(headset_set),),
        pair="1,2",
        pic=6,
        test_pic=3,
        epochs=1,
        train_batch=6,
        labels="s2dhand",
        checkpoint=tmp_path,
        keep="last",
    )
    with redirect_stdout(StringIO()):
        outcome = adapt(settings, MODELS)
        assert outcome.after.mono_m != outcome.before.mono_m
        file = tmp_path / "set0-1,2" / "ckp_mediapipe-3d_1.safetensors"
        old, new = (network.network.state_dict() for network, _ in (load_adaptable("mediapipe-3d"), load_network(file)))
        changed = {name for name in old if not torch.equal(old[name], new[name])}
        assert changed and all(name.startswith(("own_", "correction")) for name in changed)
        again = Settings(
            estimator="mediapipe-3d",
            datasets_train=(str(headset_set),),
            pair="1,2",
            evaluate=True,
            evaluate_id=1,
            pic=3,
            checkpoint=tmp_path,
        )
        assert again.source() == file
        assert evaluate(again, MODELS).pairs > 0
