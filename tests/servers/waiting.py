"""Waiting for something that happens elsewhere, always with a deadline and never by sleeping a fixed time.

What the kernel can tell (a file that arrives, a line in a pipe, the end of a process) is waited for there;
only ``wait_until`` asks again and again, for what can only be asked, such as the answer of a status command.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from inotify_simple import INotify, flags

# Far beyond what anything takes, on a slow and busy machine too: this is for what hangs.  A limit that is the
# promise itself is written where it is tested, with its own slack.
DEADLINE_S = 90.0
ASK_AGAIN_S = 0.01


class TooLateError(AssertionError):
    """What a test waited for did not come before its deadline."""


def wait_until(predicate: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Ask until the predicate holds; only for what neither inotify nor a pipe can tell."""
    end = time.monotonic() + deadline_s
    while not predicate():
        if time.monotonic() > end:
            raise TooLateError(f"not within {deadline_s:g} s: {what}")
        time.sleep(ASK_AGAIN_S)


class Arrivals:
    """The files that come into some directories, in order, from the moment this was made."""

    def __init__(self, inotify: INotify, directories: tuple[Path, ...]) -> None:
        self._inotify = inotify
        mask = flags.CREATE | flags.MOVED_TO
        self._directories = {inotify.add_watch(str(path), mask): path for path in directories}
        self._arrived: list[Path] = []

    def next(self, deadline_s: float = DEADLINE_S) -> Path:
        """Return the next file that came, waiting for it if need be."""
        if not self._arrived:
            events = self._inotify.read(timeout=int(deadline_s * 1000))
            self._arrived += [self._directories[event.wd] / event.name for event in events]
        if not self._arrived:
            watched = ", ".join(str(path) for path in self._directories.values())
            raise TooLateError(f"no file within {deadline_s:g} s in {watched}")
        return self._arrived.pop(0)


@contextmanager
def arrivals(*directories: Path) -> Iterator[Arrivals]:
    """Watch directories for new files; enter this before the act that is to bring them."""
    inotify = INotify()
    try:
        yield Arrivals(inotify, directories)
    finally:
        inotify.close()


def read_line(pipe: IO[bytes], deadline_s: float = DEADLINE_S) -> bytes:
    """Read one line from the unbuffered pipe of a process; what came so far, if the pipe ended before."""
    line = b""
    end = time.monotonic() + deadline_s
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([pipe], [], [], max(0.0, end - time.monotonic()))
        if not readable:
            raise TooLateError(f"no line within {deadline_s:g} s, only {line!r}")
        byte = os.read(pipe.fileno(), 1)
        if not byte:
            break
        line += byte
    return line


def read_until(pipe: IO[bytes], text: bytes, deadline_s: float = DEADLINE_S) -> bytes:
    """Read lines up to the first one with this text in it, and return that line."""
    end = time.monotonic() + deadline_s
    while text not in (line := read_line(pipe, max(0.0, end - time.monotonic()))):
        assert line, f"it ended before it had said {text!r}"
    return line


def run_to_end(argv: tuple[str, ...], deadline_s: float = DEADLINE_S) -> str:
    """Run a program that must end well, and return what it printed on both its outputs."""
    ended = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=deadline_s,
        text=True,
        errors="backslashreplace",
    )
    assert ended.returncode == 0, f"{argv} ended with {ended.returncode}:\n{ended.stdout}"
    return ended.stdout
