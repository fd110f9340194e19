"""`auto` selects the fastest engine that passes the parity check, caches the selection and gives the reason."""

import shutil
from itertools import cycle

import msgspec
import numpy as np
import pytest

from runtime.engines import selection as choose
from runtime.engines.engine import Predictions
from runtime.engines.int8 import load_plan, plan_file, save_plan
from runtime.engines.refused import EngineRefused
from runtime.engines.selection import select_engine, time_engines
from runtime.networks.weights import DEFAULT_WEIGHTS, Manifest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "duohand" / "engines"


@pytest.fixture
def weights(tmp_path):
    """A copy of the shipped weights."""
    for suffix in (".safetensors", ".json"):
        shutil.copy(DEFAULT_WEIGHTS.with_suffix(suffix), tmp_path / f"net{suffix}")
    return tmp_path / "net.safetensors"


def test_auto_reports_engine_times_and_caches_its_selection(cache):
    first = select_engine("auto", threads=1)
    assert all(word in first.description for word in ("auto", "torch", "onnx", "ms a pair")) and len(list(cache.iterdir())) == 1
    again = select_engine("auto", threads=1)
    assert again.description.removesuffix(", remembered)") == first.description.removesuffix(")")
    select_engine("auto", threads=2)
    assert len(list(cache.iterdir())) == 2, "another number of threads is another choice"


def test_auto_skips_a_refused_engine_and_reports_its_figures(weights):
    plan = load_plan(DEFAULT_WEIGHTS, "detnet-lite")
    narrow = {name: (low / 50, high / 50) for name, (low, high) in plan.ranges.items()}
    save_plan(msgspec.structs.replace(plan, ranges=narrow), plan_file(weights))
    with pytest.raises(EngineRefused, match="onnx-int8 .*at most 1.5") as caught:
        select_engine("onnx-int8", weights)
    assert caught.value.parity is not None and not caught.value.parity.mean_mm <= 1.5
    engine = select_engine("auto", weights)
    assert not engine.description.startswith("onnx-int8") and "onnx-int8 refused" in engine.description


@pytest.mark.parametrize(("enough_ms", "chosen"), [(1e6, {"torch", "onnx"}), (0.0, {"torch", "onnx", "onnx-int8"})])
def test_int8_is_selected_only_where_no_float_engine_is_fast_enough(monkeypatch, enough_ms, chosen):
    monkeypatch.setattr(choose, "FAST_ENOUGH_MS", enough_ms)
    took = {}

    def timed(engines):
        took.clear()
        took.update(time_engines(engines, 0.05))
        return took

    monkeypatch.setattr(choose, "time_engines", timed)
    engine = select_engine("auto", threads=1)
    best = min(chosen & set(took), key=lambda name: took[name])
    assert engine.description.split(" ")[0] == best


def test_selection_is_repeated_where_the_cached_engine_fails(weights, cache, monkeypatch):
    monkeypatch.setattr(choose, "FAST_ENOUGH_MS", 0.0)
    if not select_engine("auto", weights).description.startswith("onnx-int8"):
        pytest.skip("int8 is not the fastest here")
    plan_file(weights).write_text("{")
    assert not select_engine("auto", weights).description.startswith("onnx-int8")


def test_a_damaged_selection_cache_is_ignored(cache):
    select_engine("auto")
    (file,) = cache.iterdir()
    file.write_text("what?")
    assert "remembered" not in select_engine("auto").description


class Clock:
    """A fake clock, advanced by `TimedEngine`."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class TimedEngine:
    """Engine whose calls advance the clock by the given seconds in turn."""

    description = "timed"
    manifest = Manifest(architecture="none", root=0, crop_size=8, map_size=1, axes="crop", training_data="none")

    def __init__(self, clock: Clock, *seconds: float):
        self._clock, self._seconds = clock, cycle(seconds)

    def __call__(self, images: np.ndarray) -> Predictions:
        self._clock.now_s += next(self._seconds)
        return Predictions(images, images, images)

    def refitted(self, network, manifest):
        return self


def test_engine_time_is_the_median_of_its_runs():
    clock = Clock()
    took = time_engines({"quick": TimedEngine(clock, 0.001), "uneven": TimedEngine(clock, 0.02, 0.9, 0.02)}, 2.0, clock)
    assert took == pytest.approx({"quick": 1.0, "uneven": 20.0})
    assert clock.now_s >= 4.0


def test_tensorrt_without_a_gpu_is_refused_in_one_sentence():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(EngineRefused, match="no NVIDIA GPU") as caught:
        select_engine("tensorrt")
    assert caught.value.parity is None
