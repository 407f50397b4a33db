"""Sets of message numbers (``sequence-set`` of RFC 9051, 9): parsed, compared, written, cut to length.

A set is kept as ranges of 32 bits a bound, so that ``1:4294967295`` from a server costs as little as ``1``,
and nothing here ever counts through a range that a server named.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from mswatch.imap.errors import ProtocolError

LARGEST = 2**32 - 1  # nz-number
_RANGE = re.compile(rb"([0-9]{1,10})(?::([0-9]{1,10}))?(,|\Z)")


class NumberSet:
    """An immutable set of message numbers or UIDs."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        """Make a set of ranges, given in any order; ``first`` of each must not be after its ``last``."""
        self._firsts, self._lasts = array("I"), array("I")
        if not self._add_in_order(ranges):
            raise ValueError("ranges out of order; use NumberSet.of or NumberSet.merged")

    def _add_in_order(self, ranges: Iterable[tuple[int, int]]) -> bool:
        firsts, lasts = self._firsts, self._lasts
        end = -1
        for first, last in ranges:
            if first > end + 1 or not lasts:
                firsts.append(first)
                lasts.append(last)
                end = last
            elif first >= firsts[-1]:
                end = max(end, last)
                lasts[-1] = end
            else:
                return False
        return True

    @classmethod
    def of(cls, numbers: Iterable[int]) -> NumberSet:
        """Return the set of these numbers, which may come in any order."""
        return cls((number, number) for number in sorted(numbers))

    @classmethod
    def merged(cls, ranges: Iterable[tuple[int, int]]) -> NumberSet:
        """Return the set of all numbers in these ranges, which may come in any order and overlap."""
        keys = array("Q", (first << 32 | last for first, last in ranges))
        return cls((key >> 32, key & LARGEST) for key in sorted(keys))

    @classmethod
    def parse(cls, text: bytes) -> NumberSet:
        """Read what a server wrote; ``*`` is not a server's to write."""
        try:
            return cls(_ranges(text))
        except ValueError:
            return cls.merged(_ranges(text))

    @property
    def ranges(self) -> Iterator[tuple[int, int]]:
        """The ranges, ascending and apart from each other; both bounds belong to them."""
        return zip(self._firsts, self._lasts, strict=True)

    def __contains__(self, number: int) -> bool:
        index = bisect_right(self._firsts, number) - 1
        return index >= 0 and number <= self._lasts[index]

    def __len__(self) -> int:
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def __iter__(self) -> Iterator[int]:
        """Yield each number, ascending; look at ``len`` first where a server made the set."""
        for first, last in self.ranges:
            yield from range(first, last + 1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NumberSet) and list(self.ranges) == list(other.ranges)

    def __hash__(self) -> int:
        return hash(tuple(self.ranges))

    def __repr__(self) -> str:
        text = str(self)
        return f"NumberSet({text if len(text) < 100 else text[:100] + '...'})"

    def __str__(self) -> str:
        return ",".join(f"{first}:{last}" if first < last else f"{first}" for first, last in self.ranges)

    def pieces(self, length: int) -> Iterator[str]:
        """Write the set as one or more texts of at most ``length`` characters each (22 is the least)."""
        piece = ""
        for first, last in self.ranges:
            text = f"{first}:{last}" if first < last else f"{first}"
            if piece and len(piece) + 1 + len(text) > length:
                yield piece
                piece = text
            else:
                piece = f"{piece},{text}" if piece else text
        if piece:
            yield piece


def from_on(first: int) -> str:
    """Return the set of all numbers from one on; beyond the last message it still names that one."""
    return f"{first}:*"


def _ranges(text: bytes) -> Iterator[tuple[int, int]]:
    position = 0
    while position < len(text) or not text:
        match = _RANGE.match(text, position)
        if match is None or (match[3] and match.end() == len(text)):
            raise ProtocolError("a set of numbers was expected", text[position:])
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        if first > last:  # 4:2 is the same as 2:4
            first, last = last, first
        if not 1 <= first <= last <= LARGEST:
            raise ProtocolError("a message number is out of range", text[position : match.end()])
        yield first, last
        position = match.end()
