"""Labelled recordings become shards that training reads beside drawn hands, and teach by how sure they are."""

from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from adapt.core.geometry_teacher import RecordingCalibration
from adapt.core.label_crops import LabelledCrop
from adapt.offline.recording import require_calibration, require_hands, require_two_views
from capture.views import PerView, View
from hand.errors import UserError
from hand.findings import Finding
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import SURFACE_CELL, CropRenderer, SyntheticCrops
from hand.synth.turn import BORDER, turned
from runtime.calibration.self_calibrator import CalibrationState
from runtime.calibration.status import CalibrationPhase, CalibrationStatus
from runtime.networks.detnet import DetNet
from runtime.networks.detnet_lite import DetNetLite
from tests.adapt.core.test_label_crops import crops_of
from tests.adapt.recordings import GEOMETRY, Eyes
from tests.hand.pinhole import reprojection_error_px
from tests.runtime.scenes import IMAGES, SIZES_PX, Scene
from tools.label import Settings, shard_of, write
from tools.report.figures import save_figure
from tools.report.label_sheet import MAX_CROPS, draw_label_sheet
from tools.train.bank import HandBank, load_shard, save_shard, shard_file
from tools.train.losses import surface_loss, training_loss

SIZE = 64
PAIRS = 46


@pytest.fixture(scope="module")
def crops() -> list[LabelledCrop]:
    return [crop for _, _, crop in crops_of("right", np.random.default_rng(0))]


@pytest.fixture(scope="module")
def drawn() -> SyntheticCrops:
    return CropRenderer(SIZE, Backgrounds.load(None, "train"), seed=3, border=BORDER).render(12)


def test_a_shard_gives_back_what_was_labelled_as_training_uses_it(tmp_path, crops):
    save_shard(shard_of(crops), shard_file(tmp_path, 0))
    bank = HandBank(tmp_path, SIZE, seed=1)
    assert len(bank) == len(crops)
    used = turned(bank.take(40), SIZE, torch.Generator().manual_seed(1))
    assert used.images.shape == (40, SIZE, SIZE, 3) and used.taught.all() and used.present.all() and not used.mirrored.any()
    weights = torch.tensor(np.stack([crop.weight for crop in crops]), dtype=torch.float)
    assert all((row == weights).all(1).any() for row in used.weight)
    # Still a camera's view of a hand.
    assert reprojection_error_px(used.joints, used.pixels, SIZE).max() < 0.05
    torch.testing.assert_close(used.joints[:, 9].norm(dim=1), torch.ones(40), atol=1e-4, rtol=0)


def test_drawn_shards_are_certain_and_as_old_programs_wrote_them(tmp_path, drawn):
    save_shard(drawn, shard_file(tmp_path, 0))
    assert not {"weight", "taught"} & load_file(shard_file(tmp_path, 0)).keys()
    again = load_shard(shard_file(tmp_path, 0))
    for field in fields(SyntheticCrops):
        assert torch.equal(getattr(again, field.name), getattr(drawn, field.name)), field.name
    assert (again.weight == 1).all() and not again.taught.any()


def batch(drawn: SyntheticCrops) -> SyntheticCrops:
    return turned(replace(drawn, present=torch.ones_like(drawn.present)), SIZE, torch.Generator().manual_seed(0))


def told_elsewhere(crops: SyntheticCrops, weight: float) -> SyntheticCrops:
    """Index tips a hand off, and of such a weight."""
    joints, pixels, weights = crops.joints.clone(), crops.pixels.clone(), crops.weight.clone()
    joints[:, 8] += 1
    pixels[:, 8] = SIZE - 1 - pixels[:, 8]
    weights[:, 8] = weight
    return replace(crops, joints=joints, pixels=pixels, weight=weights)


@pytest.mark.parametrize("architecture", ["detnet-lite", "detnet"])
def test_a_joint_teaches_by_its_weight(drawn, architecture):
    torch.manual_seed(0)
    crops = batch(drawn)
    lite = architecture == "detnet-lite"
    if not lite:
        crops = SyntheticCrops(**{field.name: getattr(crops, field.name)[:2] for field in fields(SyntheticCrops)})
    network = DetNetLite().eval() if lite else DetNet(0).eval()

    @torch.no_grad()
    def loss(crops: SyntheticCrops) -> float:
        return training_loss(network, crops, SIZE)[0].item()

    wrong = [loss(told_elsewhere(crops, weight)) for weight in (0.0, 0.5, 1.0)]
    unweighted = replace(crops, weight=told_elsewhere(crops, 0).weight)
    assert wrong[0] == pytest.approx(loss(unweighted), rel=1e-5)
    assert wrong[1] > wrong[0] + 1e-3 and wrong[2] > wrong[1] + 1e-3


def test_of_real_hands_no_surface_is_asked(drawn):
    crops = batch(drawn)
    told = torch.randn(len(crops.images), 5, SIZE // SURFACE_CELL, SIZE // SURFACE_CELL)
    half = torch.arange(len(crops.images)) % 2 == 0
    elsewhere = torch.where(half[:, None, None, None], told.roll(1, 3), told)
    real = replace(crops, taught=half)
    assert surface_loss(elsewhere, real) == surface_loss(told, real) > 0
    assert surface_loss(elsewhere, crops) != surface_loss(told, crops)
    assert surface_loss(told, replace(crops, taught=torch.ones_like(half))) == 0


KNOWN = CalibrationState(GEOMETRY)
MIRRORED = Finding("view_mirrored", "one picture is mirrored", "error")
NEEDS_MOTION = CalibrationStatus(CalibrationPhase.NEEDS_MOTION)


@pytest.mark.parametrize(
    ("watched", "reason"),
    [
        (RecordingCalibration(0, PerView(0, 0), 0, CalibrationState(), CalibrationStatus()), "no pair of frames"),
        (
            RecordingCalibration(90, PerView(80, 0), 0, CalibrationState(), CalibrationStatus()),
            "no hand was found in the right view's 90 frames",
        ),
        (
            RecordingCalibration(90, PerView(80, 70), 60, CalibrationState(), NEEDS_MOTION),
            "60 of 90 pairs.*stands nearly still.*moves",
        ),
        (
            RecordingCalibration(90, PerView(80, 70), 60, KNOWN, CalibrationStatus(), (MIRRORED,)),
            "nothing can be learnt.*view mirrored",
        ),
    ],
)
def test_a_recording_that_teaches_nothing_says_why(watched, reason):
    with pytest.raises(UserError, match=reason):
        require_hands(watched)
        require_two_views(watched)
        require_calibration(watched)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> PerView[Path]:
    """A clip a view, of the scene's empty frames."""
    folder = tmp_path_factory.mktemp("clips")

    def clip(view: View) -> Path:
        file = folder / f"{view}.mp4"
        writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), 30, SIZES_PX[view])
        for _ in range(PAIRS):
            writer.write(IMAGES[view])
        writer.release()
        return file

    return PerView.of(clip)


def test_two_clips_become_shards_and_a_picture_the_same_each_time(tmp_path, clips):
    settings = Settings(tmp_path / "taught", left=clips.left, right=clips.right, pairs=(3, PAIRS - 3), fov=(65, 80), looks=2)
    shards = write(settings, lambda: Eyes(Scene()))
    assert shards.pairs == PAIRS - 6 and shards.crops == 4 * shards.pairs
    assert len(shards.files) == 1 and len(load_shard(shards.files[0]).images) == shards.crops
    save_figure(draw_label_sheet(shards.samples), tmp_path / "sheet.png")
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert len(shards.samples) == MAX_CROPS and sheet is not None and sheet.shape[1] > 1000 and sheet.std() > 20
    written = shards.files[0].read_bytes()
    assert write(settings, lambda: Eyes(Scene())).files == shards.files
    assert shards.files[0].read_bytes() == written and len(list(settings.taught.glob("*"))) == 1


def test_clips_that_cannot_be_read_are_named(tmp_path, clips):
    with pytest.raises(UserError, match="there is no such file"):
        write(Settings(tmp_path, left=tmp_path / "none.mp4", right=clips.right), lambda: Eyes(Scene()))
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(UserError, match="cannot be read as a video"):
        write(Settings(tmp_path, left=tmp_path / "text.mp4", right=clips.right), lambda: Eyes(Scene()))
