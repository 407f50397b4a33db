"""Knowing that nothing changed without starting up: the times of everything that the last run looked at.

A run that found both stores in step and had nothing to do leaves a file with the inode and the time of
each directory and file that its answer depends on, taken before it looked.  As long as all of them are
the same, so is the answer, and a run need not read a configuration, open a database nor import what does
so: that is two thirds of what such a run costs. What changed within the last seconds has a time that a
later change may have too; then nothing is left.

Only stores whose content is told by such times take part (``Store.stamp_paths``).  Nothing but ``os`` is
imported here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

HEADER = b"mailsync settled 1\n"
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


def holds(file: bytes, first: bytes) -> bool:
    """Tell whether a file of stamps, which must begin with this path, still says how things are."""
    try:
        with open(file, "rb") as stream:  # noqa: PTH123 - bytes
            text = stream.read()
    except OSError:
        return False
    if not text.startswith(HEADER) or not text.endswith(b"\n"):
        return False
    lines = text[len(HEADER) :].splitlines()
    paths = [line.split(b" ", 2)[2] for line in lines]
    return bool(paths) and paths[0] == first and stamps(paths) == lines


def write(file: bytes, lines: list[bytes]) -> None:
    """Leave stamps in a file."""
    written = file + b".new"
    with open(written, "wb") as stream:  # noqa: PTH123 - bytes
        stream.write(HEADER + b"".join(line + b"\n" for line in lines))
    os.replace(written, file)  # noqa: PTH105 - bytes
