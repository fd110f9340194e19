"""The transport's figures come from frames that arrived, whole and in every way that they may travel."""

import os

import pytest

from tools.bench.transport import Settings, measure


@pytest.mark.skipif(not hasattr(os, "fork"), reason="publishers are forked")
def test_every_transport_carries_both_formats():
    figures = measure(Settings(sizes=("640x480",), rounds=1, seconds=0.2, json=True))
    assert [(each.case.format, each.case.transport) for each in figures] == [
        (format, transport) for format in ("rgb8", "jpeg") for transport in ("ipc", "tcp", "tcp+curve")
    ]
    for each in figures:
        assert each.frames_per_s > 0
        assert each.mb_per_s == pytest.approx(each.frames_per_s * 0.9216, rel=1e-6) or each.case.format == "jpeg"
        assert 0 < each.latency_p50_ms <= each.latency_p99_ms
