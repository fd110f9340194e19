"""A feed on another host with another clock, over a delayed, jittery link: the offset is within the stated bound."""

import os
import subprocess
import sys

import msgspec
import pytest

from capture.transport.keys import make_keys
from tests.capture.hosts import AHEAD_S, HERE, THERE, two_hosts
from tests.paths import ROOT

TIMEOUT_S = 180.0
PORT = 5601

RECEIVER = """
import dataclasses, json, sys, time
from pathlib import Path
from capture.transport.keys import load_keys
from capture.stream import PairStream
from capture.views import PerView

if __name__ == "__main__":
    folder, feed, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    # The left camera is on this host and clock, the right one on the other.
    with PairStream(PerView("pattern?size=64x64&rate=30", feed), keys=load_keys(folder), tolerance_ns=16_000_000) as stream:
        began, pairs = time.monotonic(), 0
        # A slow machine takes longer for its pairs.
        while time.monotonic() - began < (seconds if pairs > 20 else 60.0) and not stream.ended:
            pair = stream.next_pair(0.1)
            pairs += pair is not None and pair.complete
        clock = dataclasses.asdict(stream.clocks["right"])
        print(json.dumps(clock | {"pairs": pairs, "failure": stream.failure, "drops": stream.drops}))
"""


@pytest.mark.parametrize("delays_s", [(0.0, 0.0005, 0.0, 0.0005), (0.002, 0.003, 0.008, 0.006)], ids=["near", "far and lopsided"])
def test_offset_is_within_its_bound_and_views_of_two_hosts_are_paired(tmp_path, delays_s):
    keys = {name: make_keys(tmp_path / name) for name in ("headset", "desk")}
    for owner, peer in (("headset", "desk"), ("desk", "headset")):
        (tmp_path / owner / "peers" / f"{peer}.key").write_bytes((keys[peer].folder / "own.key").read_bytes())
    (tmp_path / "receiver.py").write_text(RECEIVER)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    programs: list[subprocess.Popen] = []

    def start(prefix: list[str], *command: str) -> subprocess.Popen:
        programs.append(
            subprocess.Popen([*prefix, sys.executable, *command], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
        )
        return programs[-1]

    with two_hosts() as (on_desk, on_headset):
        try:
            feed = start(
                on_headset,
                *["-m", "tools.feed", "--source", "pattern?size=64x64&rate=30", "--view", "right", "--format", "rgb8"],
                *["--bind", f"tcp://{THERE}:{PORT}", "--keys", str(tmp_path / "headset")],
            )
            assert feed.stdout and "clock probes at port 5611" in feed.stdout.readline()
            for port in (PORT, PORT + 10):
                way = start(on_desk, str(ROOT / "tests" / "capture" / "hosts.py"), str(port), "7", *map(str, delays_s))
                assert way.stdout and way.stdout.readline() == "relaying\n"
            desk = start(on_desk, str(tmp_path / "receiver.py"), str(tmp_path / "desk"), f"tcp://{HERE}:{PORT}", "3")
            output, _ = desk.communicate(timeout=TIMEOUT_S)
        finally:
            for program in reversed(programs):
                # Killing unshare ends its child; on SIGTERM it would wait for it.
                program.kill()
            for program in programs:
                program.wait(TIMEOUT_S)
                if program.stdout:
                    program.stdout.close()
    found = msgspec.json.decode(output)
    assert found["failure"] is None and found["steps"] == 0
    assert abs(found["offset_ns"] - AHEAD_S * 1_000_000_000) <= found["bound_ns"]
    # The bound is at most half of the smallest round trip plus the possible drift since.
    assert found["bound_ns"] <= found["round_trip_ns"] / 2 + 5_000_000
    assert found["pairs"] > 20, found
