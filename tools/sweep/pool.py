"""Runs a sweep's jobs in processes of this machine or on a Ray cluster: as many at a time as there are workers.

Jobs are drawn one by one, so that a million of them are no list. A worker that dies, killed or out of memory, is replaced, and
its job is run again; one that kills its worker every time becomes a row that says so.
"""

import logging
import multiprocessing
import os
import socket
import threading
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import msgspec

from hand.errors import UserError
from tools.sweep.jobs import Job, Row, Worker, row_of

ATTEMPTS = 3
"""With a job that kills its worker."""
_QUIET = {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
"""Workers' environment: the sweep alone shows progress, and each worker has one core."""
_ANSWER_S, _GRACE_S = 5.0, 10.0
_START = "start a cluster with 'ray start --head', or give --ray local"
_ROOT = Path(__file__).resolve().parents[2]


def in_processes(jobs: Iterable[Job], workers: int, keep: str | None = None) -> Generator[Row, None, None]:
    """The jobs' rows, as they come, from processes of this machine."""
    queue = _Queue(jobs)
    pool = [_Process.started(keep) for _ in range(workers)]
    try:
        while True:
            for place, worker in enumerate(pool):
                job = queue.next() if worker.job is None else None
                if job is not None:
                    pool[place] = worker.given(job)
            busy = {worker.connection: place for place, worker in enumerate(pool) if worker.job is not None}
            if not busy:
                return
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                place = busy[connection]
                worker = pool[place]
                assert worker.job is not None
                try:
                    row = msgspec.msgpack.decode(connection.recv_bytes(), type=Row)
                except (EOFError, ConnectionError):
                    worker.ended()
                    pool[place] = _Process.started(keep)
                    row = queue.died(worker.job)
                else:
                    pool[place] = worker.given(None)
                    queue.done(worker.job)
                if row is not None:
                    yield row
    finally:
        for worker in pool:
            worker.ended()


def on_ray(jobs: Iterable[Job], address: str, workers: int | None = None, keep: str | None = None) -> Generator[Row, None, None]:
    """The same on a Ray cluster: `auto` for the one that is running here, `local` for one of this machine, or an address.

    All its machines have this checkout at the same path. Raises UserError where Ray is missing or the cluster is not to be had.
    """
    ray = _ray(address)
    queue = _Queue(jobs)
    count = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    remote = ray.remote(num_cpus=1)(Worker)
    pool = deque(remote.remote(keep) for _ in range(count))
    running: dict[Any, tuple[Job, Any]] = {}
    try:
        while True:
            while pool and (job := queue.next()) is not None:
                actor = pool.popleft()
                running[actor.__call__.remote(job)] = job, actor
            if not running:
                return
            ready, _ = ray.wait(list(running), num_returns=1)
            for reference in ready:
                job, actor = running.pop(reference)
                try:
                    row = ray.get(reference)
                except ray.exceptions.RayActorError:
                    actor, row = remote.remote(keep), queue.died(job)
                else:
                    queue.done(job)
                pool.append(actor)
                if row is not None:
                    yield row
    finally:
        ray.shutdown()


class _Queue:
    """Jobs in their order, those that must be run again first."""

    def __init__(self, jobs: Iterable[Job]):
        self._jobs = iter(jobs)
        self._again: deque[Job] = deque()
        self._deaths: dict[str, int] = {}

    def next(self) -> Job | None:
        """None while there is none."""
        return self._again.popleft() if self._again else next(self._jobs, None)

    def done(self, job: Job) -> None:
        self._deaths.pop(job.key, None)

    def died(self, job: Job) -> Row | None:
        """A job's worker died: it is run again, or has a row that says so."""
        count = self._deaths[job.key] = self._deaths.get(job.key, 0) + 1
        if count < ATTEMPTS:
            self._again.append(job)
            return None
        self.done(job)
        return row_of(job, 0.0, error=f"its worker died {count} times: was there too little memory?")


@dataclass(frozen=True, slots=True)
class _Process:
    """A worker in a process of this machine, and what it does."""

    process: BaseProcess
    connection: Connection
    job: Job | None

    @classmethod
    def started(cls, keep: str | None) -> "_Process":
        # Spawned: torch's threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        # No daemon: reading a recording takes processes of its own.
        process = context.Process(target=_serve, args=(theirs, keep), name="sweep")
        # Read when libraries are imported, so it must be there before the process begins.
        os.environ.update(_QUIET)
        process.start()
        theirs.close()
        return cls(process, ours, None)

    def given(self, job: Job | None) -> "_Process":
        """With another job, which it is sent, or free."""
        if job is not None:
            # A dead one shows when it is waited for.
            with suppress(ConnectionError):
                self.connection.send_bytes(msgspec.msgpack.encode(job))
        return _Process(self.process, self.connection, job)

    def ended(self) -> None:
        self.connection.close()
        if self.job is None:
            # A free one sees the end of the line and goes by itself.
            self.process.join(_GRACE_S)
        self.process.terminate()
        self.process.join()


def _serve(connection: Connection, keep: str | None) -> None:
    """A process's whole life."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    worker = Worker(keep)
    try:
        while True:
            job = msgspec.msgpack.decode(connection.recv_bytes(), type=Job)
            connection.send_bytes(msgspec.msgpack.encode(worker(job)))
    except (EOFError, KeyboardInterrupt):
        return


def _end_with_parent() -> None:
    """A sweep that is killed leaves no worker behind; its rows are written by the sweep, so that nothing half done remains."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _ray(address: str) -> Any:
    """Ray, connected."""
    _check_answers(address)
    # Else Ray warns of what it will do one day with the GPU of workers that asked for none.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise UserError("--ray needs Ray, which is not installed: pip install '.[ray]', or leave --ray away") from error
    environment = {"env_vars": {"PYTHONPATH": str(_ROOT), **_QUIET}}
    try:
        ray.init(
            address=None if address == "local" else address,
            runtime_env=environment,
            include_dashboard=False if address == "local" else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:
        # Ray raises bare exceptions where it cannot start or reach what it needs.
        reason = " ".join(str(error).split())
        raise UserError(f"--ray {address}: Ray did not start ({reason}): {_START}") from error
    return ray


def _check_answers(address: str) -> None:
    """Raises UserError for an address at which nothing is; Ray itself would wait for minutes."""
    if address in ("auto", "local"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"--ray {address} is no address: expected auto, local, or one such as 192.168.0.5:6379")
    try:
        socket.create_connection((host, int(port)), _ANSWER_S).close()
    except OSError as error:
        raise UserError(f"--ray {address}: nothing answers there ({error.strerror or error}): {_START}") from error
