"""The descendants of a process, and signals to them.

A subreaper (PR_SET_CHILD_SUBREAPER, prctl(2)) keeps all of its descendants below itself: whoever loses its
parent becomes the subreaper's child.  So /proc tells of everyone, also of those who left group and session.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """A process, known by number and start, because numbers are used again.  See proc_pid_stat(5)."""

    pid: int
    parent: int
    group: int
    started: int


def look_up(pid: int) -> Process | None:
    """Return a process; None if it is not there, or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()  # the name before it may hold anything
    if fields[0] in (b"Z", b"X"):
        return None
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[19]))


def descendants(ancestor: int) -> list[Process]:
    """Return all descendants of a process that have not ended."""
    children: dict[int, list[Process]] = {}
    for process in _all_processes():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    parents = [ancestor]
    while parents:
        below = children.pop(parents.pop(), [])
        found += below
        parents += [process.pid for process in below]
    return found


def _all_processes() -> Iterator[Process]:
    for name in os.listdir("/proc"):  # noqa: PTH208 - thousands of names, no need of paths
        process = look_up(int(name)) if name.isdecimal() else None
        if process is not None:
            yield process


def send_signal(process: Process, number: signal.Signals) -> None:
    """Send a signal to just this process, whoever has its number now."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        pidfd = os.pidfd_open(process.pid)
        try:
            now = look_up(process.pid)
            if now is not None and now.started == process.started:
                signal.pidfd_send_signal(pidfd, number)
        finally:
            os.close(pidfd)
