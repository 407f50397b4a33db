"""What our own runs changed: takes the shim's records, and holds changes back until they can be judged.

Records (the format stands in socketwatch/echo.c) come on a datagram socket, and those that a run gathered
come at its end at the latest.  So a change of a mailbox that a run is at work on waits until the run has
ended; ``core.echo`` says what a run then explains.

That a server took a message from ``new`` into ``cur`` is no news either where the syncer is one that we know:
there is nothing in it that such a syncer carries.

Only records of the syncer's own process count, which the kernel tells with each datagram: what a program did
that a syncer calls, or that calls the syncer, as a hook that moves mail, is news for the other store.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from mswatch.account import Store, Sync
from mswatch.core.echo import Echoes, Place
from mswatch.core.events import MailboxChanged
from mswatch.names import own
from mswatch.watchers.reader import Changed
from watch_maildirs.naming import folders_called

_CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid; see unix(7)
_DATAGRAM_BYTES = 1 << 16
_AT_ONCE = 16
_MOST_HELD_FILES = 20_000
_LIST_FROM = 50  # so many names in one directory are looked up by listing it
_LONGEST_PATH = 107  # of sun_path
_OPERATIONS = {"made": True, "removed": False}


class Listener:
    """Knows the echo of the runs of one account."""

    def __init__(self, path: Path, sync: Sync, loop: asyncio.AbstractEventLoop) -> None:
        """Listen; whoever does must hold the account's service lock.

        Args:
            path: where.
            sync: how the syncer is called, which may be set anew.
            loop: calls us.

        Raises:
            OSError: there is no place for the socket.
        """
        self.count = 0  # of the changes that were no news
        self.sync = sync
        self._path = path
        self._loop = loop
        self._table = Echoes()
        self._syncers: set[int] = set()
        self._directories: dict[str, tuple[int, int] | None] = {}
        self._is_running = False
        self._covered: frozenset[str] | None = None  # by the run under way; None: all
        self._held: list[tuple[Store, Changed]] = []
        self._held_files = 0
        self._socket: socket.socket | None = None
        if len(os.fsencode(path)) <= _LONGEST_PATH:
            self._socket = _listen(path)
            loop.add_reader(self._socket, self._take, _AT_ONCE)

    @property
    def address(self) -> str | None:
        """What the shim is told; None if its address is too long for a socket."""
        return None if self._socket is None else str(self._path)

    def close(self) -> None:
        """Listen no more."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._path.unlink(missing_ok=True)

    # A run.

    def begin(self, mailboxes: tuple[str, ...] | None) -> None:
        """Take note that a run starts, for these mailboxes or for all."""
        self._is_running = True
        self._covered = None if mailboxes is None else frozenset(mailboxes)

    def believe(self, pid: int) -> None:
        """Take this process for a syncer of the run under way."""
        self._syncers.add(pid)

    def end(self, *, succeeded: bool) -> list[MailboxChanged]:
        """Return what was held back and is news, after the run has ended and all of it is gone."""
        while self._take(_AT_ONCE):
            pass
        self._table.end_run(succeeded=succeeded)
        self._syncers.clear()
        self._directories.clear()
        self._is_running = False
        held, self._held, self._held_files = self._held, [], 0
        return [event for store, change in held for event in self.news(store, change)]

    # A change.

    def news(self, store: Store, change: Changed) -> list[MailboxChanged]:
        """Return the change as an event if it is news, nothing if it is not or cannot be judged yet."""
        written = tuple(sorted(change.files)) or ("",)
        event = MailboxChanged(store.name, change.mailbox, change.gone, written if change.written else ())
        if change.taken and self.sync.leaves_both_equal:
            self.count += 1
            return []
        if not change.files or store.local_maildir is None:
            return [event]
        if self._is_running and (self._covered is None or change.mailbox in self._covered):
            self._held_files += len(change.files)
            if self._held_files > _MOST_HELD_FILES:
                return [event]
            self._held.append((store, change))
            return []
        if self._is_echo(store, change):
            self.count += 1
            return []
        return [event]

    def _is_echo(self, store: Store, change: Changed) -> bool:
        folder = _folder(store, change.mailbox)
        if folder is None:
            return False
        by_part: dict[str, list[str]] = {}
        for file in change.files:
            part, _, name = file.partition("/")
            by_part.setdefault(part, []).append(name)
        return all(self._are_echoes(folder / part, names) for part, names in by_part.items())

    def _are_echoes(self, directory: Path, names: list[str]) -> bool:
        identity = _identity(directory)
        if identity is None:
            return False
        places = [Place(*identity, name) for name in names]
        if not all(map(self._table.is_known, places)):
            return False
        try:
            there = _those_there(directory, names)
        except OSError:
            return False
        return all(self._table.explain(place, is_there=place.name in there) for place in places)

    # Records.

    def _take(self, most: int) -> bool:
        """Take up to so many datagrams; tell whether there may be more."""
        for _ in range(most):
            if self._socket is None:
                return False
            try:
                data, ancillary, _, _ = self._socket.recvmsg(
                    _DATAGRAM_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size)
                )
            except OSError:
                return False
            if _sender(ancillary) in self._syncers:
                self._note(data)
        return True

    def _note(self, data: bytes) -> None:
        for operation, path in _records(data):
            directory, _, name = path.rpartition("/")
            if directory not in self._directories:
                self._directories[directory] = _identity(Path(directory))
            identity = self._directories[directory]
            if identity is not None:
                self._table.note(Place(*identity, name), is_there=operation)


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(mask)
    return listener


def _sender(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(data) == _CREDENTIALS.size:
            pid, uid, _ = _CREDENTIALS.unpack(data)
            return int(pid) if uid == os.getuid() else None
    return None


def _records(data: bytes) -> Iterator[tuple[bool, str]]:
    fields = os.fsdecode(data).split("\0")
    for word, path in zip(fields[::2], fields[1::2], strict=False):
        if word in _OPERATIONS and path.startswith("/"):
            yield _OPERATIONS[word], path


def _folder(store: Store, mailbox: str) -> Path | None:
    """Return the one directory that is this mailbox; None if it may be none, or another one too."""
    name = own(mailbox, store.names)
    base = store.local_maildir
    if name is None or base is None:
        return None
    paths = [base.joinpath(*entries) for entries in folders_called(store.layout, name)]
    there = [path for path in paths if _identity(path / "cur")]
    return there[0] if len(there) == 1 else None


def _identity(directory: Path) -> tuple[int, int] | None:
    try:
        status = directory.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _those_there(directory: Path, names: list[str]) -> set[str]:
    """Return those of these names that are in a directory; OSError if that cannot be told."""
    if len(names) < _LIST_FROM:
        return {name for name in names if _is_there(directory / name)}
    return {path.name for path in directory.iterdir()}.intersection(names)


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True
