"""The engine's clock."""

from __future__ import annotations

import time

_MICROSECOND = 6


def now() -> float:
    """Return the seconds since the machine's start, sleep included, to the microsecond.

    A laptop that wakes up finds its delays over, as a person would expect, and no change of the date moves
    them.  Rounded, so that a record replays to the same decisions.
    """
    return round(time.clock_gettime(time.CLOCK_BOOTTIME), _MICROSECOND)
