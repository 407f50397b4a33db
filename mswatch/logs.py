"""What mswatch tells people: one record for each thing that happened, told once, at the boundary.

Under systemd a record goes to the journal with fields; ``USER_UNIT=mswatch.service`` is what makes the plain
``journalctl --user -u mswatch`` show those of all accounts.  Elsewhere it is a line: success on standard
output, what went wrong on standard error.

Text from outside (mailbox names, lines of a child) is made visible before it is written, so that it cannot
pretend to be a record of ours.  Lines of children are limited here, because journald would limit all programs
of the user together.  A log that cannot be written never ends the service.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy

from mswatch import messages
from mswatch.messages import Message, Priority
from mswatch.showing import show

LINE_LIMIT = 2000
BURST = 1000
REFILL_PER_S = 20.0
OUTPUT = (messages.RUN_OUTPUT, messages.WATCHER_OUTPUT)
Write = Callable[[Message, str, Mapping[str, str]], None]


class Log:
    """Records, with the fields that all of them have (``MSWATCH_ACCOUNT`` ...)."""

    def __init__(self, write: Write, *, quiet: bool = False) -> None:
        self._is_new: Callable[[Message, str], bool] = lambda message, text: True
        self.fields: dict[str, str] = {}
        self._write = write
        self._quiet = quiet
        self._budget = _Budget()
        self._told: set[tuple[Message, str]] = set()

    def if_new(self, is_new: Callable[[Message, str], bool]) -> Log:
        """Return this log as one that leaves out what was told before."""
        log = copy(self)
        log._is_new = is_new
        return log

    def tell(self, message: Message, text: str, **fields: str) -> None:
        """Tell that something happened; fields are ``store="near"``, ``run="3"``, and the like."""
        if self._is_new(message, text):
            self._tell(message, text, **fields)

    def _tell(self, message: Message, text: str, **fields: str) -> None:
        if self._quiet and message.priority > Priority.WARNING and message not in OUTPUT:
            return
        named = {f"MSWATCH_{key.upper()}": show(value) for key, value in fields.items()}
        with suppress(OSError, ValueError):
            self._write(message, show(text), {**self.fields, **named})

    def tell_once(self, message: Message, text: str, **fields: str) -> None:
        """Tell it, unless the same was told before."""
        if (message, text) not in self._told:
            self._told.add((message, text))
            self.tell(message, text, **fields)

    def output(self, message: Message, program: str, line: bytes | None, **fields: str) -> None:
        """Tell what a child printed; None is a line that was too long."""
        if line is None:
            text = f"{program}: (a line that was too long)"
        else:
            text = f"{program}: {line.decode('utf-8', 'replace').rstrip()[:LINE_LIMIT]}"
        if not self._is_new(message, text):
            return
        allowed, unshown = self._budget.take(time.monotonic())
        if unshown:
            self._tell(
                messages.OUTPUT_CUT, f"{unshown} lines of children were not shown: too many at once", **fields
            )
        if allowed:
            self._tell(message, text, **fields)


class _Budget:
    """How many lines of children may still be told: BURST at once, REFILL_PER_S in the long run."""

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at = 0.0
        self._unshown = 0

    def take(self, now: float) -> tuple[bool, int]:
        """Return whether one may be told, and how many were not since the last that was."""
        self._left = min(float(BURST), self._left + (now - self._at) * REFILL_PER_S)
        self._at = now
        if self._left < 1:
            self._unshown += 1
            return False, 0
        self._left -= 1
        unshown, self._unshown = self._unshown, 0
        return True, unshown


def open_log(environment: Mapping[str, str], *, quiet: bool = False, timestamps: bool = True) -> Log:
    """Return a log to the journal if standard error is it (JOURNAL_STREAM, systemd.exec(5)), or of lines."""
    if _is_journal(environment.get("JOURNAL_STREAM", "")):
        from systemd import journal

        return Log(
            lambda message, text, fields: _to_journal(journal.send, message, text, fields), quiet=quiet
        )
    return Log(_to_stamped_lines if timestamps else _to_lines, quiet=quiet)


def _is_journal(stream: str) -> bool:
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return stream == f"{status.st_dev}:{status.st_ino}"


def _to_journal(send: Callable[..., object], message: Message, text: str, fields: Mapping[str, str]) -> None:
    send(
        text,
        MESSAGE_ID=message.id,
        PRIORITY=str(int(message.priority)),
        SYSLOG_IDENTIFIER="mswatch",
        USER_UNIT="mswatch.service",
        CODE_FUNC=message.name,  # any of the CODE_ fields keeps the library from walking the stack for them
        **fields,
    )


def _to_stamped_lines(message: Message, text: str, fields: Mapping[str, str]) -> None:
    _to_lines(message, time.strftime("%F %T ") + text, fields)


def _to_lines(message: Message, text: str, fields: Mapping[str, str]) -> None:
    wrong = message.priority <= Priority.WARNING or message in OUTPUT
    stream = sys.stderr if wrong else sys.stdout
    stream.write(f"{text}\n")
    stream.flush()
