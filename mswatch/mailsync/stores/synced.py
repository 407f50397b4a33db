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


def bring_to_disk_all(paths: Sequence[bytes], few: int) -> None:
    """Bring files, or the entries of directories, to the disk: one by one if they are few, else all at once.

    All at once is one call for each file system that they are on.
    """
    if len(paths) <= few:
        for path in paths:
            bring_to_disk(path)
        return
    seen: dict[bytes, int] = {}
    synced = set()
    for path in paths:
        directory = os.path.dirname(path)
        if directory in seen:
            continue
        device = seen[directory] = os.stat(directory).st_dev
        if device not in synced:
            synced.add(device)
            _sync_file_system(directory)


def _sync_file_system(directory: bytes) -> None:
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
