"""Camera profiles round-trip through their files, one file for each camera pair; invalid files raise."""

import json
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.views import PerView
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.rotations import from_vector
from runtime.calibration.camera_profile import CameraPair, Profile, default_folder, load_profile, profile_file, save_profile
from runtime.geometry.two_view import TwoViewGeometry

SIZES: PerView[tuple[int, int]] = PerView((640, 480), (1280, 720))
PAIR = CameraPair.of(PerView("0", "/dev/video2"), SIZES)


def profile(baseline_mm: float = 412.5, focal_px: float = 554.256) -> Profile:
    geometry = TwoViewGeometry(
        PerView(PinholeCamera(focal_px, (319.5, 239.5), SIZES.left), PinholeCamera(1012.75, (639.5, 359.5), SIZES.right)),
        from_vector(np.array([0.05, 1.1, -0.2])),
        np.array([-baseline_mm, 18.3, 160.1]),
    )
    return Profile.of(
        PAIR,
        geometry,
        hand_size_mm=90.0,
        rotation_deg=0.8,
        baseline_deg=1.1,
        focal_percent=PerView(2.5, 0.0),
        focal_given=PerView(False, True),
        pairs=240,
        saved_at="2026-11-21T20:15:00+00:00",
    )


def test_a_profile_round_trips_through_its_file(tmp_path):
    file = profile_file(PAIR, tmp_path / "made" / "cameras")
    assert load_profile(file) is None
    save_profile(file, profile())
    loaded = load_profile(file)
    assert loaded == profile()
    save_profile(file, profile(300.0))
    assert load_profile(file) == profile(300.0)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_geometry_round_trips_through_a_profile(tmp_path):
    geometry = profile().geometry()
    assert geometry.cameras.right == PinholeCamera(1012.75, (639.5, 359.5), SIZES.right)
    np.testing.assert_array_equal(geometry.R_right_from_left, from_vector(np.array([0.05, 1.1, -0.2])))
    np.testing.assert_array_equal(geometry.t_right_from_left_mm, [-412.5, 18.3, 160.1])


def test_another_hand_size_scales_the_translation_only():
    smaller = profile().geometry(hand_size_mm=81.0)
    np.testing.assert_allclose(smaller.t_right_from_left_mm, profile().geometry().t_right_from_left_mm * 0.9)
    np.testing.assert_array_equal(smaller.R_right_from_left, profile().geometry().R_right_from_left)
    assert smaller.cameras == profile().geometry().cameras


NAMES = st.sampled_from(
    ["/dev/video0", "/dev/video2", "synthetic", "tcp://127.0.0.1:5601", "/a/clip.mp4", "/b/clip.mp4", "/a/ü.mp4"]
)
PAIRS = st.builds(
    lambda left, right, one, other: CameraPair(PerView(left, right), PerView(one, other)),
    NAMES,
    NAMES,
    st.sampled_from([(640, 480), (480, 640), (1280, 720)]),
    st.sampled_from([(640, 480), (1280, 720)]),
)


@given(PAIRS, PAIRS)
def test_camera_pairs_share_a_file_only_if_equal(one, other):
    folder = Path("/cameras")
    assert (profile_file(one, folder) == profile_file(other, folder)) == (one == other)
    assert profile_file(one, folder).parent == folder and len(profile_file(one, folder).name) < 120


def test_swapped_cameras_are_another_pair_and_path_aliases_are_the_same(tmp_path, monkeypatch):
    swapped = CameraPair.of(PerView("/dev/video2", "0"), PerView(SIZES.right, SIZES.left))
    assert profile_file(swapped, tmp_path) != profile_file(PAIR, tmp_path)
    same: PerView[tuple[int, int]] = PerView((640, 480), (640, 480))
    one, other = CameraPair(PerView("/a/clip.mp4", "/b/clip.mp4"), same), CameraPair(PerView("/b/clip.mp4", "/a/clip.mp4"), same)
    assert profile_file(one, tmp_path) != profile_file(other, tmp_path)
    assert CameraPair.of(PerView("/dev/video0", "2"), SIZES) == PAIR
    (tmp_path / "clip.mp4").touch()
    monkeypatch.chdir(tmp_path)
    relative, absolute = (PerView(name, name) for name in ("clip.mp4", str(tmp_path / "clip.mp4")))
    assert CameraPair.of(relative, SIZES) == CameraPair.of(absolute, SIZES)
    assert "video0-640x480_video2-1280x720" in profile_file(PAIR, tmp_path).name


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """Writes fail beyond `size` bytes, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_an_interrupted_write_leaves_the_old_profile(tmp_path):
    file = profile_file(PAIR, tmp_path)
    save_profile(file, profile())
    with no_file_longer_than(100), pytest.raises(UserError, match=f"{file.name}.*File too large"):
        save_profile(file, profile(300.0))
    assert load_profile(file) == profile()
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "cameras").touch()
    with pytest.raises(UserError, match="cannot keep.*cameras"):
        save_profile(profile_file(PAIR, tmp_path / "cameras"), profile())
    with pytest.raises(UserError, match="cannot read.*cameras"):
        load_profile(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "names"),
    [
        ("version", 2, ("version",)),
        ("colour", "red", ("colour",)),
        ("pairs", None, ("pairs",)),
        ("R_right_from_left", [[1, 0, 0], [0, 1, 0], [0, 0, -1]], ("R_right_from_left", "no rotation")),
        ("R_right_from_left", [[1, 0, 0], [0, 1, 0]], ("R_right_from_left",)),
        ("t_right_from_left_mm", [0, 0, 0], ("t_right_from_left_mm",)),
        ("hand_size_mm", 0, ("hand_size_mm",)),
        ("rotation_deg", -1, ("rotation_deg", "-1")),
        ("left", {"source": "0"}, ("left", "size_px")),
    ],
)
def test_an_invalid_profile_raises_and_says_how_to_delete_it(tmp_path, key, value, names):
    file = profile_file(PAIR, tmp_path)
    save_profile(file, profile())
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    with pytest.raises(UserError) as raised:
        load_profile(file)
    sentence = str(raised.value)
    for name in (str(file), "delete it", *names):
        assert name in sentence, sentence


@pytest.mark.parametrize("key", ["focal_px", "focal_percent", "size_px"])
def test_an_impossible_camera_raises(tmp_path, key):
    file = profile_file(PAIR, tmp_path)
    save_profile(file, profile())
    content = json.loads(file.read_text())
    content["right"][key] = [0, 480] if key == "size_px" else -1
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"{key}.*right.*delete it"):
        load_profile(file)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_profile_raises(tmp_path, share):
    file = profile_file(PAIR, tmp_path)
    save_profile(file, profile())
    content = file.read_bytes().rstrip()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match="delete it"):
        load_profile(file)


def test_non_finite_numbers_are_never_saved():
    for number in (float("nan"), float("inf"), 0.0):
        with pytest.raises(ValueError, match=f"focal_px is {number}"):
            profile(focal_px=number)
    with pytest.raises(ValueError, match="nan"):
        profile(baseline_mm=float("nan"))


def test_profiles_are_kept_where_the_user_keeps_data(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "duohand" / "cameras"
    monkeypatch.setenv("HOME", str(tmp_path))
    for unusable in ("", "relative/path"):
        monkeypatch.setenv("XDG_DATA_HOME", unusable)
        assert default_folder() == tmp_path / ".local" / "share" / "duohand" / "cameras"


def test_the_password_of_a_network_camera_is_in_no_profile(tmp_path):
    def pair(password: str) -> CameraPair:
        return CameraPair.of(PerView(f"rtsp://me:{password}@10.0.0.5/live", "http://10.0.0.6:8080/video"), SIZES)

    assert pair("secret") == pair("another") and "secret" not in str(pair("secret"))
    assert "secret" not in str(profile_file(pair("secret"), tmp_path))
