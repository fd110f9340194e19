"""Int8 calibration keeps sensitive layers in float; invalid calibration crops raise."""

import cv2
import numpy as np
import pytest

from export.crops import recorded_crops
from export.int8 import find_plan
from hand.errors import UserError
from runtime.engines.int8 import convolutions, quantize
from runtime.engines.parity import compare, probe, reference_predictions
from runtime.networks.graph import fill_weights, graph_of, weights_of
from tests.runtime.networks.test_graph import run


def test_head_stays_float_and_int8_predictions_stay_close(shipped):
    network, manifest = shipped
    weights = weights_of(network)
    model = fill_weights(graph_of(manifest, weights), weights, manifest)
    plan = find_plan(model, manifest, probe(64), probe(64)[:6], 2.0, "the probe")
    assert plan.float_convolutions[0] == "head" and len(plan.float_convolutions) < len(convolutions(model)) / 2
    joints, pixels, confidence, _ = run(quantize(model, plan, 7), probe(64))
    expected = reference_predictions(network, probe(64))
    answer = type(expected)(joints, pixels, confidence)
    assert 0 < compare(answer, expected).mean_mm < 3


def test_recorded_crops_come_from_a_folder_or_an_array(tmp_path):
    crops = probe(96)[:2]
    np.save(tmp_path / "crops.npy", crops)
    folder = tmp_path / "crops"
    folder.mkdir()
    for number, crop in enumerate(crops):
        cv2.imwrite(str(folder / f"{number}.png"), cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
    assert np.array_equal(recorded_crops(tmp_path / "crops.npy", 64), recorded_crops(folder, 64))
    assert recorded_crops(folder, 64).shape == (2, 64, 64, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "holds no pictures"),
        (lambda path: path.write_text("crops"), "holds no crops"),
        (lambda path: (path.mkdir(), cv2.imwrite(str(path / "a.png"), np.zeros((4, 8, 3), np.uint8))), "expected square crops"),
        (lambda path: None, "holds no crops"),
    ],
)
def test_invalid_crops_raise_a_one_line_error(make, message, tmp_path):
    make(tmp_path / "given")
    with pytest.raises(UserError, match=message) as caught:
        recorded_crops(tmp_path / "given", 64)
    assert "\n" not in str(caught.value)


def test_an_array_of_wrong_shape_raises(tmp_path):
    np.save(tmp_path / "crops.npy", np.zeros((2, 64, 64), np.uint8))
    with pytest.raises(UserError, match="expected crops"):
        recorded_crops(tmp_path / "crops.npy", 64)
