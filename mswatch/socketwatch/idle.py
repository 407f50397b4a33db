"""When a command has been silent for too long.  Pure: reports with a time in, what is due out.

The clock starts with the first report, as systemd's does for a oneshot unit.  The shim reports at most once
in SILENCE_S, so a report vouches for the time until the next may come: silence is counted from there.  A
command is thus never ended while it moves something in each ``timeout_s``, and ended within ``timeout_s`` +
SILENCE_S of the last thing it moved.

The time is CLOCK_MONOTONIC, which stands still while the machine is suspended: a night's sleep is no
idleness.  A connection that died meanwhile is found when the rest of the timeout has passed after the resume.
"""

from __future__ import annotations

from enum import Enum

SILENCE_S = 1.0  # SILENCE_MS in progress.c


class Reason(Enum):
    """Why a command is ended."""

    IDLE = "no progress"
    HARD_CAP = "hard cap"


class Watch:
    """The clock of one command.

    Args:
        timeout_s: how long it may be silent.
        hard_cap_s: how long it may run at all; None: for ever.
        now: the time of its start.
    """

    def __init__(self, timeout_s: float, hard_cap_s: float | None, now: float) -> None:
        self._timeout_s = timeout_s
        self._cap_at = None if hard_cap_s is None else now + hard_cap_s
        self._idle_at: float | None = None
        self._notice_at: float | None = now + timeout_s
        self.reports = 0

    def report(self, now: float) -> None:
        """Take note that there was progress."""
        self.reports += 1
        self._notice_at = None
        self.start_anew(now)

    def start_anew(self, now: float) -> None:
        """Count the silence from now on: it was not the command's, which was stopped from a terminal."""
        if self.reports:
            self._idle_at = now + SILENCE_S + self._timeout_s

    def overdue(self, now: float) -> Reason | None:
        """Return why the command is to be ended now, if it is."""
        if self._cap_at is not None and now >= self._cap_at:
            return Reason.HARD_CAP
        if self._idle_at is not None and now >= self._idle_at:
            return Reason.IDLE
        return None

    def never_spoke(self, now: float) -> bool:
        """Tell, once, that the timeout has passed without a first report."""
        if self._notice_at is None or now < self._notice_at:
            return False
        self._notice_at = None
        return True

    def next_wakeup(self) -> float | None:
        """Return when there may be something to do."""
        return min(
            (at for at in (self._cap_at, self._idle_at, self._notice_at) if at is not None), default=None
        )
