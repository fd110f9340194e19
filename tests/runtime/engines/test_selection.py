"""`auto` selects the fastest engine that passes the parity check, remembers the selection and gives the reason."""

import shutil
import time

import msgspec
import pytest

from hand.folders import cache_folder
from runtime.engines.cpu_load import CpuLoad
from runtime.engines.int8 import load_plan, plan_file, save_plan
from runtime.engines.refused import EngineRefused
from runtime.engines.selection import select_engine
from runtime.engines.selection_cache import EngineSelection
from runtime.engines.timing import Timing
from runtime.networks.weights import DEFAULT_WEIGHTS, load_network


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


def timed(busy: bool = False, **ms: float):
    """Measures the given times (ms a pair), by names with _ for -, on a machine that is or is not busy."""
    load = CpuLoad(others=1.9, own=0.1, waited=0.9, cores=2) if busy else CpuLoad(others=0.0, own=1.0, waited=0.0, cores=2)

    def measure(engines) -> Timing:
        times = {name: ms[name.replace("-", "_")] for name in engines}
        return Timing(times, times, times, load)

    return measure


QUICK = timed(tensorrt=50.0, onnx=3.8, onnx_int8=3.6, torch=9.0)


def test_auto_reports_engine_times_and_remembers_its_selection(cache):
    first = select_engine("auto", threads=1, measure=QUICK)
    assert first.description.startswith("onnx on ") and "onnx 3.8 ms a pair" in first.description
    assert "not remembered" not in first.description and len(list(cache.iterdir())) == 1
    again = select_engine("auto", threads=1, measure=timed())
    assert again.description == f"{first.description.removesuffix(')')}, remembered since {time.strftime('%Y-%m-%d')})"
    select_engine("auto", threads=2, measure=QUICK)
    assert len(list(cache.iterdir())) == 2, "another number of threads is another choice"


def test_real_engines_are_timed_and_one_is_chosen():
    engine = select_engine("auto", threads=1)
    assert all(word in engine.description for word in ("auto", "torch", "onnx", "ms a pair"))


def test_what_was_chosen_on_a_busy_machine_is_said_so_and_not_remembered(cache):
    slow = {"tensorrt": 50.0, "onnx": 16.0, "onnx_int8": 12.5, "torch": 30.6}
    engine = select_engine("auto", threads=1, measure=timed(True, **slow))
    assert engine.description.startswith("onnx on ")
    assert "measured while this machine was busy (other programs used 1.9 of 2 cores): not remembered" in engine.description
    assert not cache.exists()
    # Nor does it take the place of what was chosen in peace.
    select_engine("auto", threads=1, measure=QUICK)
    kept = [file.read_bytes() for file in cache.iterdir()]
    select_engine("auto", threads=1, anew=True, measure=timed(True, **slow))
    assert [file.read_bytes() for file in cache.iterdir()] == kept


def test_a_selection_made_anew_replaces_the_remembered_one(cache):
    select_engine("auto", threads=1, measure=QUICK)
    select_engine("auto", threads=1, anew=True, measure=timed(tensorrt=50.0, onnx=9.0, onnx_int8=8.0, torch=2.0))
    assert (
        select_engine("auto", threads=1, measure=timed()).description.startswith("torch on ") and len(list(cache.iterdir())) == 1
    )


def test_auto_skips_a_refused_engine_and_reports_its_figures(weights):
    plan = load_plan(DEFAULT_WEIGHTS, "detnet-lite")
    narrow = {name: (low / 50, high / 50) for name, (low, high) in plan.ranges.items()}
    save_plan(msgspec.structs.replace(plan, ranges=narrow), plan_file(weights))
    with pytest.raises(EngineRefused, match="onnx-int8 .*at most 1.5") as caught:
        select_engine("onnx-int8", weights)
    assert caught.value.parity is not None and not caught.value.parity.mean_mm <= 1.5
    for start in ("the first", "a later one"):
        engine = select_engine("auto", weights, measure=QUICK)
        assert not engine.description.startswith("onnx-int8") and "onnx-int8 refused" in engine.description, start


def test_an_engine_that_cannot_be_had_is_logged_with_its_reason(weights, caplog):
    caplog.set_level("INFO")
    plan_file(weights).write_text("{")
    select_engine("auto", weights, measure=QUICK)
    assert "engine onnx-int8 is not available" in caplog.text and "no plan for int8" in caplog.text


@pytest.mark.parametrize(("int8_ms", "said"), [(3.6, "is not needed"), (15.0, "would have to be 1.8 times as fast, and is 1.3")])
def test_why_int8_is_not_taken_is_said(int8_ms, said):
    exact_ms = 3.8 if int8_ms < 10 else 20.0
    engine = select_engine("auto", measure=timed(tensorrt=50.0, onnx=exact_ms, onnx_int8=int8_ms, torch=40.0))
    assert engine.description.startswith("onnx on ") and said in engine.description


def test_int8_is_taken_where_it_is_worth_its_error():
    engine = select_engine("auto", measure=timed(tensorrt=300.0, onnx=100.0, onnx_int8=20.0, torch=300.0))
    assert engine.description.startswith("onnx-int8 on cpu")
    assert "mm off, is 5.0 times as fast as the fastest exact one" in engine.description


def test_selection_is_repeated_where_the_cached_engine_fails(weights, caplog):
    caplog.set_level("INFO")
    slow = timed(tensorrt=300.0, onnx=100.0, onnx_int8=20.0, torch=300.0)
    assert select_engine("auto", weights, measure=slow).description.startswith("onnx-int8")
    # The same selection, kept by a program whose plan was whole.
    (file,) = cache_folder("engines").iterdir()
    plan_file(weights).write_text("{")
    _, manifest = load_network(weights)
    file.rename(file.with_name(f"{EngineSelection.key(manifest, weights, None)}.json"))
    assert select_engine("auto", weights, measure=slow).description.startswith("onnx on ")
    assert "chosen anew" in caplog.text


@pytest.mark.parametrize("content", ["what?", '{"engine": "onnx-int8", "why": "onnx-int8 12.5 ms a pair, onnx 16.0 ms a pair"}'])
def test_a_damaged_selection_or_one_of_an_older_version_is_replaced(cache, content):
    select_engine("auto", measure=QUICK)
    (file,) = cache.iterdir()
    file.write_text(content)
    assert "remembered since" not in select_engine("auto", measure=QUICK).description
    assert "remembered since" in select_engine("auto", measure=QUICK).description


def test_a_cache_that_cannot_be_written_is_said(cache, caplog):
    cache.parent.mkdir(parents=True)
    cache.write_text("a file in the folder's place")
    select_engine("auto", measure=QUICK)
    assert "cannot be remembered" in caplog.text


def test_tensorrt_without_a_gpu_is_refused_in_one_sentence():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(EngineRefused, match="no NVIDIA GPU") as caught:
        select_engine("tensorrt")
    assert caught.value.parity is None
