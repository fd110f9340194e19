"""A remembered engine is tried again once it is old, in a process of its own."""

import time

import pytest

from runtime.engines.selection_cache import MAX_AGE_S, EngineSelection, load_selection, remembered_selections, save_selection
from runtime.networks.weights import DEFAULT_WEIGHTS, load_network
from runtime.reselection import reselect_if_due

CHOSEN_S = 1.8e9


@pytest.fixture
def manifest(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return load_network(DEFAULT_WEIGHTS)[1]


def selection(**changes) -> EngineSelection:
    values = {"engine": "onnx", "ms": {"onnx": 3.8}, "chosen_s": CHOSEN_S, "weights": DEFAULT_WEIGHTS.name, "threads": 1}
    return EngineSelection(**(values | changes))


@pytest.mark.parametrize(
    ("age_s", "due"), [(0, False), (MAX_AGE_S - 1, False), (MAX_AGE_S, True), (10 * MAX_AGE_S, True), (-9, True)]
)
def test_a_selection_is_due_once_it_is_old_or_of_the_future(age_s, due):
    assert selection().due(CHOSEN_S + age_s) == due


def test_nothing_is_tried_again_where_nothing_is_remembered_or_due(manifest):
    assert reselect_if_due(manifest, DEFAULT_WEIGHTS, 1) is None
    save_selection(EngineSelection.key(manifest, DEFAULT_WEIGHTS, 1), selection())
    assert reselect_if_due(manifest, DEFAULT_WEIGHTS, 1, CHOSEN_S + 60) is None


def test_a_selection_that_is_due_is_tried_again_by_a_process_that_ends_with_this_one(manifest):
    key = EngineSelection.key(manifest, DEFAULT_WEIGHTS, 1)
    save_selection(key, selection())
    process = reselect_if_due(manifest, DEFAULT_WEIGHTS, 1, CHOSEN_S + MAX_AGE_S, low_priority=False)
    if process is None:
        assert load_selection(key) is None, "with a GPU the next start chooses anew"
        return
    assert process.daemon and load_selection(key) is not None
    process.join()
    assert process.exitcode == 0
    kept = load_selection(key)
    # On a busy machine the old one stays.
    assert kept is not None and (kept == selection() or abs(kept.chosen_s - time.time()) < 600)


def test_remembered_selections_are_listed_newest_first(manifest):
    for number in (1, 3, 2):
        save_selection(f"key{number}", selection(chosen_s=CHOSEN_S + number, threads=number))
    assert [one.threads for one in remembered_selections()] == [3, 2, 1]
