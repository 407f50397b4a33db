"""Lines on their way out: repeats merged, nothing lost, memory bounded.

A line goes out at once when it is the first of its kind for a while.  Its repeats within the same window
are held and go out once, at the window's end; so a change after a line was printed always brings a new
line, and a storm of changes brings at most one for each mailbox (or file) and window.

Lines that the reader does not take wait here, each of them once.  When too many wait they are told less
exactly, first by mailbox and then as the one line that says "anything may have changed".
"""

from typing import Dict, Iterable, Optional, Set, Union

from watch_maildirs.protocol import READY_LINE, Long, Plain

WINDOW_S = 0.02
MOST_LINES = 20000
_FILL = 65536

Form = Union[Long, Plain]


class Outbox:
    """Lines to be written, with READY_LINE before all of them."""

    def __init__(self, form: Form, window_s: float = WINDOW_S, most_lines: int = MOST_LINES) -> None:
        self._form = form
        self._window_s = window_s
        self._most_lines = most_lines
        self._window_end = 0.0
        self._told: Set[bytes] = set()  # in this window
        self._held: Dict[bytes, None] = {}  # until its end; the latest last
        self._waiting: Dict[bytes, None] = {}
        self._buffer = READY_LINE

    def put(self, lines: Iterable[bytes], now: float) -> None:
        """Take lines that tell of changes before ``now`` (seconds, monotonic)."""
        self._turn(now)
        for line in lines:
            # A line that still waits tells of this change as well.
            if line in self._told and line not in self._waiting:
                target = self._held
            else:
                self._told.add(line)
                target = self._waiting
            target.pop(line, None)
            target[line] = None
        if len(self._waiting) + len(self._held) > self._most_lines:
            self._widen()

    def next_wakeup(self) -> Optional[float]:
        """Return when held lines are due, None where there are none."""
        return self._window_end if self._held else None

    def next_bytes(self, most: int, now: float) -> bytes:
        """Return what is to be written now, at most so many bytes; b"" for nothing."""
        self._turn(now)
        if len(self._buffer) < most and self._waiting:
            self._fill()
        return self._buffer[:most]

    def drop(self, count: int) -> None:
        """Forget the first bytes of ``next_bytes``: they were written."""
        self._buffer = self._buffer[count:]

    def _turn(self, now: float) -> None:
        if now < self._window_end:
            return
        self._window_end = now + self._window_s
        self._told = set(self._held)
        for line in self._held:
            self._waiting.pop(line, None)
            self._waiting[line] = None
        self._held.clear()

    def _fill(self) -> None:
        lines, size = [], 0
        for line in self._waiting:
            lines.append(line)
            size += len(line)
            if size >= _FILL:
                break
        for line in lines:
            del self._waiting[line]
        self._buffer += b"".join(lines)

    def _widen(self) -> None:
        lines = list(self._waiting) + list(self._held)
        self._held.clear()
        self._waiting = {self._form.widen(line): None for line in lines}
        if len(self._waiting) > self._most_lines // 2:
            self._waiting = {self._form.all_line: None}
