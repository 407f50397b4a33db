"""One service and one run at a time for each account, held by the kernel.

Both are flock(2) locks on files in the state directory.  A lock belongs to the open file, so the run lock,
handed down to the syncer, stays taken while a syncer lives that outlived a killed service: nothing runs
beside it.  It is given back by an explicit unlock, which holds for all who inherited it: a helper that the
syncer left behind (an agent, a connection master) keeps nobody waiting.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from mswatch.errors import TemporaryError


class Lock:
    """A lock file; ``fileno`` is inherited by those who shall keep it taken."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise TemporaryError(
                f"cannot open the lock {str(path)!r}: {error.strerror}", "make it writable, or remove it"
            ) from error

    def fileno(self) -> int:
        """Return the descriptor that holds the lock."""
        return self._fd

    def take(self, holder: str = "") -> bool:
        """Take the lock if it is free, and write down who has it; return whether it was free."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self.note(holder)
        return True

    def wait(self, holder: str = "") -> None:
        """Take the lock as soon as it is free."""
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        self.note(holder)

    def note(self, holder: str) -> None:
        """Write down who has the lock, for messages.  That a full disk prevents it does no harm."""
        if not holder:
            return
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, holder.encode(), 0)
        except OSError:
            pass

    def holder(self) -> str:
        """Return what the holder wrote down."""
        return os.pread(self._fd, 200, 0).decode(errors="replace").strip()

    def release(self) -> None:
        """Give the lock back, also for those who inherited it."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file; a lock that nobody inherited is free then."""
        os.close(self._fd)
