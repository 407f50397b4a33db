"""Bringing files to the disk, so that a cut of the power does not undo what was reported as done."""

from __future__ import annotations

import os
from collections.abc import Sequence


def bring_to_disk(path: bytes) -> None:
    """Bring a file, or the entries of a directory, to the disk; what is not there needs nothing."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def bring_to_disk_all(files: Sequence[bytes], directory: bytes, few: int) -> None:
    """Bring files that lie in one directory to the disk: one by one if they are few, else all at once."""
    if len(files) <= few:
        for file in files:
            bring_to_disk(file)
        return
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _syncfs(fd)
    finally:
        os.close(fd)


def _syncfs(fd: int) -> None:
    """Call syncfs(2), which the standard library lacks."""
    import ctypes  # 8 ms, which only who writes many messages pays

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
