"""How fast frames are transported, from a publishing process through the sockets to pairs of decoded frames.

python -m tools.bench transport

Throughput: one process publishes both views as fast as they are received, without loss. Latency: both views at 60 a second, from
capture, before the image is encoded, until the pair is received. Medians of interleaved rounds; on a busy machine compare ratios
within one run.
"""

import itertools
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from capture import wire
from capture.process import forkserver_context
from capture.sources.pattern import PatternSource
from capture.stream import PairStream
from capture.transport.keys import Keys, load_keys, make_keys
from capture.transport.publisher import Publisher
from capture.views import VIEWS, PerView
from hand import program
from hand.errors import UserError

Transport = Literal["ipc", "tcp", "tcp+curve"]
Size = Literal["640x480", "1280x720"]
_RATE_HZ = 60.0
_WARM_PAIRS = 10
_PATIENCE_S = 30.0


@dataclass
class Settings:
    """Time the transport of frames between processes."""

    sizes: tuple[Size, ...] = ("640x480", "1280x720")
    formats: tuple[Literal["rgb8", "jpeg"], ...] = ("rgb8", "jpeg")
    transports: tuple[Transport, ...] = ("ipc", "tcp", "tcp+curve")
    rounds: int = 3
    seconds: float = 1.0
    """Of each timing in a round."""
    json: bool = False
    """Print figures for programs, not a table."""


@dataclass(frozen=True, slots=True)
class Case:
    """One size, format and transport."""

    size: Size
    format: wire.Format
    transport: Transport

    @property
    def size_px(self) -> tuple[int, int]:
        width, _, height = self.size.partition("x")
        return int(width), int(height)


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of a case."""

    case: Case
    frames_per_s: float
    """Of both views together."""
    mb_per_s: float
    """Of image data as it is sent."""
    latency_p50_ms: float
    latency_p99_ms: float


def publish(control: Connection, endpoints: PerView[str], case: Case, keys_folder: Path | None, paced: bool) -> None:
    """The publishing process: both views until `control` gives something; then sends the bytes of an image."""
    stop = threading.Event()
    threading.Thread(target=lambda: (control.poll(None), stop.set()), daemon=True).start()
    keys = load_keys(keys_folder) if keys_folder else None
    publishers = endpoints.map(lambda endpoint: Publisher(endpoint, lossless=not paced, keys=keys))
    image = PatternSource(*case.size_px, _RATE_HZ, paced=False).picture(1)
    due, size = time.monotonic(), 0
    for publisher in publishers:
        publisher.wait_for_subscriber(stop)
    for seq in itertools.count():
        if stop.is_set():
            break
        if paced:
            due += 1 / _RATE_HZ
            time.sleep(max(0.0, due - time.monotonic()))
        captured_ns = time.monotonic_ns()
        for view in VIEWS:
            message = wire.encode(view, seq, captured_ns, image, case.format)
            size = len(message[2])
            publishers[view].send(message, stop)
    control.send(size)
    for publisher in publishers:
        publisher.close()


@contextmanager
def published(
    case: Case, keys: Keys | None, peer: Path | None, directory: Path, *, paced: bool
) -> Iterator[tuple[PairStream, list[int]]]:
    """Both ends of one case: the stream, and a list that receives the size of an image at the end."""
    if case.transport == "ipc":
        endpoints = PerView.of(lambda view: f"ipc://{directory}/{view}")
    else:
        endpoints = PerView(*(f"tcp://127.0.0.1:{port}" for port in _free_ports()))
    ours, theirs = multiprocessing.Pipe()
    arguments = (theirs, endpoints, case, peer, paced)
    process = forkserver_context().Process(target=publish, args=arguments, daemon=True)
    process.start()
    theirs.close()
    size: list[int] = []
    try:
        with PairStream(endpoints, every_pair=not paced, keys=keys) as stream:
            yield stream, size
            ours.send(None)
            if ours.poll(_PATIENCE_S):
                size.append(ours.recv())
    finally:
        process.join(1)
        process.kill()
        process.join()


def throughput(case: Case, seconds: float, keys: Keys | None, peer: Path | None, directory: Path) -> tuple[float, float]:
    """Frames and megabytes a second."""
    with published(case, keys, peer, directory, paced=False) as (stream, size):
        for _ in range(_WARM_PAIRS):
            _next(stream)
        started, frames = time.perf_counter(), 0
        while (spent := time.perf_counter() - started) < seconds:
            _next(stream)
            frames += 2
    return frames / spent, frames / spent * size[0] / 1e6


def latencies_ms(case: Case, seconds: float, keys: Keys | None, peer: Path | None, directory: Path) -> list[float]:
    """Of each pair received."""
    found: list[float] = []
    with published(case, keys, peer, directory, paced=True) as (stream, _):
        for _ in range(_WARM_PAIRS):
            _next(stream)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            captured_ns = _next(stream)
            found.append((time.monotonic_ns() - captured_ns) / 1e6)
    return found


def _next(stream: PairStream) -> int:
    """Wait for a pair; its capture time."""
    pair = stream.next_pair(_PATIENCE_S)
    if pair is None:
        raise UserError(f"no pair was received within {_PATIENCE_S:g} s: {stream.failure or 'the publisher is silent'}")
    return pair.left.captured_ns


def _free_ports() -> tuple[int, int]:
    import socket

    with socket.socket() as left, socket.socket() as right:
        for each in (left, right):
            each.bind(("127.0.0.1", 0))
        return left.getsockname()[1], right.getsockname()[1]


def measure(settings: Settings) -> list[Figures]:
    """All cases, in interleaved rounds. Raises UserError where nothing comes through."""
    from tqdm import tqdm

    cases = [Case(*case) for case in itertools.product(settings.sizes, settings.formats, settings.transports)]
    rates: dict[Case, list[tuple[float, float]]] = {case: [] for case in cases}
    waits: dict[Case, list[float]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory(prefix="duohand-bench-") as name:
        root = Path(name)
        desk, headset = (make_keys(root / side) for side in ("desk", "headset"))
        for owner, other in ((desk, headset), (headset, desk)):
            (owner.folder / "peers" / f"{other.folder.name}.key").write_bytes((other.folder / "own.key").read_bytes())
        keys = load_keys(desk.folder)
        for number, case in enumerate(
            tqdm(cases * settings.rounds, desc="transport", unit=" timings", disable=settings.json or None)
        ):
            secured = case.transport == "tcp+curve"
            directory = root / str(number)
            directory.mkdir()
            ends = (keys if secured else None, headset.folder if secured else None, directory)
            rates[case].append(throughput(case, settings.seconds, *ends))
            waits[case] += latencies_ms(case, settings.seconds, *ends)
    figures = []
    for case in cases:
        frames, mb = np.median(rates[case], axis=0)
        p50, p99 = np.percentile(waits[case], [50, 99])
        figures.append(Figures(case, float(frames), float(mb), float(p50), float(p99)))
    return figures


def main(settings: Settings) -> None:
    figures = measure(settings)
    if settings.json:
        print(msgspec.json.encode([asdict(each) for each in figures]).decode())
        return
    print(f"{'size':<10}{'format':<8}{'transport':<11}{'frames/s':>9}{'MB/s':>8}{'p50 ms':>9}{'p99 ms':>9}")
    for each in figures:
        case = each.case
        print(
            f"{case.size:<10}{case.format:<8}{case.transport:<11}{each.frames_per_s:>9.0f}{each.mb_per_s:>8.0f}"
            f"{each.latency_p50_ms:>9.2f}{each.latency_p99_ms:>9.2f}"
        )


if __name__ == "__main__":
    program.run(main, Settings)
