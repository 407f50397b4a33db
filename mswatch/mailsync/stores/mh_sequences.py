r"""The file ``.mh_sequences`` of an MH folder (mh-sequence(5)), which stands for flags.  Pure.

A line ``NAME: 1-3 7`` for each sequence.  What stands for a flag follows nmh and mutt; the last three rows
are ours, because no program has names for them:

    not in unseen  \Seen            forwarded  $Forwarded
    replied        \Answered        draft      \Draft
    flagged        \Flagged         deleted    \Deleted

Any other sequence is a keyword, and a keyword whose name can be that of a sequence is one, except those that
say where somebody is (cur, pseq) and those that nmh does not let anybody make.  Lines that are no sequence
are kept as they are.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping

from mswatch.mailsync.flags import ANSWERED, DELETED, DRAFT, FLAGGED, FORWARDED, SEEN, Flags

UNSEEN = "unseen"
_FLAGS = {
    "replied": ANSWERED,
    "flagged": FLAGGED,
    "forwarded": FORWARDED,
    "draft": DRAFT,
    "deleted": DELETED,
}
_NAMES = {flag: name for name, flag in _FLAGS.items()}
_NO_KEYWORDS = frozenset(
    [UNSEEN, *_FLAGS, "cur", "pseq", "all", "first", "last", "next", "prev", "new", "seen"]
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,99}")
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")

Ranges = list[tuple[int, int]]


class Sequences:
    """The sequences of a folder at one moment."""

    def __init__(self, text: bytes) -> None:
        self._ranges: dict[str, Ranges] = {}
        self._other_lines: list[str] = []
        # latin-1, because it gives every byte back.
        for line in re.sub(r"\n[ \t]+", " ", text.decode("latin-1")).split("\n"):
            name, colon, numbers = line.partition(":")
            if colon and _NAME.fullmatch(name):
                self._ranges[name] = self._ranges.get(name, []) + _ranges(numbers)
            elif line.strip():
                self._other_lines.append(line)

    def flags(self, numbers: Iterable[int]) -> dict[int, Flags]:
        """Return the flags of these messages."""
        there = sorted(numbers)
        found: dict[int, set[str]] = {number: {SEEN} for number in there}
        for name, ranges in self._ranges.items():
            flag = _FLAGS.get(name, name if name not in _NO_KEYWORDS else "")
            for number in _members(ranges, there) if flag or name == UNSEEN else ():
                if name == UNSEEN:
                    found[number].discard(SEEN)
                else:
                    found[number].add(flag)
        return {number: frozenset(flags) for number, flags in found.items()}

    def highest(self) -> int:
        """Return the highest number that is in any sequence."""
        return max((high for ranges in self._ranges.values() for _, high in ranges), default=0)

    def changed(self, numbers: Iterable[int], wanted: Mapping[int, Flags]) -> bytes:
        """Return the file's text when these messages have these flags, and only ``numbers`` are there."""
        there = sorted({*numbers, *wanted})
        members = {name: set(_members(ranges, there)) for name, ranges in self._ranges.items()}
        for number, flags in wanted.items():
            names = {_NAMES.get(flag, flag) for flag in flags - {SEEN}}
            if SEEN not in flags:
                names.add(UNSEEN)
            for name in {*names, *members}:
                if name in names:
                    members.setdefault(name, set()).add(number)
                elif name == UNSEEN or name in _FLAGS or name not in _NO_KEYWORDS:
                    members[name].discard(number)
        lines = [f"{name}: {_text(sorted(each))}" for name, each in members.items() if each]
        return "".join(f"{line}\n" for line in lines + self._other_lines).encode("latin-1")


def storable(flags: Flags) -> Flags:
    """Return which of these flags can be kept."""
    return frozenset(
        flag
        for flag in flags
        if flag == SEEN or flag in _NAMES or (_NAME.fullmatch(flag) and flag not in _NO_KEYWORDS)
    )


def _ranges(text: str) -> Ranges:
    found = []
    for word in text.split():
        match = _RANGE.fullmatch(word)
        if match:
            found.append((int(match[1]), int(match[2] or match[1])))
    return found


def _members(ranges: Ranges, there: list[int]) -> list[int]:
    """Return the messages that are in any of the ranges, which may reach beyond all that is there."""
    if len(ranges) * 8 < len(there):
        return [
            number
            for low, high in ranges
            for number in there[bisect_left(there, low) : bisect_right(there, high)]
        ]
    spread = sorted(ranges)
    found, place, end = [], 0, -1
    for number in there:
        while place < len(spread) and spread[place][0] <= number:
            end = max(end, spread[place][1])
            place += 1
        if number <= end:
            found.append(number)
    return found


def _text(numbers: list[int]) -> str:
    """Return numbers as nmh writes them: those that follow each other as a range."""
    words: list[str] = []
    begin = previous = numbers[0]
    for number in [*numbers[1:], -1]:
        if number != previous + 1:
            words.append(str(begin) if begin == previous else f"{begin}-{previous}")
            begin = number
        previous = number
    return " ".join(words)
