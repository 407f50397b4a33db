"""Files that are one message each, in Maildirs and MH folders: how they are opened, read and written.

A FIFO, a directory or a dangling link where a message should be is told, and never waited for.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from mswatch.mailsync.stores.contract import Key, NotRead
from mswatch.showing import show

CHUNK = 1 << 20
HEADER_LIMIT = 1 << 18  # bytes of a header that are looked at


def open_regular(key: Key, path: bytes) -> int | NotRead:
    """Open a message; say why if it is none, without ever waiting for it."""
    try:
        # Non-blocking, so that a FIFO without a writer opens at once and can be refused.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise
    except OSError as error:
        foreign = error.errno in (errno.ENXIO, errno.ELOOP)  # a socket; a link to itself
        return NotRead(key, f"{show(os.fsdecode(path))!r}: {error.strerror}", lasting=foreign)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return NotRead(key, f"{show(os.fsdecode(path))!r} is no file", lasting=True)
    return fd


def chunks(fd: int, size: int) -> Iterator[bytes]:
    """Read a file that should have this size to its end."""
    wanted = min(size + 1, CHUNK)  # one more, to see the end without another call
    chunk = os.read(fd, wanted)
    while chunk:
        yield chunk
        if len(chunk) < wanted:
            return
        wanted = CHUNK
        chunk = os.read(fd, wanted)


def header_of(fd: int) -> bytes:
    """Read the header of a message."""
    data = os.read(fd, 8192)
    while b"\n\n" not in data and b"\r\n\r\n" not in data and len(data) < HEADER_LIMIT:
        more = os.read(fd, 65536)
        if not more:
            break
        data += more
    return data.replace(b"\r\n", b"\n").partition(b"\n\n")[0] + b"\n"


def write_all(fd: int, data: bytes) -> None:
    """Write all of it."""
    written = os.write(fd, data)
    while written < len(data):
        data = data[written:]
        written = os.write(fd, data)
