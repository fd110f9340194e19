"""The application without MediaPipe's models: what it fetches, what it does not, and what it says of it."""

import json

import pytest

from tests.package_index import package_index
from tests.test_stream import ROI, clips


@pytest.mark.parametrize("forbidden", [True, False])
def test_a_run_goes_on_with_detnet_and_asks_no_network_where_that_is_forbidden(tmp_path, monkeypatch, here, forbidden):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    stats = tmp_path / "stats.json"
    options = ["--every-pair", "--headless", *ROI, "--engine", "onnx", "--stats", stats, *["--no-fetch"] * forbidden]
    with package_index(monkeypatch, behaviour="nothing") as index:
        code, out, err = here(*clips(tmp_path, 6), *options)
    assert code == 0, err
    assert bool(index.asked) == (not forbidden), "the network is asked unless that is forbidden"
    (finding,) = (one for one in json.loads(stats.read_text())["findings"] if one["kind"] == "estimator")
    reason = "--no-fetch forbids" if forbidden else "pip could not download"
    assert reason in finding["text"] and err.count(finding["text"]) == 1 and finding["text"] in out
    assert ("fetching MediaPipe's hand models once (36 MB" in err) == (not forbidden)
