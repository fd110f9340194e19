"""An unlabelled recording improves the network on its held-out part, or nothing is saved."""

import pickle
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from adapt.core.training_samples import TrainingSet
from adapt.offline.adapt_recording import HELD_OUT_EVERY, STRETCH, Settings, adapt, collect_samples, train_and_save
from adapt.offline.label_error import label_error
from adapt.offline.recording import SETTLED_NS, frame_size, resolve_handedness
from adapt.offline.training import make_mean_teacher, train
from capture.frames import FramePair
from capture.sources import synthetic
from capture.views import VIEWS, PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.joints import unit_hand
from hand.rotations import angle_deg, from_vector
from runtime.estimators.estimator import HANDEDNESS_TIMEOUT_NS
from runtime.geometry.two_view import TwoViewGeometry
from runtime.networks.detnet_lite import DetNetLite
from runtime.networks.weights import DEFAULT_WEIGHTS, load_network, save_network
from runtime.types import Side, ViewHand
from tests.paths import ROOT

PAIRS = STRETCH * HELD_OUT_EVERY + 3
SIZE_PX = (320, 240)
FOV_DEG = (synthetic.FOV_DEG, synthetic.FOV_DEG)
FROM_LEFT = PerView((np.eye(3), np.zeros(3)), (synthetic.R_RIGHT_FROM_LEFT, synthetic.RIGHT_IN_LEFT_MM))


class Truth:
    """An `Estimator` that knows the synthetic cameras' hand, whatever the frame shows."""

    description = "truth"

    def __call__(self, pair: FramePair, cameras: PerView[PinholeCamera]) -> PerView[ViewHand | None]:
        joints_mm = _truth_mm(pair.left.seq)

        def hand(view: View) -> ViewHand:
            camera = PinholeCamera.from_fov(*SIZE_PX, synthetic.FOV_DEG)
            return ViewHand(view, "right", unit_hand(joints_mm[view]), camera.project(joints_mm[view]), np.full(21, 0.9))

        return PerView.of(hand)

    def lose(self, view: View) -> None:
        pass


class Blind(Truth):
    """One that sees nothing on the right."""

    def __call__(self, pair: FramePair, cameras: PerView[PinholeCamera]) -> PerView[ViewHand | None]:
        return PerView(super().__call__(pair, cameras).left, None)


def _truth_mm(seq: int) -> PerView[np.ndarray]:
    """(21, 3) joints in each camera's axes."""
    joints_mm = synthetic.truth(seq * synthetic.PERIOD_NS)
    return FROM_LEFT.map(lambda place: (joints_mm - place[1]) @ place[0].T)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> PerView[Path]:
    """The synthetic headset's first frames."""
    folder = tmp_path_factory.mktemp("clips")

    def clip(view: View) -> Path:
        frames = synthetic.SyntheticSource(view).frames(0, paced=False)
        file = folder / f"{view}.mp4"
        writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), synthetic.FPS, SIZE_PX)
        for _ in range(PAIRS):
            writer.write(cv2.cvtColor(next(frames)[2], cv2.COLOR_RGB2BGR))
        writer.release()
        return file

    with pytest.MonkeyPatch.context() as patch:
        # Of the loop, no more is drawn than is recorded, and with half as many pixels a side.
        for name, value in (("FRAMES", PAIRS), ("WIDTH", SIZE_PX[0]), ("HEIGHT", SIZE_PX[1])):
            patch.setattr(synthetic, name, value)
        return PerView.of(clip)


@pytest.fixture(scope="module")
def poor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights that ship, spoiled: how a network is that never saw such a hand."""
    if not DEFAULT_WEIGHTS.is_file():
        pytest.skip("the weights that ship are not there yet: python -m tools.train makes them")
    network, manifest = load_network(DEFAULT_WEIGHTS)
    assert isinstance(network.network, DetNetLite)
    torch.manual_seed(0)
    with torch.no_grad():
        heat = network.network.head.weight[:21]
        heat += 2 * heat.std() * torch.randn_like(heat)
    file = tmp_path_factory.mktemp("weights") / "poor.safetensors"
    save_network(file, network, manifest)
    return file


@pytest.fixture(scope="module")
def settings(clips: PerView[Path], poor: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    run = tmp_path_factory.mktemp("run")
    how = {"labels": "geometry", "rehearse": 0.0, "epochs": 2, "batch": 8, "device": "cpu"}
    return Settings(run, left=clips.left, right=clips.right, weights=poor, fov=FOV_DEG, **how)


@dataclass(frozen=True, slots=True)
class Seen:
    """What `collect_samples` made of the clips."""

    geometry: TwoViewGeometry
    material: TrainingSet
    held_out: TrainingSet


@pytest.fixture(scope="module")
def seen(settings: Settings) -> Seen:
    return Seen(*collect_samples(settings, load_network(settings.weights or DEFAULT_WEIGHTS)[1], Truth))


def test_held_out_samples_are_not_trained_on(seen):
    learnt, held_out = ([shown.captured_ns for shown in part.samples] for part in (seen.material, seen.held_out))
    assert len(learnt) == PAIRS - STRETCH and len(held_out) == STRETCH == np.ptp(held_out) // synthetic.PERIOD_NS + 1
    assert not set(learnt) & set(held_out)
    assert angle_deg(seen.geometry.R_right_from_left, synthetic.R_RIGHT_FROM_LEFT) < 1


def test_labels_are_the_true_hand_and_no_frame_is_kept(seen):
    part = seen.material
    first_ns = part.samples[0].captured_ns
    for number, shown in enumerate(part.samples):
        truth = _truth_mm(round((shown.captured_ns - first_ns) / synthetic.PERIOD_NS))
        for view in VIEWS:
            label_error = part.labels[view].joints[number].numpy() - unit_hand(truth[view])
            assert np.linalg.norm(label_error, axis=1).mean() < 0.1
    bytes_kept = len(pickle.dumps(part.samples[0]))
    assert 2 * 64 * 64 * 3 < bytes_kept < 50_000 < SIZE_PX[0] * SIZE_PX[1]


@pytest.fixture(scope="module")
def adapted(settings: Settings, seen: Seen) -> Path:
    """Weights that geometry taught."""
    assert train_and_save(settings, seen.geometry, seen.material, seen.held_out)
    return settings.run / "weights.safetensors"


def test_labels_by_geometry_lower_the_held_out_error_and_weights_load_again(settings, seen, adapted):
    (before, old), (after, new) = load_network(settings.weights), load_network(adapted)
    then, now = label_error(before, old, seen.held_out), label_error(after, new, seen.held_out)
    assert now.better_than(then) and now.joints < 0.9 * then.joints
    # True as well, not only at peace with itself: the teacher knew the truth.
    assert error(after, seen.held_out) < 0.7 * error(before, seen.held_out)
    assert new.accuracy == {} and "geometry" in new.training_data and old.training_data in new.training_data
    assert (new.root, new.crop_size, new.axes, new.upright) == (old.root, old.crop_size, old.axes, old.upright)


def error(network: torch.nn.Module, material: TrainingSet) -> float:
    """Mean distance of joints from the teacher's, hands."""

    def of(view: View) -> float:
        with torch.inference_mode():
            joints = network(material.pairs.images[view]).joints.double()
        told = joints @ material.pairs.frame_from_crop("crop")[view].mT
        return float((told - material.labels[view].joints).norm(dim=-1).mean())

    return sum(PerView.of(of)) / 2


def test_the_same_recording_and_seed_give_the_same_weights(settings, adapted, tmp_path, capsys):
    assert adapt(replace(settings, run=tmp_path / "again"), Truth)
    again = tmp_path / "again" / "weights.safetensors"
    assert again.read_bytes() == adapted.read_bytes() and str(again) in capsys.readouterr().out


def test_an_untrained_network_is_not_better_and_not_saved(settings, seen, tmp_path, capsys):
    assert not train_and_save(replace(settings, run=tmp_path, epochs=0), seen.geometry, seen.material, seen.held_out)
    assert "nothing is saved" in capsys.readouterr().out and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "on", [{"augment": True}, {"rehearse": 0.33}, {"rehearse": 0.33, "spectra": True}, {"pixel_term": False}]
)
def test_each_switch_changes_the_weights(settings, seen, monkeypatch, on):
    monkeypatch.setattr("adapt.offline.training.BANK", 20)

    def learnt(how: Settings) -> torch.Tensor:
        network, manifest = load_network(how.weights or DEFAULT_WEIGHTS)
        session = make_mean_teacher(how, network, manifest, seen.geometry)
        train(how, session, seen.geometry, TrainingSet.of(seen.material.samples[:8]))
        return torch.cat([p.flatten() for p in session.teacher.parameters()])

    once = replace(settings, epochs=1)
    label_error = replace(once, spectra=False, rehearse=0.33) if "spectra" in on else once
    with_, again, without = (learnt(how) for how in (replace(once, **on), replace(once, **on), label_error))
    assert torch.equal(with_, again) and not torch.equal(with_, without)


@pytest.mark.parametrize("share", [0.5, 0.2, 0.0])
def test_seeing_all_joints_in_the_middle_is_not_better(seen, share):
    network, manifest = load_network(DEFAULT_WEIGHTS)
    assert isinstance(network.network, DetNetLite)
    usual, head = label_error(network, manifest, seen.held_out), network.network.head
    with torch.no_grad():
        # The flatter the heat, the nearer to the middle is what is read from it.
        for part in (head.weight, head.bias):
            assert part is not None
            part[:21] *= share
    assert not label_error(network, manifest, seen.held_out).better_than(usual)


def test_views_that_come_to_agree_through_a_wrong_rotation_are_not_saved(settings, seen, tmp_path, capsys):
    wrong = replace(
        seen.geometry, R_right_from_left=from_vector(np.array([0, np.radians(90), 0])) @ seen.geometry.R_right_from_left
    )
    agreeing = replace(settings, run=tmp_path, weights=DEFAULT_WEIGHTS, labels="s2dhand")
    assert not train_and_save(agreeing, wrong, seen.material, seen.held_out)
    assert "nothing is saved" in capsys.readouterr().out and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changed", "estimator", "reason"),
    [
        ({"pairs": (0, 40)}, Truth, f"40 pairs show the hand well.*{STRETCH * HELD_OUT_EVERY} or more"),
        ({"pairs": (900, 950)}, Truth, "no pair of frames"),
        ({"pairs": (0, 8)}, Truth, "could not be calibrated"),
        ({"pairs": (0, 8)}, Blind, "no hand was found in the right view's 8 frames"),
        ({"left": Path("none.mp4")}, Truth, "no such file"),
        ({"left": Path(__file__)}, Truth, "cannot be read as a video"),
        ({"right": Path(__file__)}, None, "no video that can be read"),
        ({"weights": Path("none.safetensors")}, Truth, "none.json"),
        ({"batch": 0}, Truth, "--batch is 0"),
        ({"rate": 0.0}, Truth, "--rate is 0"),
        ({"memory": 1.0}, Truth, "--memory is 1, expected a share"),
        ({"rehearse": 1.0}, Truth, "--rehearse is 1, expected a share"),
        ({"spectra": True, "rehearse": 0.0}, Truth, "--spectra changes the hands that are rehearsed"),
        ({"run": Path(__file__)}, Truth, "is a file: give a folder"),
    ],
)
def test_unusable_recordings_are_user_errors(settings, tmp_path, changed, estimator, reason):
    with pytest.raises(UserError, match=reason) as told:
        adapt(replace(settings, **{"run": tmp_path / "run", **changed}), estimator)
    assert "\n" not in str(told.value)


def test_the_command_line_ends_with_2_and_the_sentence_alone(tmp_path):
    command = [sys.executable, "-m", "adapt.offline", tmp_path / "run", "--left", "none.mp4", "--right", "none.mp4"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    (sentence,) = ended.stderr.splitlines()
    assert sentence.startswith("adapt.offline: none.mp4 is no video")


def test_a_clip_tells_its_frames_size(clips):
    assert clips.map(frame_size) == PerView(SIZE_PX, SIZE_PX)


def test_a_folder_of_pictures_tells_its_frames_size(tmp_path):
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((48, 64, 3), np.uint8))
    assert frame_size(tmp_path) == (64, 48) == frame_size(tmp_path / "%d.png")


@dataclass(frozen=True, slots=True)
class Said:
    captured_ns: int
    side: Side


@pytest.mark.parametrize(("pause_ns", "kept"), [(0, 7), (HANDEDNESS_TIMEOUT_NS, 12)], ids=["corrected", "another hand"])
def test_hands_whose_handedness_was_corrected_are_dropped(pause_ns, kept):
    frame_ns = 33_000_000
    hands = [Said(k * frame_ns + (pause_ns if k >= 5 else 0), "left" if k < 5 else "right") for k in range(12)]
    assert list(resolve_handedness(hands)) == hands[-kept:]


def test_no_hand_is_held_back_for_longer_than_its_side_may_be_corrected():
    hands = iter([Said(k * 100_000_000, "right") for k in range(1000)])
    first = next(resolve_handedness(hands))
    assert first.captured_ns == 0 and next(hands).captured_ns <= SETTLED_NS + 200_000_000
