"""Rewriting a file in place, so that a cut at any moment loses nothing.

A mailbox that is one file cannot be replaced by a new file of its name: a delivery agent that waits for the
lock of the old one would deliver into a file without a name.  So its end is written anew in place,
and what is to be written is brought to the disk as a whole before: the *journal* of the file.  Who finds
a journal does what it says again.

    journal  file                       meaning                   what the next one does
    no       as before                  not begun                 nothing
    yes      as before                  about to begin            removes the journal (writes again, if the
                                                                  file had been cut off before)
    yes      longer, ends with zeros    room was made             writes the end again
    yes      neither the one nor the    being written             writes the end again
             other
    yes      as it shall be             done                      removes the journal

Other programs may append to a file that is in any of these states, before anybody does what the journal
says: what is behind the longer of both lengths, or of the one that the file has for certain, is theirs and is
kept.  A file that is something else altogether is left as it is, and the journal kept under another name.

Journals are in one directory of ours and not beside the files: a spool cannot be written to, and mail
programs would take them for mailboxes.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from hashlib import blake2b

from mswatch.mailsync.stores.contract import MailboxError
from mswatch.mailsync.stores.synced import bring_to_disk
from mswatch.showing import show

CHUNK = 1 << 20
BEGINNING = 256  # bytes by which we know our own
HEAD = 4096  # bytes at a journal's beginning that say where the rest goes


@dataclass(frozen=True)
class _Plan:
    """What a journal is about: from ``at`` on, the file gets what the journal has from ``data_at`` on."""

    file: str
    inode: int
    at: int
    old_size: int
    new_size: int
    old_digest: str  # of what was in the file from ``at`` on
    new_digest: str
    rest_digest: str  # of what the old file has beyond the new size
    data_at: int
    is_again: bool  # the old file was broken already


class Spool:
    """What shall become the end of a file, while it is put together; without any meaning yet."""

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self.size = HEAD

    def write(self, data: bytes) -> None:
        """Append bytes."""
        while data:
            written = os.pwrite(self.fd, data, self.size)
            self.size += written
            data = data[written:]

    def cut(self, size: int) -> None:
        """Take back what was written since the size was this."""
        os.ftruncate(self.fd, size)
        self.size = size

    def drop(self) -> None:
        """Remove what is there."""
        os.close(self.fd)
        with contextlib.suppress(OSError):
            os.unlink(self.path)


class Journals:
    """The journals of all files of mail."""

    def __init__(self, directory: bytes) -> None:
        self.directory = directory
        self._count = 0

    def _path(self, path: bytes) -> bytes:
        return self.directory + b"/" + blake2b(path, digest_size=16).hexdigest().encode()

    def spool(self, path: bytes) -> Spool:
        """Return a new spool for a file."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        self._count += 1
        return Spool(self._path(path) + b".spool-%d-%d" % (os.getpid(), self._count))

    def sweep(self) -> None:
        """Remove what killed runs left of their spools."""
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return
        for name in names:
            pid = name.rpartition(b".spool-")[2].partition(b"-")[0]
            if b".spool-" in name and pid.isdigit() and not os.path.exists(b"/proc/" + pid):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.directory + b"/" + name)

    def pending(self, path: bytes) -> bool:
        """Tell whether a file was being written when somebody was cut off; cheap."""
        return os.path.exists(self._path(path))

    def write(
        self, fd: int, path: bytes, at: int, spool: Spool, data_at: int, *, is_again: bool = False
    ) -> None:
        """Make the spool from ``data_at`` on the file's end from ``at`` on, durably.

        The file is locked for writing, and no journal of it is pending.  The spool is used up.
        """
        status = os.fstat(fd)
        new_size = at + spool.size - data_at
        plan = _Plan(
            os.fsdecode(path),
            status.st_ino,
            at,
            status.st_size,
            new_size,
            _digest(fd, at, status.st_size),
            _digest(spool.fd, data_at, spool.size),
            _digest(fd, new_size, status.st_size),
            data_at,
            is_again,
        )
        head = json.dumps(asdict(plan)).encode()
        if len(head) > HEAD:
            raise MailboxError(f"{show(os.fsdecode(path))!r} is too long a name")
        os.pwrite(spool.fd, head.ljust(HEAD), 0)
        os.fsync(spool.fd)
        journal = self._path(path)
        os.rename(spool.path, journal)
        bring_to_disk(self.directory)
        try:
            _make_room(fd, status.st_size, new_size)
        except OSError:
            os.ftruncate(fd, status.st_size)
            if not is_again:
                self._done(path)
            raise
        _apply(fd, plan, spool.fd)
        self._done(path)
        _keep_newness(fd, status)

    def recover(self, fd: int, path: bytes) -> None:
        """Do again what a journal of this file says.  The file is locked for writing.

        Raises:
            MailboxError: The file is neither what it was nor what it was to become.
        """
        journal = self._path(path)
        with open(journal, "rb") as file:
            plan = _Plan(**json.loads(file.read(HEAD)))
            state, size = _state(fd, plan, file.fileno()), os.fstat(fd).st_size
            if state == DONE or (state == UNTOUCHED and not plan.is_again):
                self._done(path)
                return
            behind = plan.old_size if state == UNTOUCHED else max(plan.old_size, plan.new_size)
            if os.fstat(fd).st_ino != plan.inode or size < behind:
                aside = journal + b".aside"
                os.rename(journal, aside)
                raise MailboxError(
                    f"{show(plan.file)!r} was changed by another program after a run was cut off that "
                    f"wrote it; what was to be written is in {show(os.fsdecode(aside))!r}",
                    "look at both, and run mailsync again",
                )
            spool = self.spool(path)
            _append(spool, file.fileno(), plan.data_at, plan.new_size - plan.at)
            _append(spool, fd, behind, size - behind)
            self.write(fd, path, plan.at, spool, HEAD, is_again=True)
            spool.drop()

    def _done(self, path: bytes) -> None:
        os.unlink(self._path(path))
        bring_to_disk(self.directory)


def _make_room(fd: int, old_size: int, new_size: int) -> None:
    if new_size > old_size:
        os.posix_fallocate(fd, old_size, new_size - old_size)
        os.fsync(fd)


UNTOUCHED, BETWEEN, DONE = "untouched", "between", "done"


def _state(fd: int, plan: _Plan, data: int) -> str:
    """Tell how far the writing came; others may have appended since."""
    size = os.fstat(fd).st_size
    is_longer = plan.new_size > plan.old_size
    if size >= plan.old_size and _digest(fd, plan.at, plan.old_size) == plan.old_digest:
        return BETWEEN if is_longer and size > plan.old_size and _is_ours(fd, plan, data) else UNTOUCHED
    if size < plan.new_size or _digest(fd, plan.at, plan.new_size) != plan.new_digest:
        return BETWEEN
    has_rest = size >= plan.old_size and _digest(fd, plan.new_size, plan.old_size) == plan.rest_digest
    return BETWEEN if has_rest and not is_longer and plan.new_size < plan.old_size else DONE


def _is_ours(fd: int, plan: _Plan, data: int) -> bool:
    """Tell whether what is behind the old end is the room that we made, or what we wrote into it."""
    ours = os.pread(data, BEGINNING, plan.data_at + plan.old_size - plan.at)
    found = os.pread(fd, len(ours), plan.old_size).rstrip(b"\0")
    is_room = os.fstat(fd).st_size >= plan.new_size or not found
    return is_room and ours.startswith(found)


def _apply(fd: int, plan: _Plan, data: int) -> None:
    _copy(data, plan.data_at, fd, plan.at, plan.new_size - plan.at)
    if plan.new_size < plan.old_size:
        os.fsync(fd)
        os.ftruncate(fd, plan.new_size)
    os.fsync(fd)


def _append(spool: Spool, source: int, begin: int, count: int) -> None:
    _copy(source, begin, spool.fd, spool.size, count)
    spool.size += count


def _copy(source: int, begin: int, target: int, at: int, count: int) -> None:
    done = 0
    while done < count:
        data = os.pread(source, min(CHUNK, count - done), begin + done)
        if not data:
            raise OSError(5, "a file ends before its end")
        done += os.pwrite(target, data, at + done)


def _digest(fd: int, begin: int, end: int) -> str:
    found = blake2b(digest_size=16)
    while begin < end:
        data = os.pread(fd, min(CHUNK, end - begin), begin)
        if not data:
            break
        found.update(data)
        begin += len(data)
    return found.hexdigest()


def _keep_newness(fd: int, before: os.stat_result) -> None:
    """Leave a file without new mail so: mail readers know it by a time of access before that of change."""
    now = os.fstat(fd)
    if before.st_atime_ns >= before.st_mtime_ns:
        with contextlib.suppress(PermissionError):
            os.utime(fd, ns=(now.st_mtime_ns, now.st_mtime_ns))
