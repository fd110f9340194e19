"""AssemblyHands is read as it is published: joints in our order, cameras' axes, which hands count, in one order."""

import json
import os
import shutil
from itertools import chain

import cv2
import numpy as np
import pytest

from adapt.datasets.assembly_hands import PAIRS, AssemblyHands
from capture.views import VIEWS
from hand.errors import UserError
from hand.joints import TIPS
from runtime.estimators.framing import roll_of
from tests.adapt.published import FRAMES, NAMES, SEQUENCE, SIZE_PX, K, Published

PAIR = (1, 2)


@pytest.fixture
def published(tmp_path) -> Published:
    return Published(tmp_path)


def shown(published: Published, pair: tuple[int, int] = PAIR, pic: int = -1) -> list[tuple[int, str]]:
    return [(one.frame, one.side) for one in AssemblyHands(published.root).pairs(0, pair, pic)]


EVERY = [(frame, side) for frame in FRAMES for side in ("right", "left")]


@pytest.mark.parametrize("pair", PAIRS)
def test_hands_are_told_in_our_joint_order_in_each_cameras_axes(published, pair):
    published.write()
    pairs = AssemblyHands(published.root).pairs(0, pair)
    assert [(one.frame, one.side, one.sequence) for one in pairs] == [(*which, SEQUENCE) for which in EVERY]
    for one in pairs:
        world_mm = published.world_mm[one.frame][int(one.side == "left")]
        for view, camera in zip(VIEWS, pair, strict=True):
            hand, extrinsics = one.hands[view], published.extrinsics[one.frame, camera]
            joints_mm = world_mm @ extrinsics[:, :3].T + extrinsics[:, 3]
            np.testing.assert_allclose(hand.joints_mm, joints_mm, atol=1e-3)
            pixels = joints_mm @ np.array(K).T
            np.testing.assert_allclose(hand.pixels, pixels[:, :2] / pixels[:, 2:], atol=1e-3)
            assert (hand.view, hand.side, hand.file) == (view, one.side, published.picture(one.frame, camera))
            assert hand.valid.all() and hand.box_px.tolist() == [10 + camera, 20, 60 + camera, 50]
            assert (hand.read() == 40 * (camera + 1)).all()
        bones = np.diff(one.hands.left.joints_mm, axis=0)
        turned = np.diff(one.hands.right.joints_mm, axis=0)
        np.testing.assert_allclose(bones @ one.R_right_from_left.T, turned, atol=1e-3)


def test_valid_joints_keep_to_theirs(published):
    for camera in PAIR:
        published.annotation(FRAMES[0], camera)["joint_valid"] = [float(number % 4 != 0 or number == 20) for number in range(42)]
    published.write()
    right = AssemblyHands(published.root).pairs(0, PAIR)[0].hands.left
    # Numbers 0, 4, 8, 12 and 16 of the right hand are its fingertips.
    assert np.flatnonzero(~right.valid).tolist() == sorted(TIPS)


def test_a_hand_counts_where_both_cameras_show_it_well(published):
    published.annotation(6, 1)["bbox"]["left"] = None
    published.annotation(8, 2)["joint_valid"] = [1.0] * 9 + [0.0] * 12 + [1.0] * 21
    published.annotation(10, 0)["bbox"]["right"] = None
    published.write()
    hidden = {(6, "left"), (8, "right")}
    assert shown(published) == [which for which in EVERY if which not in hidden]
    assert shown(published, (0, 3)) == [which for which in EVERY if which != (10, "right")]
    assert shown(published, pic=2) == [which for which in EVERY if which not in hidden][:2]


def test_pictures_that_one_camera_lacks_make_no_pair(published):
    published.data["images"] = [
        image for image in published.data["images"] if (image["frame_idx"], image["camera"]) != (8, NAMES[2])
    ]
    published.write()
    assert shown(published) == [which for which in EVERY if which[0] != 8]
    assert shown(published, (0, 1)) == EVERY


def test_shards_share_nothing_and_leave_nothing_out(published):
    published.write()
    pairs = AssemblyHands(published.root).pairs(0, PAIR)
    shards = [[(one.frame, one.side) for one in pairs.shard(number, 4)] for number in range(4)]
    assert sorted(chain.from_iterable(shards)) == sorted(EVERY)
    assert shards == [[(one.frame, one.side) for one in pairs.shard(number, 4)] for number in range(4)]
    assert [len(pairs.shard(number, 4)) for number in range(4)] == [2, 2, 1, 1]


def test_crops_look_at_the_hand(published):
    published.write()
    for one in AssemblyHands(published.root).pairs(0, PAIR):
        for hand in one.hands:
            crop = hand.crop(64)
            assert crop.image.shape == (64, 64, 3) and crop.camera.mirror == (one.side == "left")
            seen = crop.camera.crop_from_frame(hand.pixels)
            assert (seen > 0).all() and (seen < 63).all() and abs(roll_of(seen)) < 15
            box = hand.box("given")
            assert box.centre_px == (hand.box_px[[0, 2]].mean(), 35.0) and box.size_px == 100 and box.roll_deg == 0


def test_the_list_of_invalid_hands_is_made_once_and_names_damaged_pictures(published):
    published.annotation(6, 3)["joint_valid"] = [1.0] * 21 + [0.0] * 21
    published.write()
    damaged = published.picture(8, 2)
    damaged.write_bytes(damaged.read_bytes()[:-80])
    assert shown(published) == [which for which in EVERY if which[0] != 8]
    listed = (published.root / "annotations" / "val" / "invalid_val_ego.txt").read_text().splitlines()
    assert sorted(listed) == sorted([f"{published.name(6, 3)},1", f"{published.name(8, 2)},0", f"{published.name(8, 2)},1"])
    # Opening it again reads no picture.
    shutil.rmtree(published.root / "images")
    assert shown(published) == [which for which in EVERY if which[0] != 8]


def test_a_published_list_is_believed(published):
    published.write(pictures=False)
    (published.root / "annotations" / "val" / "invalid_val_ego.txt").write_text(f"{published.name(10, 1)},0\n")
    assert shown(published) == [which for which in EVERY if which != (10, "right")]


def test_the_index_serves_until_the_annotations_change(published):
    published.write()
    assert shown(published) == EVERY
    file = published.file("joint_3d")
    stat, text = file.stat(), file.read_bytes()
    # Of the same size and age: it is not read again.
    file.write_bytes(b"?" * len(text))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert shown(published) == EVERY
    published.world_mm = {frame: mm + 1 for frame, mm in published.world_mm.items()}
    del published.joints["annotations"][SEQUENCE]["000010"]
    file.write_text(json.dumps(published.joints))
    assert shown(published) == [which for which in EVERY if which[0] != 10]


def test_a_damaged_index_is_made_anew(published):
    published.write()
    assert shown(published) == EVERY
    (published.root / "annotations" / "val" / "index_val_ego.safetensors").write_bytes(b"half an index")
    assert shown(published) == EVERY


def test_a_cache_may_be_elsewhere(published, tmp_path):
    published.write()
    AssemblyHands(published.root, cache=tmp_path / "cache").pairs(0, PAIR)
    assert len(list((tmp_path / "cache").iterdir())) == 2 and len(list(published.file("ego_data").parent.iterdir())) == 3
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write .*give another folder as the cache"):
        AssemblyHands(published.root, cache=tmp_path / "file")


def test_what_is_missing_or_broken_is_named(published):
    published.write()
    published.file("ego_calib").rename(published.root / "calib.json")
    with pytest.raises(UserError, match="ego_calib_v1-1.json is not there: give the folder of AssemblyHands"):
        AssemblyHands(published.root)
    (published.root / "calib.json").rename(published.file("ego_calib"))
    published.file("joint_3d").write_text('{"annotations": {"' + SEQUENCE)
    with pytest.raises(UserError, match="joint_3d_v1-1.json cannot be read: .*download it again"):
        AssemblyHands(published.root)
    published.file("joint_3d").write_text(json.dumps({"annotations": {SEQUENCE: {"000006": {"world_coord": [[1, 2]]}}}}))
    with pytest.raises(UserError, match="frame 000006: world_coord is not 42 x 3 numbers"):
        AssemblyHands(published.root)
    published.write()
    published.picture(8, 0).unlink()
    with pytest.raises(UserError, match=r"1 of 12 pictures are not in .*images, the first is .*000008\.jpg: download"):
        AssemblyHands(published.root)


def test_cameras_that_are_not_told_or_have_no_square_pixels_are_named(published):
    calib = published.calib["calibration"][SEQUENCE]
    del calib["extrinsics"]["000008"][f"{NAMES[1]}_mono10bit"]
    published.write()
    with pytest.raises(UserError, match=f"camera {NAMES[1]}_mono10bit is missing for frame 000008"):
        AssemblyHands(published.root)
    calib["extrinsics"]["000008"][f"{NAMES[1]}_mono10bit"] = published.extrinsics[8, 1].tolist()
    calib["intrinsics"][f"{NAMES[1]}_mono10bit"] = [[70.0, 0, 60], [0, 75.0, 45], [0, 0, 1]]
    published.write()
    pairs = AssemblyHands(published.root).pairs(0, PAIR)
    with pytest.raises(UserError, match="has no square pixels"):
        pairs[0]


def test_pairs_that_there_are_not_are_named(published):
    published.write()
    hands = AssemblyHands(published.root)
    for setup, pair in ((0, (2, 1)), (2, (0, 1)), (0, (0, 4))):
        with pytest.raises(UserError, match="there is no camera pair"):
            hands.pairs(setup, pair)
    with pytest.raises(UserError, match="shows no hand to cameras 0 and 1 of headset 1"):
        hands.pairs(1, (0, 1))


def test_a_picture_that_went_or_changed_since_is_named_when_it_is_read(published):
    published.write()
    hand = AssemblyHands(published.root).pairs(0, PAIR)[0].hands.left
    cv2.imwrite(str(hand.file), np.zeros((SIZE_PX[1] + 2, SIZE_PX[0]), np.uint8))
    with pytest.raises(UserError, match=r"is of \(120, 92\) px, annotated with \(120, 90\)"):
        hand.crop(64)
    hand.file.write_bytes(b"no picture")
    with pytest.raises(UserError, match="is not a whole picture"):
        hand.read()
    hand.file.unlink()
    with pytest.raises(UserError, match="is not there: download the pictures of its sequence"):
        hand.read()
