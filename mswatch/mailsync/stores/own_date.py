"""The date that a message has of its own, for stores that do not know when they received it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

LONGEST = 200  # bytes of a date that are looked at

_DATE = re.compile(rb"^date:[ \t]*([^\r\n]*(?:\r?\n[ \t]+[^\r\n]*)*)", re.IGNORECASE | re.MULTILINE)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def own_date(header: bytes) -> float | None:
    """Return the seconds since 1970 of the first Date in a header (RFC 5322, 3.6.1); None when it is none.

    One without a zone is taken for UTC: nobody knows better.
    """
    from email.utils import parsedate_tz  # seldom needed, and dear

    field = _DATE.search(header)
    if field is None:
        return None
    try:
        found = parsedate_tz(field[1][:LONGEST].decode("ascii", "replace"))
        if found is None:
            return None
        date = datetime(*found[:5], min(found[5], 59), tzinfo=timezone.utc)
        return (date - timedelta(seconds=found[9] or 0) - _EPOCH).total_seconds()
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
