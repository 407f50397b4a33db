"""The socket that the shim reports to, with what systemd does for its services: see sd_notify(3).

It lies in a directory of its own that only its owner can enter, so nobody else can fill its queue, and the
kernel tells of each datagram whose it is; one of another user's is not counted.  (A process of the same user
could end us at will; to look through the process tree for it would prevent nothing.)
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid; see unix(7)
_MOST_BYTES = 4096
_MOST_AT_ONCE = 100
_LONGEST_PATH = 107  # of sun_path


class NotifySocket:
    """A socket that counts reports."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.setblocking(False)
        self._socket.bind(path)

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._socket.fileno()

    def reports(self) -> int:
        """Return how many reports have come; bounded, so the descriptor may stay readable."""
        count = 0
        for _ in range(_MOST_AT_ONCE):
            try:
                message, ancillary, _, _ = self._socket.recvmsg(
                    _MOST_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size)
                )
            except BlockingIOError:
                break
            count += b"WATCHDOG=1" in message.split(b"\n") and _is_ours(ancillary)
        return count

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def _is_ours(ancillary: list[tuple[int, int, bytes]]) -> bool:
    uids = [
        _CREDENTIALS.unpack(data)[1]
        for level, kind, data in ancillary
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(data) == _CREDENTIALS.size
    ]
    return uids == [os.getuid()]


@contextmanager
def notify_socket(environment: Mapping[str, str]) -> Iterator[NotifySocket]:
    """Make a socket in a private directory, which is removed at the end.

    Raises:
        OSError: there is no place for one.
    """
    directory = _private_directory(environment)
    try:
        listener = NotifySocket(str(directory / "notify"))
        try:
            yield listener
        finally:
            listener.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _private_directory(environment: Mapping[str, str]) -> Path:
    """Return a new directory; in the session's own if possible, which ends with the session."""
    session = environment.get("XDG_RUNTIME_DIR", "")
    parents = [session, tempfile.gettempdir(), "/tmp"]  # noqa: S108 - if TMPDIR is too long; mkdtemp is safe there
    for parent in parents:
        fits = len(os.fsencode(parent)) + len("/socketwatch.12345678/notify") <= _LONGEST_PATH
        if parent.startswith("/") and fits and os.access(parent, os.W_OK | os.X_OK):
            return Path(tempfile.mkdtemp(prefix="socketwatch.", dir=parent))
    raise FileNotFoundError(f"no writable directory for a socket among {parents}")
