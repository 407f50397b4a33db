"""What comes on standard input: its end, and questions whether we are still there.

A connection may be dead without an end: a cut cable, a laptop that was closed.  Who reads us finds that out
by a question, a line that we answer; and we find it out when no question comes any more.  So neither side
waits for an end that nobody tells.
"""

import os
from typing import List, Optional

from watch_maildirs.protocol import HERE, Change

LONGEST_QUESTION = 40
FOR_EVER = float("inf")


class Questions:
    """Reads standard input; it is over at its end, and when no line came for ``limit_s`` seconds."""

    def __init__(self, now: float, limit_s: Optional[float] = None) -> None:
        """Begin to wait ``now`` (seconds, monotonic); without a limit nothing is answered."""
        self._limit_s = limit_s
        self._rest = b""
        self._asked: List[bytes] = []
        self.deadline = FOR_EVER if limit_s is None else now + limit_s

    def read(self, fd: int, now: float) -> bool:
        """Read what is there; return False at the end."""
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if self._limit_s is not None and data:
            self._take(data, now + self._limit_s)
        return data != b""

    def _take(self, data: bytes, deadline: float) -> None:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()[-LONGEST_QUESTION:]
        if lines:
            self._asked = [lines[-1][-LONGEST_QUESTION:]]  # the last one answers all before
            self.deadline = deadline

    def answers(self) -> List[Change]:
        """Return the answer to what was asked, if it was."""
        asked, self._asked = self._asked, []
        return [Change(HERE, "", os.fsdecode(line)) for line in asked]

    def next_wakeup(self) -> Optional[float]:
        """Return when it is over if nothing comes, None for never."""
        return None if self._limit_s is None else self.deadline
