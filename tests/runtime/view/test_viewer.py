"""The viewer writes readable videos and pictures, and opens, shows and closes its window."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from capture.frames import Frame, FramePair
from capture.views import PerView
from hand.camera import PinholeCamera
from hand.findings import Findings
from hand.rotations import from_vector
from runtime.types import ViewHand
from runtime.view.layout import ViewerLayout
from runtime.view.panels import image_panel
from runtime.view.scene import LEFT_COLOUR, RIGHT_COLOUR, place_cameras, place_viewpoint, trust_colours
from runtime.view.solids import frusta_solids, join, skeleton_solids
from runtime.view.video import RESERVE_BYTES, VideoFile
from runtime.view.viewer import SIZE_PX, Viewer
from tests.runtime.dual_hands import MS, R_RIGHT_FROM_LEFT, dual_hand, facing
from tests.runtime.hands import flexed_hand

CAMERAS = PerView(PinholeCamera.from_fov(64, 48), PinholeCamera.from_fov(48, 48))


def pair_at(ms: int) -> FramePair:
    sizes = CAMERAS.map(lambda camera: np.full((camera.size_px[1], camera.size_px[0], 3), 90, np.uint8))
    return FramePair(*(Frame(view, 0, ms * MS, ms * MS, image) for view, image in sizes.items()))


def read_video(path) -> list[np.ndarray]:
    video = cv2.VideoCapture(str(path))
    images = []
    while (image := video.read()[1]) is not None:
        images.append(image)
    return images


def changed(a: np.ndarray, b: np.ndarray) -> float:
    """Share of pixels that differ clearly; compression and edges, which the picture draws finer, change few."""
    return float((np.abs(a.astype(int) - b).max(-1) > 60).mean())


def test_headless_video_and_picture_show_the_hand(tmp_path):
    files = tmp_path / "out.mp4", tmp_path / "out.png"
    viewer = Viewer(headless=True, video=files[0], picture=files[1], cameras=CAMERAS, hand_size_mm=90, findings=Findings())
    pair = pair_at(0)
    hand = dual_hand(pair, rotation=R_RIGHT_FROM_LEFT)
    fist = replace(hand, joints=flexed_hand(1.4))
    left_hand = replace(hand, side="left", joints=hand.joints * np.array([-1, 1, 1]))
    for number, shown in enumerate((None, hand, fist, left_hand)):
        assert viewer.show(pair_at(100 * number), shown, "status")
    viewer.close()

    nothing, *_, opened = (images := read_video(files[0]))[0], images[3]
    assert len(images) == 10
    assert opened.shape == (SIZE_PX[1], SIZE_PX[0], 3)
    for other in (nothing, images[6], images[9]):
        assert changed(opened, other) > 0.01
    picture = cv2.imread(str(files[1]))
    assert picture is not None and picture.shape == opened.shape
    assert changed(picture, images[9]) < 0.002 < 0.01 < changed(picture, images[6])


def test_the_picture_shows_the_hand_where_it_is_in_the_room(tmp_path):
    geometry = facing(60, 500)
    # No joints in the live images: the hand itself is all that differs.
    hand = replace(dual_hand(pair_at(0), rotation=geometry.R_right_from_left), geometry=geometry, views=PerView(None, None))
    layout = ViewerLayout(geometry.cameras, 90, SIZE_PX)

    def picture(wrist_mm: np.ndarray | None) -> np.ndarray:
        path = tmp_path / "out.png"
        path.unlink(missing_ok=True)
        viewer = Viewer(headless=True, video=None, picture=path, cameras=geometry.cameras, hand_size_mm=90, findings=Findings())
        for ms, wrist in ((0, np.array([0, 40.0, 500])), (33, wrist_mm)):
            shown = None if wrist is None else replace(hand, wrist_mm=wrist)
            viewer.show(pair_at(ms), shown, "status")
            layout.update(shown, ms * MS)
        viewer.close()
        image = cv2.imread(str(path))
        assert image is not None
        return image

    without, there = picture(None), picture(np.array([30.0, 10, 480]))
    placement = layout.placement()
    joints = placement.viewpoint.project(placement.wrist + 90 * hand.joints)
    rows, columns = np.nonzero(np.abs(there.astype(int) - without).max(-1) > 60)
    assert len(rows) > 2000
    assert columns.min() > joints[:, 0].min() - 40 and columns.max() < joints[:, 0].max() + 40
    for x, y in np.round(joints).astype(int):
        assert (np.abs(there[y, x].astype(int) - without[y, x]) > 60).any()


@pytest.mark.skipif(not shutil.which("Xvfb"), reason="no Xvfb here (Debian: apt-get install xvfb)")
def test_a_window_opens_shows_two_frames_and_closes(tmp_path):
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x900x24"],
        pass_fds=[write],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as numbers:
        display = f":{numbers.readline().strip()}"
    environment = {name: value for name, value in os.environ.items() if name != "WAYLAND_DISPLAY"}
    script = tmp_path / "window.py"
    script.write_text(
        "from pathlib import Path\n"
        "from tests.runtime.view.test_viewer import CAMERAS, Findings, Viewer, dual_hand, pair_at\n"
        f"viewer = Viewer(headless=False, video=Path({str(tmp_path / 'out.mp4')!r}), picture=Path({str(tmp_path / 'out.png')!r}),"
        " cameras=CAMERAS, hand_size_mm=90, findings=Findings())\n"
        "print(*[viewer.show(pair_at(t), dual_hand(pair_at(t)), 'status') for t in (0, 34)])\n"
        "viewer.close()\n"
    )
    try:
        result = subprocess.run(
            [sys.executable, str(script)],
            env={**environment, "DISPLAY": display, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        server.terminate()
        server.wait()
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["True", "True"]
    images = read_video(tmp_path / "out.mp4")
    assert len(images) == 2
    picture = cv2.imread(str(tmp_path / "out.png"))
    assert picture is not None and changed(picture, images[1]) < 0.002


def test_a_video_keeps_the_captures_times(tmp_path):
    video = VideoFile(tmp_path / "out.mp4", fps=10)
    grey = iter(range(40, 240, 40))
    # The second comes within the first's step, the fourth two steps late.
    for ms in (1000, 1030, 1100, 1400):
        due = video.due(ms * MS)
        assert due == (ms != 1030)
        if due:
            video.write(np.full((64, 64, 3), next(grey), np.uint8), ms * MS)
    video.close()
    assert [round(float(image.mean()) / 40) for image in read_video(tmp_path / "out.mp4")] == [1, 2, 2, 2, 3]


def test_a_video_without_a_picture_leaves_no_file(tmp_path):
    VideoFile(tmp_path / "unused.mp4").close()
    assert not list(tmp_path.iterdir())


def test_a_video_stops_while_it_can_still_be_finished(tmp_path):
    """The process may write files of so many bytes only, as on a disk that is nearly full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    video = VideoFile(tmp_path / "out.mp4", fps=10)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * RESERVE_BYTES, limits[1]))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            for number in range(1000):
                video.write(np.roll(noise, number, 1), 100 * number * MS)
        video.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(read_video(tmp_path / "out.mp4")) == video.frames > 5
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


def test_a_video_that_cannot_be_read_back_is_removed_and_what_it_was_to_replace_stays(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_text("an earlier one")
    video = VideoFile(path, fps=10, overwrite=True)
    video.write(np.zeros((64, 64, 3), np.uint8), 0)
    (written,) = tmp_path.glob(".*")
    written.unlink()
    with pytest.raises(OSError, match="0 of 1 frames"):
        video.close()
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"] and path.read_text() == "an earlier one"


def test_a_viewer_whose_files_fail_shows_on_and_says_so(tmp_path):
    findings = Findings()
    (tmp_path / "file").touch()
    video, picture = tmp_path / "file" / "out.mp4", tmp_path / "file" / "out.png"
    viewer = Viewer(headless=True, video=video, picture=picture, cameras=CAMERAS, hand_size_mm=90, findings=findings)
    for ms in (0, 34):
        assert viewer.show(pair_at(ms), None, "status")
    viewer.close()
    assert [finding.kind for finding in findings.all] == ["video_failed", "picture_failed"] and findings.failed
    for finding, path in zip(findings.all, (video, picture), strict=True):
        assert str(path) in finding.text and "is not written" in finding.text


@pytest.mark.parametrize("turn_deg", [-75, -20, 0, 20, 75, 120, 165, 180])
def test_cameras_face_the_hand_and_the_viewpoint_contains_all(turn_deg):
    rotation = from_vector(np.array([0, np.radians(turn_deg), 0]))
    frusta = place_cameras(CAMERAS, rotation)
    viewpoint = place_viewpoint(*SIZE_PX, frusta)
    np.testing.assert_allclose(viewpoint.R_eye_from_scene @ viewpoint.R_eye_from_scene.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(viewpoint.R_eye_from_scene) > 0
    for frustum in frusta:
        assert frustum
        # Its axis passes the hand, nearer than where it stands; beside it only where the cameras were moved apart.
        assert (frustum.R_camera_from_scene @ -frustum.apex)[2] > 100
        seen = (np.vstack([frustum.apex, frustum.corners, np.zeros(3)]) - viewpoint.position) @ viewpoint.R_eye_from_scene.T
        pixels = viewpoint.camera.project(seen)
        assert (seen[:, 2] > 0).all() and (pixels > 0).all() and (pixels < SIZE_PX).all()
    assert frusta.left and frusta.right
    assert np.linalg.norm(frusta.left.apex - frusta.right.apex) > 200
    pixels = np.array([(10.0, 20.0), (900.0, 500.0)])
    back = (viewpoint.unproject(pixels, 50.0) - viewpoint.position) @ viewpoint.R_eye_from_scene.T
    np.testing.assert_allclose(viewpoint.camera.project(back), pixels)
    np.testing.assert_allclose(back[:, 2], 50)


def test_solids_are_valid_meshes_and_the_skeleton_is_at_the_joints():
    frusta = place_cameras(CAMERAS, None)
    assert frusta.right is None
    viewpoint = place_viewpoint(*SIZE_PX, frusta)
    joints = 90 * flexed_hand()
    parts = skeleton_solids(joints, np.ones(21), viewpoint)
    drawn = join([*frusta_solids(frusta, viewpoint), *parts], viewpoint)
    assert drawn.faces.min() == 0 and drawn.faces.max() == len(drawn.vertices) - 1
    np.testing.assert_allclose(np.linalg.norm(drawn.normals, axis=-1), 1, atol=1e-6)
    skeleton = np.concatenate([part.vertices for part in parts])
    shown = viewpoint.camera.project((skeleton - viewpoint.position) @ viewpoint.R_eye_from_scene.T)
    truth = viewpoint.camera.project((joints - viewpoint.position) @ viewpoint.R_eye_from_scene.T)
    nearest = np.linalg.norm(shown[:, None] - truth, axis=-1).min(0)
    assert nearest.max() < 12


def test_colour_scale_runs_from_right_view_to_left_view():
    np.testing.assert_allclose(trust_colours(np.array([1.0, 0.0, 0.5]))[:2], [LEFT_COLOUR, RIGHT_COLOUR])
    assert np.ptp(trust_colours(np.array([0.5]))) < 1e-9


def test_joints_outside_the_frame_or_nan_are_drawn_without_error():
    image = np.full((48, 64, 3), 90, np.uint8)
    hand = ViewHand("left", "right", flexed_hand(), np.full((21, 2), 1e12), np.ones(21))
    away = image_panel("left", image, hand)
    assert (away == image_panel("left", image, replace(hand, pixels=np.full((21, 2), np.nan)))).all()
    assert (image == 90).all()
