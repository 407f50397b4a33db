"""The terminal, lent to the command.

The command has a process group of its own, so that it can be ended as a whole; but only the foreground group
of a terminal may read from it, and a synchroniser may ask for a password.  So the command is put where we
were, as a shell does with its jobs (see credentials(7)).
"""

from __future__ import annotations

import contextlib
import os
import signal
from types import TracebackType


class Terminal:
    """Our controlling terminal, if there is one and we are in its foreground; otherwise nothing happens."""

    def __init__(self) -> None:
        self._fd = -1
        with contextlib.suppress(OSError):
            self._fd = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
        self.exists = self._fd >= 0
        self._is_ours = self._is_foreground()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give(os.getpgrp())
        if self.exists:
            os.close(self._fd)

    def give(self, group: int) -> None:
        """Put a group into the foreground.  May be called after fork."""
        if not self._is_ours:
            return
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # or we were stopped for it
        with contextlib.suppress(OSError):
            os.tcsetpgrp(self._fd, group)
        signal.signal(signal.SIGTTOU, before)

    def stop_with(self, group: int) -> bool:
        """Stop as the command did (Ctrl-Z, reading in the background); tell whether it is in front then.

        Our whole group stops, as if it had been there itself: the script that we are in, too.
        """
        self.give(os.getpgrp())
        if self._is_ours or not self._is_foreground():  # not if a shell has just brought us to the foreground
            os.kill(0, signal.SIGTSTP)
        self._is_ours = self._is_foreground()
        self.give(group)
        return self._is_ours

    def _is_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:
            return False
