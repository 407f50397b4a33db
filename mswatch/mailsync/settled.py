"""Knowing that nothing changed without starting up: the times of everything that the last run looked at.

A run that found both stores in step and had nothing to do leaves a file with the inode and the time of
each directory and file that its answer depends on, taken before it looked.  As long as all of them are
the same, so is the answer, and a run need not read a configuration, open a database nor import what does
so: that is two thirds of what such a run costs. What changed within the last seconds has a time that a
later change may have too; then nothing is left.

That is so for stores whose content is told by such times (``Store.stamp_paths``).  Of a server the file has
what to ask it and what it answered (``mswatch.imap_session.glance``), in lines that mean nothing here: who
reads the file has to ask.  Nothing but ``os`` is imported here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

HEADER = b"mailsync settled 2\n"
_LOOK = b"look "
YOUNG_NS = 3_000_000_000


def stamps(paths: Iterable[bytes]) -> list[bytes] | None:
    """Return a line for each path; None if one is too young to be trusted, or no line can hold its name."""
    now = time.time_ns()
    lines = []
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 - bytes
        except OSError:
            lines.append(b"- - " + path)
            continue
        if status.st_mtime_ns > now - YOUNG_NS or b"\n" in path:
            return None
        lines.append(b"%d %d %b" % (status.st_ino, status.st_mtime_ns, path))
    return lines


def looks(file: bytes, first: bytes) -> list[bytes] | None:
    """Return what is to be asked, if a file of stamps, which must begin with this path, still holds.

    It is believed only if nobody else can have written it, because what is asked may start commands.
    """
    try:
        with open(file, "rb") as stream:  # noqa: PTH123 - bytes
            status = os.fstat(stream.fileno())
            text = stream.read()
    except OSError:
        return None
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        return None
    if not text.startswith(HEADER) or not text.endswith(b"\n"):
        return None
    lines = text[len(HEADER) :].split(b"\n")[:-1]
    found = [line[len(_LOOK) :] for line in lines if line.startswith(_LOOK)]
    stamped = [line for line in lines if not line.startswith(_LOOK)]
    paths = [line.split(b" ", 2)[2] for line in stamped]
    return found if paths and paths[0] == first and stamps(paths) == stamped else None


def write(file: bytes, stamped: list[bytes], asked: list[bytes]) -> None:
    """Leave stamps in a file, and what is to be asked."""
    written = file + b".new"
    fd = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    lines = [*stamped, *(_LOOK + each for each in asked)]
    with os.fdopen(fd, "wb") as stream:
        stream.write(HEADER + b"".join(line + b"\n" for line in lines))
    os.replace(written, file)  # noqa: PTH105 - bytes


def forget(file: bytes) -> None:
    """Take a file of stamps away."""
    try:
        os.unlink(file)  # noqa: PTH108 - bytes
    except OSError:
        return
