"""Eyes that look again and again: for NFS and the like, and for what inotify has no room for.

A directory has changed when its modification time or its inode has.  The clock behind a modification time
is coarse (4 ms, or a second or two on old file systems), so two changes may leave the same time.  While a
directory's time is recent, or new to us, its list of names is compared as well.  Which name changed is not
known, and the event's name is empty.

Paths are ``str`` here and not ``Path``: there are tens of thousands of them, with bytes that are no text.
"""

import os
import stat
import time
from typing import Dict, Iterable, List, Optional, Tuple

from watch_maildirs.events import (
    CREATE,
    IGNORED,
    MODIFY,
    ONLYDIR,
    WATCH_FILE,
    WATCH_SELF,
    WATCH_STATUS,
    Event,
)
from watch_maildirs.eyes import DIRECTORY, FILE, LINK, Eyes
from watch_maildirs.naming import SEQUENCES

DEFAULT_INTERVAL_S = 10.0
_RECENT_NS = 2 * 10**9  # the coarsest clock of a file system, FAT's
_BEGINNING_BYTES = 5
_KINDS = {stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: LINK, stat.S_IFREG: FILE}

Identity = Tuple[int, ...]


class _Watched:
    __slots__ = ("contents", "identity", "mask", "modified_ns", "names", "path")

    def __init__(self, path: str, mask: int) -> None:
        self.path = path
        self.mask = mask
        self.identity: Identity = ()
        self.contents: Identity = ()  # of a file: size and time of modification
        self.modified_ns = 0
        self.names: Optional[int] = None  # a digest of the directory's entries, while its time is recent

    def look(self) -> int:
        """Look again; return the mask of the event that this makes, 0 for none."""
        if not self.mask & ONLYDIR:
            before, contents = self.identity, self.contents
            self.identity = self._identity()
            if before != self.identity:
                return IGNORED
            return MODIFY if contents != self.contents else 0
        before, modified_ns, names = self.identity, self.modified_ns, self.names
        contents = self.contents
        try:
            self.look_at_directory(is_new=False)
        except OSError:
            return IGNORED
        if before != self.identity:
            return IGNORED
        renamed = names is not None and names != (self.names or _digest(self.path))
        return CREATE if modified_ns != self.modified_ns or renamed or contents != self.contents else 0

    def first_look(self) -> None:
        """Look for the first time, and raise the errors that inotify_add_watch(2) would."""
        if self.mask & ONLYDIR:
            self.look_at_directory(is_new=True)
        else:
            self.identity = self._identity()
            if self.mask in (WATCH_SELF, WATCH_FILE) and len(self.identity) == 1:
                raise OSError(self.identity[0], os.strerror(self.identity[0]), self.path)

    def look_at_directory(self, is_new: bool) -> None:
        """Take down the directory's state: first its time, then its names, so that no change is hidden."""
        status = os.lstat(self.path)
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(20, "Not a directory", self.path)
        if is_new and not os.access(self.path, os.R_OK):
            raise PermissionError(13, "Permission denied", self.path)
        is_recent = status.st_mtime_ns > time.time() * 10**9 - _RECENT_NS
        self.names = None
        if is_recent or (not is_new and status.st_mtime_ns != self.modified_ns):
            self.names = _digest(self.path)
        self.identity = (status.st_dev, status.st_ino)
        self.modified_ns = status.st_mtime_ns
        if self.mask & MODIFY:
            self.contents = _contents(self.path + "/" + SEQUENCES)

    def _identity(self) -> Identity:
        try:
            status = os.lstat(self.path)
        except OSError as error:
            return (error.errno or 0,)
        if stat.S_ISLNK(status.st_mode):  # a link that is made anew may well get the old one's inode
            return (status.st_dev, status.st_ino, status.st_ctime_ns)
        if self.mask == WATCH_FILE:
            self.contents = _contents(self.path)
        if self.mask in (WATCH_SELF, WATCH_FILE):
            return (status.st_dev, status.st_ino)
        return (status.st_dev, status.st_ino, status.st_mode, status.st_uid, status.st_gid)


def _contents(path: str) -> Identity:
    """Return what changes when a file is written to."""
    try:
        status = os.lstat(path)
    except OSError:
        return ()
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _digest(path: str) -> int:
    try:
        return hash(frozenset(os.listdir(path)))  # noqa: PTH208
    except OSError:
        return 0


class Polling(Eyes):
    """Eyes that look at every watched path once in ``interval_s`` seconds."""

    fd: Optional[int] = None  # readable when there are events; none to wait for here

    def __init__(self, interval_s: float, now: float, reason: str = "") -> None:
        """Look first at ``now`` (seconds, monotonic) + ``interval_s``; ``reason`` says why, for the user."""
        self._reason = reason
        self._interval_s = interval_s
        self._due = now + interval_s
        self._watched: Dict[int, _Watched] = {}
        self._last_wd = 0

    def watch(self, path: str, mask: int) -> int:
        """Look at a path from now on; the number is negative, and each call has its own."""
        watched = _Watched(path, mask)
        watched.first_look()
        self._last_wd -= 1
        self._watched[self._last_wd] = watched
        return self._last_wd

    def watch_name(self, directory: str, name: str) -> int:
        """Look from now on at what the name means."""
        return Polling.watch(self, directory.rstrip("/") + "/" + name, WATCH_STATUS)

    def leads_to(self, path: str, wd: int) -> bool:
        """Return True: it is the path that is looked at each time."""
        return True

    def unwatch(self, wd: int) -> None:
        """Look no more."""
        self._watched.pop(wd, None)

    def next_wakeup(self) -> Optional[float]:
        """Return when to call ``read`` even if nothing is told, None for never."""
        return self._due if self._watched else None

    def read(self, now: float) -> List[Event]:
        """Return what happened, never waiting."""
        if now < self._due:
            return []
        self._due = now + self._interval_s
        looked = [(wd, watched.look()) for wd, watched in self._watched.items()]
        return [Event(wd, mask, 0, "") for wd, mask in looked if mask]

    def news(self) -> List[str]:
        """Return notes about how it is looked, each once."""
        reason, self._reason = self._reason, ""
        return ["looking every {:g} s: {}".format(self._interval_s, reason)] if reason else []

    def list(self, path: str, files: bool = False) -> Iterable[Tuple[str, str]]:
        """See Eyes."""
        with os.scandir(path) as entries:
            kinds = [(entry.name, _entry_kind(entry)) for entry in entries]
        return [(name, kind) for name, kind in kinds if kind and (files or kind != FILE)]

    def kind(self, path: str) -> Optional[str]:
        """See Eyes."""
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            return None
        return _KINDS.get(stat.S_IFMT(mode))

    def link_target(self, path: str) -> Optional[str]:
        """See Eyes."""
        return os.readlink(path) if self.kind(path) == LINK else None  # noqa: PTH115

    def beginning(self, path: str) -> Optional[bytes]:
        """See Eyes."""
        if self.kind(path) != FILE:
            return None
        how = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW
        try:
            fd = os.open(path, how | os.O_NOATIME)  # mail readers see by the time of access what is new
        except PermissionError:  # it is somebody else's
            fd = os.open(path, how)
        try:
            return os.read(fd, _BEGINNING_BYTES)
        finally:
            os.close(fd)


def _entry_kind(entry: "os.DirEntry[str]") -> Optional[str]:
    if entry.is_dir(follow_symlinks=False):
        return DIRECTORY
    if entry.is_symlink():
        return LINK
    return FILE if entry.is_file(follow_symlinks=False) else None
