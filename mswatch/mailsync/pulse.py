"""Shows whoever watches a run that it goes on, where it does nothing but read.

Reading files is no progress to the shim (``socketwatch``), because a program that turns in circles may read
them too; so a first look at many messages on a slow disk, or at one large mbox, would be taken for a
hang, and ended.  A byte that goes through a pipe is progress.  Where there is no shim nobody sees it, and
nothing is armed by it, as a message of our own to the manager would do.

One pulse for the process (``RUN``): whoever reads for long beats it, at each message or piece of a file.
"""

from __future__ import annotations

import os
import time

EVERY_S = 1.0


class Pulse:
    """Beats at most once a second, and not before the run has lasted that long."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._pipe: tuple[int, int] | None = None

    def beat(self) -> None:
        """The run goes on."""
        now = time.monotonic()
        if now - self._last < EVERY_S:
            return
        self._last = now
        if self._pipe is None:
            self._pipe = os.pipe()
        os.write(self._pipe[1], b"x")
        os.read(self._pipe[0], 1)


RUN = Pulse()
