"""The process of one camera: opens its source, publishes it on a private socket, and ends with its parent."""

import math
import multiprocessing
import os
import queue
import shutil
import signal
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import Literal

from capture.clip_timing import ClipTiming
from capture.masking import masked
from capture.sources.base import DeviceMode
from capture.sources.registry import open_source
from capture.transport.publisher import Publisher, publish
from capture.views import View
from hand.errors import UserError
from hand.folders import use_short_temporary_folder

_GRACE_S = 1.0
"""Time for a camera to close, e.g. for a driver call that waits for a frame."""
_NOTICE_S = 0.05
"""From a parent's death until its end of the pipe shows it."""


@dataclass(frozen=True, slots=True)
class CameraJob:
    """What one capture process does."""

    view: View
    source: str
    """As the user wrote it; any kind but a feed."""
    endpoint: str
    """ipc address to publish on, in a directory that only this run uses."""
    lossless: bool
    """Every frame arrives, at the reader's pace; else frames come at the camera's pace and some may be lost."""
    mode: DeviceMode
    lasting: bool = False
    """It is restarted when it ends, so it does not wait until its reader has disconnected."""
    timing: ClipTiming | None = None
    """Of a clip on disk; None where its own times are to be used."""


@dataclass(frozen=True, slots=True)
class _Report:
    """The child's one report: its camera is open and its socket subscribed to, or the reason why not."""

    kind: Literal["ready", "failed"]
    sentence: str | None


def forkserver_context() -> ForkServerContext:
    """Starts processes within milliseconds: they are forked from a server that has the libraries loaded."""
    # The server's sockets and ours lie in the temporary folder.
    use_short_temporary_folder()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["capture.sources.device", "capture.sources.video_file", "capture.sources.pattern", "capture.stream", "tyro"]
    )
    return context


class CameraProcess:
    """A capture process, from the parent's side."""

    def __init__(self, job: CameraJob) -> None:
        self.job = job
        context = forkserver_context()
        self._control, child_control = context.Pipe()
        # A parent that is killed cannot remove these: the folder of its sockets, and multiprocessing's own.
        folders = (Path(job.endpoint.removeprefix("ipc://")).parent, Path(get_temp_dir()))
        self._process = context.Process(target=_run, args=(job, child_control, folders), name=f"duohand-{job.view}", daemon=True)
        # Ctrl-C goes to every process of the terminal; the parent alone answers it. The mask is inherited, so that
        # not even a child that is still starting dies of it with a traceback.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            # Held open here too, the child's end would never show that the child is gone.
            child_control.close()

    def wait_ready(self, timeout_s: float) -> str | None:
        """Wait until the camera is open and its socket subscribed to; its note for the user.

        Raises UserError, with the child's own sentence where it gave one.
        """
        try:
            if not self._control.poll(timeout_s):
                raise UserError(
                    f"{self.job.view} camera: source {masked(self.job.source)!r} did not open within {timeout_s:g} s; "
                    f"check that nothing else uses it"
                )
            report: _Report = self._control.recv()
        except (EOFError, ConnectionError) as error:
            raise UserError(f"{self.job.view} camera: {self.exit_reason()}") from error
        if report.kind == "failed":
            raise UserError(f"{self.job.view} camera: {report.sentence}")
        return report.sentence

    def go(self, start_ns: int) -> None:
        """Start the frames, at `start_ns` for a source that makes its own time."""
        try:
            self._control.send(start_ns)
        except ConnectionError as error:
            raise UserError(f"{self.job.view} camera: {self.exit_reason()}") from error

    def has_answered(self) -> bool:
        """Whether `wait_ready` would return, or raise, at once."""
        return self._control.poll(0)

    def kill(self) -> None:
        """Kill a process that hangs; it ends some moments later."""
        self._process.kill()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def exit_reason(self) -> str:
        """Why a process ended unexpectedly, one sentence."""
        self._process.join(_GRACE_S)
        return f"the capture process of {masked(self.job.source)!r} ended unexpectedly (exit code {self._process.exitcode})"

    def ask_to_stop(self) -> None:
        """Ask the process to end, without waiting for it."""
        try:
            self._control.send(None)
        except ConnectionError:
            # It has ended already.
            return

    def close(self) -> None:
        """Return when the process has ended; it is killed where it does not end in time."""
        self.ask_to_stop()
        self._process.join(2 * _GRACE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()
        self._control.close()


class _ParentLink:
    """The parent's commands to this process: a start time, then the end. The parent's death is a command to end."""

    def __init__(self, control: Connection, folders: tuple[Path, ...]) -> None:
        """`folders` are removed where the parent has died."""
        self.stop = threading.Event()
        self._start_ns: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._folders = folders
        self._orphaned = False
        self._control = control
        threading.Thread(target=self._listen, daemon=True).start()

    def start_ns(self) -> int | None:
        """Wait for the start time; None if the end comes first."""
        return self._start_ns.get()

    def finish(self) -> None:
        """To be called before this process ends: removes the folders of a parent that has died."""
        if not self.stop.is_set() and self._control.poll(_NOTICE_S):
            self.stop.wait(_GRACE_S)
        # A second time: a socket may have been made while its folder was being removed.
        if self._orphaned:
            self._remove_folders()

    def _listen(self) -> None:
        try:
            while (command := self._control.recv()) is not None:
                self._start_ns.put(command)
        except (EOFError, ConnectionError):
            self._orphaned = True
            # First: after `stop`, the main thread may end the process at any moment.
            self._remove_folders()
        self.stop.set()
        self._start_ns.put(None)
        # This thread is a daemon: a main thread that returns in time ends the process first. One that hangs in a driver
        # cannot be interrupted, and the system frees the camera anyway.
        time.sleep(_GRACE_S)
        os._exit(1)

    def _remove_folders(self) -> None:
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)


def _run(job: CameraJob, control: Connection, folders: tuple[Path, ...]) -> None:
    """The child process; a UserError is reported as its sentence."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The libraries' own messages would say less than ours.
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    # Capture, network and viewer share the cores; the conversions here gain nothing from threads.
    cv2.setNumThreads(1)

    parent = _ParentLink(control, folders)
    try:
        source = open_source(job.source, job.view, paced=not job.lossless, mode=job.mode, timing=job.timing)
        try:
            publisher = Publisher(job.endpoint, lossless=job.lossless)
            try:
                publisher.wait_for_subscriber(parent.stop)
                control.send(_Report("ready", source.note))
                start_ns = parent.start_ns()
                if start_ns is not None:
                    leave_within_s = _GRACE_S if job.lasting else math.inf
                    publish(source, publisher, job.view, start_ns, parent.stop, leave_within_s=leave_within_s)
            finally:
                publisher.close()
        finally:
            source.close()
    except UserError as error:
        _report_failure(control, str(error))
    finally:
        parent.finish()


def _report_failure(control: Connection, sentence: str) -> None:
    try:
        control.send(_Report("failed", sentence))
    except ConnectionError:
        # The parent has died.
        return
