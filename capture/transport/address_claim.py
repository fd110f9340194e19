"""Who may bind an ipc address: one program at a time, and in place of nothing but the socket of a program that has ended.

ZeroMQ removes whatever has an ipc address' path before it binds it: the socket of a program that still publishes there, or a
file. Over tcp and in the abstract namespace (`ipc://@name`) the system refuses a second program itself.
"""

import errno
import fcntl
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

import zmq


class AddressClaim:
    """The sole right to bind an address, until it is released or this process ends.

    A lock on a file beside the socket decides between programs of ours, also where both start at once; a connection tells
    whether a program that knows of no lock listens there.
    """

    def __init__(self, endpoint: str) -> None:
        """Raises ZMQError, as binding an address in use does over tcp, where it is taken or not a socket's."""
        self._lock: int | None = None
        scheme, _, name = endpoint.partition("://")
        if scheme != "ipc" or not name or name[0] in "@*":
            return
        self._path, self._file = Path(name), Path(f"{name}.lock")
        try:
            self._lock = _locked(self._file)
            _check_free(self._path)
        except OSError as error:
            self.release()
            raise zmq.ZMQError(error.errno) from error

    def release(self) -> None:
        """To be called once nothing is bound to the address any more. May be called again."""
        if self._lock is None:
            return
        # ZeroMQ leaves its socket behind. What has taken its place without a lock is kept, like what is gone already.
        with suppress(OSError):
            _check_free(self._path)
            self._path.unlink()
        # Removed while it is still locked; whoever has opened it meanwhile finds that it is not the file of that name any more.
        # A file with content is somebody else's.
        if os.fstat(self._lock).st_size == 0:
            with suppress(FileNotFoundError):
                self._file.unlink()
        os.close(self._lock)
        self._lock = None


def _locked(file: Path) -> int:
    """Descriptor of the locked file; raises OSError with EADDRINUSE where another program has locked it."""
    while True:
        lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), os.stat(file)):
                return lock
        except BlockingIOError as error:
            os.close(lock)
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)) from error
        except FileNotFoundError:
            # Its last owner has removed it between the two calls.
            pass
        os.close(lock)


def _check_free(path: Path) -> None:
    """Raises OSError where something listens at the path, or something that is no socket has it."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            # Of a program that has ended; binding replaces it.
            return
        except BlockingIOError:
            # It listens, and has no room for another connection now.
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
