"""Which worker runs which job: at most one a worker at a time, in processes of this machine or on a Ray cluster.

Jobs are drawn as workers become free, so a million of them need no list. A job whose process dies, killed or out of memory, is
retried in a new process; after `ATTEMPTS` its row holds the error. Each worker is a loky pool of one process: in a pool of
several, and so in `joblib.Parallel`, the death of one process fails the jobs of all.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

from hand.errors import UserError
from tools.sweep.jobs import Job, Row, row_of, run_job

ATTEMPTS = 3
"""With a job whose process dies."""
_ENVIRONMENT = {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
"""Of workers: the sweep alone shows progress, and each worker uses one core."""
_ANSWER_S = 5.0
_START = "start a cluster with 'ray start --head', or give --ray local"
_ROOT = Path(__file__).resolve().parents[2]


def run_jobs(jobs: Iterable[Job], workers: int, keep: str | None = None, ray: str | None = None) -> Generator[Row, None, None]:
    """The jobs' rows in order of completion.

    Args:
        workers: How many jobs run at a time; on a Ray cluster 0 is one a CPU.
        keep: Folder for adapted weights; None keeps none.
        ray: None for processes of this machine; else `auto` for the Ray cluster that runs here, `local` for one of this machine,
            or an address. All its machines have this checkout at the same path.

    Raises UserError where Ray is missing or the cluster cannot be reached.

    """
    if ray is None:
        yield from _rows(jobs, workers, _process, keep)
        return
    library = _connected(ray)
    try:
        count = workers or max(1, int(library.cluster_resources().get("CPU", 1)))
        yield from _rows(jobs, count, lambda: _RayWorker(library), keep)
    finally:
        library.shutdown()


def _rows(jobs: Iterable[Job], workers: int, make_worker: Callable[[], Executor], keep: str | None) -> Generator[Row, None, None]:
    jobs = iter(jobs)
    free = [make_worker() for _ in range(workers)]
    running: dict[Future[Row], tuple[Job, Executor, int]] = {}
    try:
        while True:
            while free and (job := next(jobs, None)) is not None:
                worker = free.pop()
                running[_submit(worker, job, keep)] = job, worker, 1
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job, worker, attempt = running.pop(future)
                error = future.exception()
                if error is not None:
                    _end(worker)
                    worker = make_worker()
                    if attempt < ATTEMPTS:
                        running[_submit(worker, job, keep)] = job, worker, attempt + 1
                        continue
                free.append(worker)
                yield future.result() if error is None else row_of(job, 0.0, error=_told(error))
    finally:
        for worker in (*free, *(worker for _, worker, _ in running.values())):
            _end(worker)


def _submit(worker: Executor, job: Job, keep: str | None) -> Future[Row]:
    try:
        return worker.submit(run_job, job, keep)
    except BrokenExecutor as error:
        # Its process died while it was idle.
        failed: Future[Row] = Future()
        failed.set_exception(error)
        return failed


def _told(error: BaseException) -> str:
    return f"its worker died {ATTEMPTS} times ({type(error).__name__}): was there too little memory?"


def _process() -> Executor:
    try:
        from joblib.externals.loky import ProcessPoolExecutor
    except ImportError as error:
        raise UserError("a sweep needs joblib, which is not installed: pip install '.[sweep]'") from error
    return ProcessPoolExecutor(1, env=_ENVIRONMENT, initializer=_end_with, initargs=(os.getpid(),))


def _end(worker: Executor) -> None:
    """Kill the worker's process, and what it started."""
    worker.shutdown(kill_workers=True)  # pyright: ignore[reportCallIssue] (loky's argument)


def _end_with(parent: int) -> None:
    """End this process when the sweep's ends, however it does."""

    def watch() -> None:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(parent).wait()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _RayWorker(Executor):
    """One job at a time on a Ray cluster."""

    def __init__(self, ray: Any):
        # Retries are counted here, as those of local processes are.
        self._remote = cache(ray.remote(num_cpus=1, max_retries=0))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._remote(fn).remote(*args, **kwargs).future()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False, kill_workers: bool = False) -> None:
        """Nothing to do: tasks end with the connection."""


def _connected(address: str) -> Any:
    """Ray, connected. Raises UserError."""
    _check_answers(address)
    # Without it Ray warns about a future change for workers that ask for no GPU.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        ray = import_module("ray")
    except ImportError as error:
        raise UserError("--ray needs Ray, which is not installed: pip install '.[ray]', or leave --ray away") from error
    try:
        ray.init(
            address=None if address == "local" else address,
            runtime_env={"env_vars": {"PYTHONPATH": str(_ROOT), **_ENVIRONMENT}},
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
    """Raises UserError for an address at which nothing answers; Ray itself would wait for minutes."""
    if address in ("auto", "local"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"--ray {address} is no address: expected auto, local, or one such as 192.168.0.5:6379")
    try:
        socket.create_connection((host, int(port)), _ANSWER_S).close()
    except OSError as error:
        raise UserError(f"--ray {address}: nothing answers there ({error.strerror or error}): {_START}") from error
