"""Pictures of pairs show what was said and what is true: a perfect network's hands lie on the truth, in both views."""

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from adapt.datasets.assembly_hands import AssemblyHands, HandPairs, TruePair
from capture.views import VIEWS, PerView, View
from hand.errors import UserError
from hand.joints import unit_hand
from hand.rotations import angle_deg, from_vector
from runtime.estimators.adaptable_networks import adaptable_engine
from runtime.estimators.framing import Framing
from runtime.types import ViewHand
from tests.paths import ROOT
from tests.tools.report.skeletons import count_skeletons
from tools import visualize
from tools.make.headset_set import Settings, make
from tools.visualize import MERGED, OWN, TRUE, PairPrediction, aligned_to_truth, compare, draw, estimate_rotation, main, score

LINE = r"0-set1-2,3: num:\d+, Mono-M:\d+\.\d\d, Dual-M:\d+\.\d\d, rotation \d+\.\d deg off"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("headsets")
    make(Settings(folder, frames=3, width=160, sides="right", backgrounds=None))
    return folder


@pytest.fixture(scope="module")
def pairs(folder) -> HandPairs:
    return AssemblyHands(folder).pairs(1, (2, 3))


def told(true: TruePair, off: np.ndarray | float = 0.0) -> PairPrediction:
    """What a network would say that sees the truth, or is `off` in the right view, unit hands."""

    def hand(view: View) -> ViewHand:
        of_view = true.hands[view]
        joints = unit_hand(of_view.joints_mm) + (off if view == "right" else 0.0)
        pixels = of_view.camera.project(aligned_to_truth(joints, of_view.joints_mm))
        return ViewHand(view, true.side, joints, pixels, np.full(21, 0.9))

    return PairPrediction(true, PerView.of(hand))


def test_the_true_hand_is_off_by_nothing_and_tells_the_rotation(pairs):
    seen = [told(pair) for pair in pairs]
    R = estimate_rotation(seen)
    assert angle_deg(R, pairs[0].R_right_from_left) < 0.1
    scores = score(seen, R, "softmax")
    assert (scores.pairs, scores.missed) == (len(pairs), 0)
    assert scores.mono_m < 1e-6 and scores.dual_m < 0.2


def test_the_merged_hand_lies_on_the_truth_in_both_pictures_if_the_rotation_is_right(pairs):
    true = pairs[0]
    right = compare(told(true), true.R_right_from_left, "mean")
    wrong = compare(told(true), from_vector(np.array([0.0, 0.6, 0.0])) @ true.R_right_from_left, "mean")
    for view in VIEWS:
        np.testing.assert_allclose(right.merged[view], true.hands[view].pixels, atol=1e-2)
        assert right.merged_mm[view] < 1e-2 < 3 < wrong.merged_mm[view]
        assert right.own_mm[view] == wrong.own_mm[view] < 1e-6


def test_a_view_that_is_off_is_told_so_alone(pairs):
    seen = told(pairs[0], np.random.default_rng(0).normal(0, 0.2, (21, 3)))
    compared = compare(seen, pairs[0].R_right_from_left, "mean")
    assert compared.own_mm.left < 1e-6 and compared.own_mm.right > 5
    assert 0 < compared.merged_mm.left < compared.own_mm.right


def test_hands_are_put_upon_the_truth_whatever_their_unit(pairs):
    truth_mm = pairs[0].hands.left.joints_mm
    np.testing.assert_allclose(aligned_to_truth(unit_hand(truth_mm) * 7 + 3, truth_mm), truth_mm, atol=1e-6)


def test_the_picture_has_a_row_a_pair_and_all_three_hands(pairs):
    off = np.random.default_rng(1).normal(0, 0.2, (21, 3))
    compared = [compare(told(pair, off), pair.R_right_from_left, "mean") for pair in pairs]
    one, two = (draw(compared[:count], "title") for count in (1, 2))
    assert two.get_size_inches()[0] == one.get_size_inches()[0] and two.get_size_inches()[1] > 1.5 * one.get_size_inches()[1]
    assert [count_skeletons(two, colour) for colour in (TRUE, OWN, MERGED)] == [8, 4, 4]


def test_no_pairs_tell_no_rotation():
    with pytest.raises(UserError, match="no predicted hand determines the rotation"):
        estimate_rotation([])


def test_the_command_draws_and_prints_the_published_line(folder, tmp_path):
    out = tmp_path / "new" / "pairs.png"
    command = [sys.executable, "-m", "tools.visualize", folder, "--setup", 1, "--pair", "2,3", "--sample", 0, 1, "--out", out]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(LINE, done.stdout.strip()), done.stdout
    image = cv2.imread(str(out))
    assert image is not None and image.shape[0] > 400


def test_another_estimators_network_is_shown_hands_as_it_frames_them(folder, mediapipe_models, tmp_path, capsys):
    settings = visualize.Settings(folder, estimator="mediapipe-3d", setup=1, pair="2,3", out=tmp_path / "pairs.png")
    main(settings)
    assert re.fullmatch(LINE, capsys.readouterr().out.strip())
    engine = adaptable_engine(*settings.load_network(), 1, torch.device("cpu"))
    true = AssemblyHands(folder).pairs(1, (2, 3))[0]
    framing = Framing.of(engine.manifest)
    for view, hand in visualize.predict_pair(engine, true).views.items():
        crop = true.hands[view].crop(224, framing=framing)
        again = engine(crop.image[None])
        np.testing.assert_allclose(hand.pixels, crop.camera.frame_from_crop(again.pixels[0]), atol=1e-2)


def test_a_pair_or_sample_that_is_not_there_is_named(folder):
    with pytest.raises(UserError, match="--pair 1;2 is no camera pair: expected one of 0,1 0,2"):
        main(visualize.Settings(folder, pair="1;2"))
    with pytest.raises(UserError, match="--sample 999 is not there: expected numbers from 0 to"):
        main(visualize.Settings(folder, sample=(999,)))
