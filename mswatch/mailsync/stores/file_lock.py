"""Locks on a file of mail as other programs take them (Debian policy 11.6, mutt, Dovecot).

Who reads holds a shared fcntl(2) lock.  Who writes holds an exclusive one, and then the dot lock: a file
FILE.lock that only one can make.  Some programs take these two the other way round, so whoever does not get
the second one gives back the first before it tries again.  Where the directory cannot be written to (a spool
that belongs to others) the first lock has to do: all take that.

A dot lock says which process has it, so that one which a killed run left is known for what it is; one of
another program that nobody touched for five minutes is left over too.  Other locks that are files
(``keywords``) are made and cleared up by the same functions.

No lock is held while anybody else is waited for, a server or the other store, and never two at a time.

A lock of fcntl(2) is gone as soon as its process closes *any* descriptor of the file: so while one of ours
is held, nothing else of us opens the same file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator

from mswatch.mailsync.stores.contract import MailboxError
from mswatch.showing import show

WAIT_S = 20.0
TRY_EVERY_S = 0.05
STALE_S = 300.0  # a dot lock this old has no owner; mail programs agree on five minutes

_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


def open_quietly(path: bytes, mode: int = os.O_RDONLY) -> int:
    """Open a file; its time of access, by which mail readers know new mail, stays if that is allowed."""
    flags = mode | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        return os.open(path, flags | os.O_NOATIME)
    except PermissionError:  # not our own file
        return os.open(path, flags)


@contextlib.contextmanager
def locked(path: bytes, *, writing: bool) -> Iterator[int]:
    """Open and lock a file, which must be a regular one; give its descriptor.

    Raises:
        MailboxError: Others hold a lock all the time; it is no regular file.
    """
    end = time.monotonic() + WAIT_S
    while True:
        fd = open_quietly(path, os.O_RDWR if writing else os.O_RDONLY)
        try:
            holder = _take(fd, path, writing=writing)
            if holder is None:
                try:
                    yield fd
                finally:
                    if writing:
                        _remove_dot_lock(path)
                return
        finally:
            os.close(fd)
        if time.monotonic() > end:
            raise MailboxError(
                f"{_shown(path)}: {holder} for {WAIT_S:g} s", "wait for the other program, or end it"
            )
        time.sleep(TRY_EVERY_S)


def _take(fd: int, path: bytes, *, writing: bool) -> str | None:
    """Take the locks; return what is in the way."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise MailboxError(f"{_shown(path)} is no file", "leave it out by `skip`")
    try:
        fcntl.lockf(fd, (fcntl.LOCK_EX if writing else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return "another program has locked it"
    if os.fstat(fd).st_ino != os.stat(path).st_ino:
        return "it is replaced again and again"  # by a program that renames a new file to its name
    if writing and not _make_dot_lock(path):
        return f"{_shown(path + b'.lock')} has been there"
    return None


def _make_dot_lock(path: bytes) -> bool:
    """Make the dot lock of a file; tell whether it was free."""
    try:
        if make_lock(path + b".lock", _owner()):
            return True
    except OSError as error:
        if error.errno not in _DENIED:
            raise
        return True  # others have to do with the first lock, see above
    remove_left_over(path, is_old_enough=True)
    return False


def make_lock(lock: bytes, owner: bytes) -> bool:
    """Make a lock that is a file, with its owner in it from its first moment; tell whether it was free."""
    directory = os.open(os.path.dirname(lock), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    name = os.path.basename(lock)
    try:
        fd = _open_without_a_name(directory)
        try:
            if fd < 0:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                fd = os.open(name, flags, 0o644, dir_fd=directory)
                os.write(fd, owner)
            else:
                os.write(fd, owner)
                os.link(b"/proc/self/fd/%d" % fd, name, dst_dir_fd=directory, follow_symlinks=True)
        finally:
            if fd >= 0:
                os.close(fd)
    except FileExistsError:
        return False
    finally:
        os.close(directory)
    return True


def _open_without_a_name(directory: int) -> int:
    """Open a new file that has no name yet; -1 where the file system has no such files."""
    try:
        return os.open(b".", os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o644, dir_fd=directory)
    except OSError as error:
        if error.errno in _DENIED:
            raise
        return -1


def _owner() -> bytes:
    return b"%d\n%b\n" % (os.getpid(), os.fsencode(os.uname().nodename))


def remove_left_over(path: bytes, *, is_old_enough: bool = False) -> None:
    """Remove the dot lock of a file if its owner is gone: a killed run of ours, or (if asked) anybody."""
    remove_left_over_lock(path + b".lock", _owner(), STALE_S if is_old_enough else None)


def remove_left_over_lock(lock: bytes, ours: bytes, stale_s: float | None) -> None:
    """Remove a lock that is a file if the process that it names is gone, or if nobody touched it so long.

    Process and host have a line each, or one line with a colon between (Dovecot).  One with ``ours`` in it
    is left over too: we make no two at a time, so it could not be removed.
    """
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(lock, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            text, status = os.read(fd, 400), os.fstat(fd)
        finally:
            os.close(fd)
        number, _, host = text.replace(b":", b"\n", 1).partition(b"\n")
        is_from_here = host.strip() == os.fsencode(os.uname().nodename) and number.isdigit()
        is_left_over = is_from_here and not _lives(int(number))
        is_old = stale_s is not None and time.time() - status.st_mtime > stale_s
        if is_left_over or text == ours or is_old:
            os.unlink(lock)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _remove_dot_lock(path: bytes) -> None:
    """Remove our dot lock, and not the one that a program has where we could make none."""
    with contextlib.suppress(OSError):
        with open(path + b".lock", "rb") as file:
            is_ours = file.read(400) == _owner()
        if is_ours:
            os.unlink(path + b".lock")


def _shown(path: bytes) -> str:
    return repr(show(os.fsdecode(path)))
