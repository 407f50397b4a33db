"""Notices at once that the machine was asleep.

A timer of the loop stands still during sleep, so that after it nothing would wake us for a while.  The
kernel cancels a timer of the wall clock when that is set, and resuming counts as setting it
(TFD_TIMER_CANCEL_ON_SET in timerfd_create(2)): such a timer, which never comes due, costs nothing and wakes
us.  Whether it was sleep is told by the clocks.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import Callable
from contextlib import suppress

SHORTEST_S = 1.0
_TFD_TIMER_ABSTIME, _TFD_TIMER_CANCEL_ON_SET = 1, 2
_NEVER_S = 100 * 366 * 86400


def asleep_s() -> float:
    """Return how long the machine has been asleep since its start."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


class SleepWatch:
    """Tells whether the machine was asleep, and calls ``on_wake`` when it may have been."""

    def __init__(self, on_wake: Callable[[], None]) -> None:
        self._on_wake = on_wake
        self._asleep_s = asleep_s()
        self._loop = asyncio.get_running_loop()
        self._fd = _wall_clock_timer()
        if self._fd is not None:
            self._loop.add_reader(self._fd, self._on_clock_set)

    def has_slept(self) -> bool:
        """Tell whether the machine was asleep; once for each sleep."""
        before, self._asleep_s = self._asleep_s, asleep_s()
        return self._asleep_s - before > SHORTEST_S

    def _on_clock_set(self) -> None:
        assert self._fd is not None
        with suppress(OSError):  # ECANCELED: that is what it is for
            os.read(self._fd, 8)
        self._on_wake()

    def close(self) -> None:
        """Watch no more."""
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = None


def _wall_clock_timer() -> int | None:
    """Return a timer that is cancelled when the wall clock is set; None if the kernel has none."""
    libc = ctypes.CDLL(None)
    fd: int = libc.timerfd_create(time.CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        return None
    due = (ctypes.c_long * 4)(0, 0, int(time.time()) + _NEVER_S, 0)  # struct itimerspec: interval, value
    if libc.timerfd_settime(fd, _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET, due, None) < 0:
        os.close(fd)
        return None
    return fd
