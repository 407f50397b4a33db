"""The loop: waits, carries events to the tree and lines to standard output.  It decides nothing.

It sleeps without a timeout unless something is polled or held back.  Writing never blocks: standard output
is asked for room before each write of at most PIPE_BUF bytes, because making it non-blocking would do so to
everyone who shares it.  It ends, quietly, when the reader of standard output has gone, even while there is
nothing to write; when standard input ends, or nothing comes there for too long, if so asked (``questions``).
"""

import contextlib
import os
import select
import time
from typing import Dict, Iterable, List, Optional, Tuple

from watch_maildirs.outbox import Form, Outbox
from watch_maildirs.poll import Polling
from watch_maildirs.protocol import NOTE, Change, escape
from watch_maildirs.questions import Questions
from watch_maildirs.tree import Tree

_STDIN, _STDOUT, _STDERR = range(3)
_READER_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL


class Loop:
    """One run of watch_maildirs."""

    def __init__(
        self, eyes: Polling, tree: Tree, form: Form, base: str, questions: Optional[Questions]
    ) -> None:
        self._eyes = eyes
        self._tree = tree
        self._form = form
        self._outbox = Outbox(form)
        self._questions = questions
        self._mounts = _Mounts(base)

    def run(self) -> None:
        """Watch until the reader of standard output has gone, or standard input says that it is over."""
        changes = self._tree.start()
        while True:
            now = time.monotonic()
            self._tell(changes, now)
            if not self._write(now):
                return
            ready = self._wait(now)
            if ready.get(_STDOUT, 0) & _READER_GONE:
                return
            answers = self._answer(_STDIN in ready)
            if answers is None:
                return
            if self._mounts.fd in ready and self._mounts.has_moved():
                changes = self._tree.look_again()
            else:
                changes = self._tree.handle(self._eyes.read(time.monotonic()))
            changes += answers

    def _answer(self, readable: bool) -> Optional[List[Change]]:
        """Return the answers to what is asked on standard input, None if that says that it is over."""
        if self._questions is None:
            return []
        now = time.monotonic()
        if readable and not self._questions.read(_STDIN, now):
            return None
        if now >= self._questions.deadline:
            return None
        return self._questions.answers()

    def _tell(self, changes: Iterable[Change], now: float) -> None:
        lines: List[bytes] = []
        for change in list(changes) + [Change(NOTE, "", text) for text in self._eyes.news()]:
            told, notes = self._form.tell(change)
            lines += told
            for note in notes:
                complain(note)
        if lines:
            self._outbox.put(lines, now)

    def _wait(self, now: float) -> Dict[Optional[int], int]:
        poll = select.poll()
        poll.register(_STDOUT, select.POLLOUT if self._outbox.next_bytes(1, now) else 0)
        if self._questions is not None:
            poll.register(_STDIN, select.POLLIN)
        if self._eyes.fd is not None:
            poll.register(self._eyes.fd, select.POLLIN)
        if self._mounts.fd is not None:
            poll.register(self._mounts.fd, select.POLLPRI)
        deadline = None if self._questions is None else self._questions.next_wakeup()
        times = (self._outbox.next_wakeup(), self._eyes.next_wakeup(), deadline)
        wakeups = [time_s for time_s in times if time_s is not None]
        timeout_ms = max(0, int((min(wakeups) - now) * 1000) + 1) if wakeups else None
        return dict(poll.poll(timeout_ms))

    def _write(self, now: float) -> bool:
        """Write what the reader has room for; tell whether there is still a reader."""
        poll = select.poll()
        poll.register(_STDOUT, select.POLLOUT)
        while True:
            chunk = self._outbox.next_bytes(select.PIPE_BUF, now)
            if not chunk:
                return True
            ready = dict(poll.poll(0)).get(_STDOUT, 0)
            if ready & _READER_GONE:
                return False
            if not ready:
                return True
            try:
                self._outbox.drop(os.write(_STDOUT, chunk))
            except BlockingIOError:
                return True
            except (BrokenPipeError, ConnectionResetError):
                return False


def complain(text: str) -> None:
    """Tell a person, on standard error; if nobody listens there, that is not our end."""
    with contextlib.suppress(OSError):
        os.write(_STDERR, b"watch_maildirs: " + escape(text) + b"\n")


class _Mounts:
    """Tells when a file system was mounted over the base or under it, of which inotify says nothing."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._identity = self._look()
        try:
            self.fd: Optional[int] = os.open("/proc/self/mountinfo", os.O_RDONLY)
        except OSError:
            self.fd = None

    def has_moved(self) -> bool:
        """Tell whether the base is another directory than it was when this was asked last."""
        before, self._identity = self._identity, self._look()
        return before != self._identity

    def _look(self) -> Tuple[int, ...]:
        try:
            status = os.stat(self._base)  # noqa: PTH116 - see poll.py
        except OSError:
            return ()
        return (status.st_dev, status.st_ino)
