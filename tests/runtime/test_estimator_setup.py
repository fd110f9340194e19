"""`--estimator auto` becomes a name whose parts are there, and nothing is fetched that was forbidden."""

import time
from pathlib import Path

import pytest

from hand.errors import UserError
from hand.findings import Findings
from runtime.engines.selection_cache import EngineSelection, save_selection
from runtime.estimator_setup import FORBID, settle_estimator, task_of
from runtime.estimators.mediapipe_3d import OWN_WEIGHTS
from runtime.networks.mediapipe_files import folder
from runtime.networks.weights import read_manifest
from runtime.pipeline_loader import engine_threads
from runtime.settings import Settings
from tests.capture.clips import write_clip

CAMERAS = Settings(left="0", right="2")


@pytest.fixture
def empty_cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def own_cache(tmp_path, monkeypatch, mediapipe_models) -> None:
    """A cache with the models and nothing that was remembered."""
    pytest.importorskip("ai_edge_litert", reason="the extra [mediapipe] is not installed")
    models = folder()
    (tmp_path / "cache" / "duohand").mkdir(parents=True)
    (tmp_path / "cache" / "duohand" / models.name).symlink_to(models)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def settled(settings: Settings) -> tuple[str, list[str]]:
    """The estimator's name, and what the findings say."""
    findings = Findings()
    return settle_estimator(settings, findings).settings.estimator_name, [finding.text for finding in findings.all]


@pytest.mark.parametrize(("fetch", "forbidden_by"), [(True, f"${FORBID}"), (False, "--no-fetch")])
def test_without_the_models_detnet_is_taken_with_one_sentence(empty_cache, fetch, forbidden_by):
    name, (sentence,) = settled(Settings(left="0", right="2", fetch=fetch))
    assert name == "detnet" and f"{forbidden_by} forbids to fetch them" in sentence and "\n" not in sentence
    with pytest.raises(UserError, match="forbids to fetch them: python -m tools.get_mediapipe does"):
        settled(Settings(left="0", right="2", estimator="mediapipe-3d"))
    assert not folder().exists()


def test_what_needs_no_models_is_settled_without_a_word(empty_cache, weights):
    for settings in (
        Settings(left="0", right="2", estimator="detnet"),
        Settings(left="0", right="2", weights=weights),
        Settings(left="synthetic", right="synthetic"),
    ):
        assert settled(settings) == ("detnet", [])


def remember(ms: float, settings: Settings) -> None:
    threads = engine_threads(settings)
    key = EngineSelection.key(read_manifest(OWN_WEIGHTS), OWN_WEIGHTS, threads)
    chosen = EngineSelection(engine="onnx", ms={"onnx": ms}, chosen_s=time.time(), weights=OWN_WEIGHTS.name, threads=threads)
    save_selection(key, chosen)


@pytest.mark.parametrize(("ms", "name"), [(8.0, "mediapipe-3d"), (24.0, "mediapipe-3d"), (26.0, "detnet")])
def test_the_remembered_time_decides_for_live_cameras(own_cache, ms, name):
    remember(ms, CAMERAS)
    findings = Findings()
    settled = settle_estimator(CAMERAS, findings)
    assert settled.settings.estimator == name and settled.engine is None, "no engine is made to be timed"
    told = [settled.why] if settled.why else [finding.text for finding in findings.all]
    assert len(told) == 1 and f"takes {ms:.0f}" in told[0]


def test_a_time_that_is_not_remembered_is_measured(own_cache):
    findings = Findings()
    slow = settle_estimator(Settings(left="0", right="2", camera_fps=1000.0, engine="onnx"), findings)
    (finding,) = findings.all
    assert slow.settings.estimator == "detnet" and "cameras of 1e+03 Hz leave it 1" in finding.text
    fast = settle_estimator(Settings(left="0", right="2", camera_fps=0.1, engine="onnx"), findings)
    assert fast.settings.estimator == "mediapipe-3d" and fast.engine is not None and fast.engine.description == "onnx on cpu"


def test_the_slower_source_gives_the_rate_of_pairs(tmp_path):
    clip = str(write_clip(tmp_path / "clip.mp4", 4))
    assert task_of(Settings(left="0", right="2", camera_fps=60.0)).period_ms == pytest.approx(1e3 / 60)
    assert task_of(Settings(left="0", right=clip, camera_fps=60.0)).period_ms == pytest.approx(1e3 / 30, rel=0.01)
    assert task_of(Settings(left="tcp://127.0.0.1:5601", right="tcp://127.0.0.1:5602")).period_ms == pytest.approx(1e3 / 30)
    assert task_of(Settings(left=clip, right=clip, every_pair=True)).period_ms is None
