"""The background adapter never blocks the stream, ends when it is closed, and its death is reported."""

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
from adapt.online.adapter_process import (
    QUEUED,
    AdapterJob,
    AdapterMessage,
    BackgroundAdapter,
    CameraMoved,
    network_of,
    weights_of,
)
from adapt.online.status import AdaptationPhase
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
def background(job: AdapterJob) -> Iterator[BackgroundAdapter]:
    port = BackgroundAdapter(job)
    yield port
    port.close()


def until(port: BackgroundAdapter, wanted: Callable[[AdapterMessage], bool]) -> AdapterMessage:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for message in port.receive():
            if wanted(message):
                return message
        time.sleep(0.02)
    raise AssertionError("no such message came")


def process() -> BaseProcess:
    (only,) = multiprocessing.active_children()
    return only


def test_the_process_has_the_lowest_priority(job: AdapterJob):
    port = BackgroundAdapter(replace(job, low_priority=True))
    pid, deadline = process().pid, time.monotonic() + PATIENCE_S
    assert pid is not None
    try:
        while os.getpriority(os.PRIO_PROCESS, pid) != 19:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        port.close()


def test_messages_carry_the_status(background: BackgroundAdapter, hands: LiveHands):
    until(background, lambda message: message.status.phase is AdaptationPhase.WAITING_FOR_CAMERAS)
    assert background.offer(hands.cameras)
    message = until(background, lambda message: message.status.phase is AdaptationPhase.COLLECTING)
    assert message.weights is None and message.validation is None
    for pair in hands.pairs:
        background.offer(pair)
    assert background.offer(CameraMoved())
    moved = until(background, lambda message: message.status.figures.camera_moves == 1)
    assert moved.status.figures.pairs == len(hands.pairs)


def test_a_busy_adapter_never_blocks_the_stream(background: BackgroundAdapter, hands: LiveHands):
    until(background, lambda message: True)
    pid = process().pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    # An alarm ends what would wait for ever.
    signal.alarm(20)
    try:
        taken = [background.offer(hands.pairs[0]) for _ in range(5 * QUEUED)]
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


def test_a_process_that_died_is_reported(background: BackgroundAdapter):
    until(background, lambda message: True)
    process().kill()
    with pytest.raises(EOFError, match="adapts has died"):
        until(background, lambda message: False)


def test_weights_that_came_in_a_message_are_the_network(shipped):
    network, manifest = shipped
    again = network_of(weights_of(network), manifest)
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    import torch

    with torch.inference_mode():
        assert torch.equal(again(torch.from_numpy(images)).joints, network(torch.from_numpy(images)).joints)


def test_damaged_adapted_weights_are_a_user_error(job: AdapterJob):
    from adapt.online.adapter_process import InlineAdapter

    assert job.adapted is not None
    (job.adapted.folder / "desk~1.safetensors").write_bytes(b"half")
    with pytest.raises(UserError, match="damaged"):
        InlineAdapter(job)


def test_it_does_not_outlive_a_parent_that_was_killed(job: AdapterJob, tmp_path: Path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, pickle, sys, time\n"
        "from adapt.online.adapter_process import BackgroundAdapter\n"
        "if __name__ == '__main__':\n"
        f"    port = BackgroundAdapter(pickle.load(open({str(tmp_path / 'job')!r}, 'rb')))\n"
        "    while not port.receive():\n"
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
