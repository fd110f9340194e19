"""`auto` takes what sees real hands best where it can be had and keeps up, and says why where it does not."""

from pathlib import Path

import pytest

from hand.errors import UserError
from runtime.estimators.auto import MAX_SHARE, Task, choose_estimator

CAMERAS_MS = 1e3 / 30
NO_PLAN = Path("none.int8.json")


def unneeded() -> float:
    raise AssertionError("nothing is to be fetched or timed")


@pytest.mark.parametrize("share", [0.1, MAX_SHARE - 1e-6, MAX_SHARE + 1e-6, 3.0])
def test_the_best_one_is_taken_while_its_network_keeps_up_with_the_cameras(share):
    choice = choose_estimator(Task(period_ms=CAMERAS_MS), lambda: None, lambda: share * CAMERAS_MS, NO_PLAN)
    slow = share > MAX_SHARE
    assert choice.name == ("detnet" if slow else "mediapipe-3d")
    assert choice.compromise == choice.too_slow == slow
    assert f"takes {share * CAMERAS_MS:.0f} " in str(choice)
    assert "cameras of 30 Hz leave it 25" in str(choice) or not slow


def test_faster_cameras_leave_less_time():
    names = [choose_estimator(Task(period_ms=1e3 / rate), lambda: None, lambda: 12.0, NO_PLAN).name for rate in (30, 60, 120)]
    assert names == ["mediapipe-3d", "mediapipe-3d", "detnet"]


def test_frames_that_wait_need_no_timing():
    assert choose_estimator(Task(), lambda: None, unneeded, NO_PLAN).name == "mediapipe-3d"


@pytest.mark.parametrize("fails", ["provide", "time"])
def test_what_cannot_be_had_is_said_and_detnet_goes_on(fails):
    def fail() -> float:
        raise UserError("no network; fetch it")

    provide, time = (fail, unneeded) if fails == "provide" else (lambda: None, fail)
    choice = choose_estimator(Task(period_ms=CAMERAS_MS), provide, time, NO_PLAN)
    assert choice.name == "detnet" and choice.compromise and not choice.too_slow
    assert str(choice).endswith("in place of mediapipe-3d, which sees real hands best (docs/results.md): no network; fetch it")


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (Task(architecture="detnet"), "detnet"),
        (Task(architecture="detnet-lite", period_ms=CAMERAS_MS), "detnet"),
        (Task(architecture="mediapipe-3d", drawn=True), "mediapipe-3d"),
        (Task(architecture="mediapipe-landmarks-lite"), "mediapipe-3d"),
        (Task(engine="onnx-int8"), "detnet"),
        (Task(drawn=True), "detnet"),
    ],
)
def test_what_only_one_of_them_has_decides_before_anything_is_fetched(task, name):
    assert choose_estimator(task, unneeded, unneeded, NO_PLAN).name == name


def test_int8_is_no_reason_once_there_is_a_plan(tmp_path):
    plan = tmp_path / "w.int8.json"
    plan.write_text("{}")
    assert choose_estimator(Task(engine="onnx-int8"), lambda: None, unneeded, plan).name == "mediapipe-3d"
