"""The date of an internal date (``date-time`` of RFC 9051, 9), to seconds since 1970 and back.

An internal date that is not whole (without a zone, with a year of two digits) is none: a guess could not be
told from what the server knows.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from math import floor

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMBERS = {month.lower().encode(): number for number, month in enumerate(_MONTHS, 1)}
_DATE = re.compile(
    rb" ?([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)
_FIRST, _LAST = -62135596800, 253402300799  # what four digits of a year can say
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def parse_date(text: bytes) -> float | None:
    """Return the seconds since 1970 that a date stands for; None when it is none."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    day, year, hour, minute, second = (int(match[group]) for group in (1, 3, 4, 5, 6))
    offset = timedelta(hours=int(match[8]), minutes=int(match[9])) * (-1 if match[7] == b"-" else 1)
    try:
        month = _NUMBERS[match[2].lower()]
        date = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=timezone.utc)
        return (date - offset - _EPOCH).total_seconds()
    except (KeyError, ValueError, OverflowError):
        return None


def format_date(seconds: float) -> bytes:
    """Return the date, in UTC, of a number of seconds since 1970; the nearest that IMAP can write."""
    date = _EPOCH + timedelta(seconds=min(max(floor(seconds), _FIRST), _LAST))
    return (
        f"{date.day:2}-{_MONTHS[date.month - 1]}-{date.year:04} "
        f"{date.hour:02}:{date.minute:02}:{date.second:02} +0000"
    ).encode()
