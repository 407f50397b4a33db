"""Eyes that the kernel tells: inotify(7), with polling for what it refuses.

The only file that imports inotify_simple.  Where a limit of the kernel is reached (watches for each user,
instances for each user), what found no room is polled, a note says which limit it was and how to raise it,
and every now and then it is tried again.
"""

import contextlib
import errno
from typing import List, Optional

import inotify_simple

from watch_maildirs.events import MASK_ADD, Q_OVERFLOW, WATCH_ENTRIES, WATCH_SELF, WATCH_STATUS, Event
from watch_maildirs.poll import Polling

_RETRY_INTERVALS = 6  # how many times slower than polling it is tried to get back to inotify
_NO_ROOM = (errno.ENOSPC, errno.ENOMEM)
_LIMITS = {
    errno.ENOSPC: ("fs/inotify/max_user_watches", "user/max_inotify_watches"),
    errno.EMFILE: ("fs/inotify/max_user_instances", "user/max_inotify_instances"),
}


class Inotify(Polling):
    """Eyes with one inotify instance; its watches have positive numbers, polled ones negative."""

    def __init__(self, interval_s: float, now: float) -> None:
        super().__init__(interval_s, now)
        self._retry_interval_s = interval_s * _RETRY_INTERVALS
        self._retry_due = now + self._retry_interval_s
        self._inotify: Optional[inotify_simple.INotify] = None
        self._refusal: Optional[int] = None  # the error of the kernel that makes us poll
        self._told_refusal: Optional[int] = None
        self._open()

    def _open(self) -> None:
        try:
            self._inotify = inotify_simple.INotify()
        except OSError as error:
            self._refusal = error.errno
        else:
            self.fd = self._inotify.fileno()

    def watch(self, path: str, mask: int) -> int:
        """Have the kernel watch a path, or poll it."""
        wd = None if mask == WATCH_STATUS else self._add_watch(path, mask)
        return super().watch(path, mask) if wd is None else wd

    def watch_name(self, directory: str, name: str) -> int:
        """Have the kernel watch the directory of a name, or poll the name."""
        try:
            wd = self._add_watch(directory, WATCH_ENTRIES)
        except OSError:
            wd = None
        return super().watch_name(directory, name) if wd is None else wd

    def _add_watch(self, path: str, mask: int) -> Optional[int]:
        """Return the kernel's number for a path, None if it has no room."""
        if self._inotify is None:
            return None
        try:
            return self._inotify.add_watch(path, mask | MASK_ADD)  # type: ignore[no-any-return]
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            self._refusal = error.errno
            return None

    def leads_to(self, path: str, wd: int) -> bool:
        """Have the kernel watch the path once more: it has one number for each inode."""
        try:
            return wd < 0 or self._add_watch(path, WATCH_SELF) == wd
        except OSError:
            return False

    def unwatch(self, wd: int) -> None:
        """Stop watching; the kernel may have done so already, when the directory went away."""
        if wd < 0:
            super().unwatch(wd)
        elif self._inotify is not None:
            try:
                self._inotify.rm_watch(wd)
            except OSError:
                return

    def next_wakeup(self) -> Optional[float]:
        """Return when to call ``read`` even if nothing is told, None for never."""
        polled = super().next_wakeup()
        return polled if polled is None or self._refusal is None else min(polled, self._retry_due)

    def read(self, now: float) -> List[Event]:
        """Return what the kernel and polling tell, and an overflow when inotify has room again for all."""
        told = [] if self._inotify is None else list(self._inotify.read(timeout=0))
        told += super().read(now)
        if self._refusal is not None and now >= self._retry_due:
            self._retry_due = now + self._retry_interval_s
            if self._has_room():
                self._refusal = None
                told.append(Event(-1, Q_OVERFLOW, 0, ""))
        return told

    def _has_room(self) -> bool:
        if self._inotify is None:
            self._open()
        if self._inotify is None:
            return False
        for watched in self._watched.values():
            with contextlib.suppress(OSError):
                if watched.mask != WATCH_STATUS and self._add_watch(watched.path, watched.mask) is None:
                    return False
        return True

    def news(self) -> List[str]:
        """Tell once that, and why, inotify is in use in part only; and once that it is again in full."""
        if self._refusal == self._told_refusal:
            return []
        self._told_refusal = self._refusal
        if self._refusal is None:
            return ["inotify watches everything again"]
        polled = sum(1 for watched in self._watched.values() if watched.mask != WATCH_STATUS)
        return [_refusal_note(self._refusal, _count_watches(self.fd), polled, self._interval_s)]


def _refusal_note(refusal: int, watches: int, polled: int, interval_s: float) -> str:
    cause = "inotify cannot be used ({})".format(errno.errorcode.get(refusal, refusal))
    remedy = ""
    if refusal in _LIMITS:
        name, limit = min((_read_limit(path), path) for path in _LIMITS[refusal])[::-1]
        key = name.replace("/", ".")
        cause = "the limit {} = {} is reached".format(key, limit)
        more = 2 * (watches + polled) if refusal == errno.ENOSPC else 128
        raised = (limit + more + 8191) // 8192 * 8192 if refusal == errno.ENOSPC else limit + more
        remedy = "; raise it: sudo sysctl {0}={1}, and put that into /etc/sysctl.d/60-mswatch.conf".format(
            key, raised
        )
    return "{}: of {} watches needed, {} are polled every {:g} s instead{}".format(
        cause, watches + polled, polled, interval_s, remedy
    )


def _count_watches(fd: Optional[int]) -> int:
    try:
        with open("/proc/self/fdinfo/{}".format(fd)) as file:  # noqa: PTH123 - a str, as everywhere here
            return sum(1 for line in file if line.startswith("inotify "))
    except OSError:
        return 0


def _read_limit(path: str) -> int:
    try:
        with open("/proc/sys/" + path) as file:  # noqa: PTH123 - a str, as everywhere here
            return int(file.read())
    except (OSError, ValueError):
        return 2**31 - 1
