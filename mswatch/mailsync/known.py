"""What is remembered of the messages of one side of a mailbox, for a store that compares itself with it.

All of it is as large as the mailbox.  So it is given in portions, already in the form of what it is compared
with, and what is asked of single messages is looked up by the index, unless they are many.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from mswatch.mailsync.decide import Side
from mswatch.mailsync.stores.contract import Key, Known, Stamp

# ruff: noqa: D102 - what a method does is in contract.py

T = TypeVar("T")

PORTION = 4096  # messages: fewer cost more queries, and more cost more memory that is touched anew
BETWEEN = b"/\n"  # no file's name has the first of these, no keyword the second one
FEW = 8192  # keys for which as many look-ups cost less than reading everything
AT_ONCE = 250  # keys in one query


def portions(values: Iterable[T]) -> Iterator[list[T]]:
    """Give keys, or other values, as many at a time as one query asks for."""
    left = iter(values)
    while some := list(islice(left, AT_ONCE)):
        yield some


class KnownMessages(Known):
    """The rows of one mailbox and side."""

    def __init__(self, database: sqlite3.Connection, mailbox: int, side: Side) -> None:
        self._database = database
        self._mailbox = mailbox
        self._key, self._stamp = side, f"{side}_stamp"

    def names(self) -> Iterator[Sequence[bytes | None]]:
        # One long word for a portion costs half of what a row for each message does; and a portion that is
        # the part between two keys costs half of one that is counted.
        key, stamp = self._key, self._stamp
        words = f"CAST(group_concat(CAST({key} || {stamp} AS TEXT), '{BETWEEN.decode()}') AS BLOB)"
        columns = f"{words}, count({stamp}), count(*)"
        first: bytes | None = b""
        while first is not None:
            later = self._select(key, f"AND {key} >= ? ORDER BY {key} LIMIT 1 OFFSET {PORTION}", first)
            (end,) = later.fetchone() or (None,)
            if end is None:
                row = self._select(columns, f"AND {key} >= ?", first)
            else:
                row = self._select(columns, f"AND {key} >= ? AND {key} < ?", first, end)
            joined, stamped, count = row.fetchone()
            found: list[bytes | None] = joined.split(BETWEEN) if stamped else []
            yield [*found, None] if stamped < count else found
            first = end

    def is_empty(self) -> bool:
        return self._select("1", "LIMIT 1").fetchone() is None

    def unstamped(self) -> Collection[Key]:
        return {key for (key,) in self._select(self._key, f"AND {self._stamp} IS NULL")}

    def stamps(self, keys: Collection[Key]) -> Iterator[tuple[Key, Stamp | None]]:
        columns = f"{self._key}, {self._stamp}"
        if len(keys) > FEW:
            yield from (row for row in self._select(columns) if row[0] in keys)
            return
        for some in portions(keys):
            yield from self._select(columns, f"AND {self._key} IN ({', '.join('?' * len(some))})", *some)

    def has_longer(self, keys: Collection[Key], separator: bytes) -> bool:
        if len(keys) > FEW:
            longer = self._select(self._key, f"AND instr({self._key}, ?)", separator)
            return any(key.partition(separator)[0] in keys for (key,) in longer)
        after = bytes([separator[0] + 1])
        for some in portions(keys):
            bounds = [bound for key in some for bound in (key + separator, key + after)]
            query = (
                f"SELECT 1 FROM (VALUES {', '.join(['(?, ?)'] * len(some))}) AS longer, message"  # noqa: S608
                f" WHERE mailbox = ? AND {self._key} >= column1 AND {self._key} < column2 LIMIT 1"
            )
            if self._database.execute(query, (*bounds, self._mailbox)).fetchone():
                return True
        return False

    def _select(self, columns: str, where: str = "", *values: bytes) -> sqlite3.Cursor:
        return self._database.execute(self._query(columns, where), (self._mailbox, *values))

    def _query(self, columns: str, where: str) -> str:
        return f"SELECT {columns} FROM message WHERE mailbox = ? AND {self._key} IS NOT NULL {where}"  # noqa: S608
