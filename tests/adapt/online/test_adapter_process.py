"""The process beside the stream never makes it wait, ends when told to, and is missed when it dies."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import psutil
import pytest

from adapt.online.adapted_weights import AdaptedWeightsFile
from adapt.online.adapter_process import QUEUED, AdapterJob, AdapterStatus, BackgroundAdapter, CameraMoved, network_of, weights_of
from hand.errors import UserError
from runtime.networks.weights import DEFAULT_WEIGHTS
from tests.adapt.live_hands import LiveHands, drawn, seen
from tests.paths import ROOT

PATIENCE_S = 120


@pytest.fixture(scope="module")
def hands(shipped) -> LiveHands:
    network, manifest = shipped
    return seen(drawn(3, 1.0, 6.0), deepcopy(network), manifest)


@pytest.fixture
def job(tmp_path: Path, shipped, hands: LiveHands) -> AdapterJob:
    return AdapterJob(DEFAULT_WEIGHTS, hands.widths_px, "both", AdaptedWeightsFile(tmp_path, "desk", shipped[1].sha256), False)


@pytest.fixture
def beside(job: AdapterJob) -> Iterator[BackgroundAdapter]:
    port = BackgroundAdapter(job)
    yield port
    port.close()


def until(port: BackgroundAdapter, wanted: Callable[[AdapterStatus], bool]) -> AdapterStatus:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for news in port.news():
            if wanted(news):
                return news
        time.sleep(0.02)
    raise AssertionError("no such news came")


def process() -> BaseProcess:
    (only,) = multiprocessing.active_children()
    return only


def test_it_gives_way_to_the_stream(job: AdapterJob):
    port = BackgroundAdapter(replace(job, gives_way=True))
    pid, deadline = process().pid, time.monotonic() + PATIENCE_S
    assert pid is not None
    try:
        while os.getpriority(os.PRIO_PROCESS, pid) != 19:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        port.close()


def test_it_says_what_it_does(beside: BackgroundAdapter, hands: LiveHands):
    until(beside, lambda news: "once the cameras are known" in news.note)
    assert beside.offer(hands.cameras)
    news = until(beside, lambda news: "% seen" in news.note)
    assert news.weights is None and news.decision is None
    for pair in hands.pairs:
        beside.offer(pair)
    assert beside.offer(CameraMoved())
    assert until(beside, lambda news: news.counts.get("moved") == 1).counts["pairs"] == len(hands.pairs)


def test_a_busy_adapter_is_never_waited_for(beside: BackgroundAdapter, hands: LiveHands):
    until(beside, lambda news: True)
    pid = process().pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    # An alarm ends what would wait for ever.
    signal.alarm(20)
    try:
        taken = [beside.offer(hands.pairs[0]) for _ in range(5 * QUEUED)]
    finally:
        signal.alarm(0)
        os.kill(pid, signal.SIGCONT)
    assert sum(taken) == QUEUED and not any(taken[QUEUED:])


@pytest.mark.parametrize("full", [False, True])
def test_closing_leaves_no_process(job: AdapterJob, hands: LiveHands, full: bool):
    port = BackgroundAdapter(job)
    for _ in range(2 * QUEUED if full else 0):
        port.offer(hands.pairs[0])
    port.close()
    assert multiprocessing.active_children() == []


def test_a_process_that_died_is_missed(beside: BackgroundAdapter):
    until(beside, lambda news: True)
    process().kill()
    with pytest.raises(EOFError, match="adapts has died"):
        until(beside, lambda news: False)


def test_weights_that_came_as_news_are_the_network(shipped):
    network, manifest = shipped
    again = network_of(weights_of(network), manifest)
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    import torch

    with torch.inference_mode():
        assert torch.equal(again(torch.from_numpy(images)).joints, network(torch.from_numpy(images)).joints)


def test_what_was_learnt_and_is_damaged_ends_it_with_a_sentence(job: AdapterJob):
    from adapt.online.adapter_process import InlineAdapter

    assert job.learnt is not None
    (job.learnt.folder / "desk~1.safetensors").write_bytes(b"half")
    with pytest.raises(UserError, match="damaged"):
        InlineAdapter(job)


def test_it_does_not_outlive_a_parent_that_was_killed(job: AdapterJob, tmp_path: Path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, pickle, sys, time\n"
        "from adapt.online.adapter_process import AdapterBeside\n"
        "if __name__ == '__main__':\n"
        f"    port = AdapterBeside(pickle.load(open({str(tmp_path / 'job')!r}, 'rb')))\n"
        "    while not port.news():\n"
        "        time.sleep(0.05)\n"
        "    print(port._process.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    (tmp_path / "job").write_bytes(pickle.dumps(job))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, script], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
    finally:
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + PATIENCE_S
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the adapter lives on"
        time.sleep(0.05)
