"""The old program's output, line by line.  Pure.

Programs read it, so the words and the columns are those of mailsync 5.2.  What differs: names are printed so
that no terminal obeys them, and the date of a message is that of its header.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import getaddresses, parsedate_to_datetime

from mswatch.mailsync.decide import SIDES, Side, other
from mswatch.oldmailsync.msinfo import fields
from mswatch.showing import show

COPIED, FAILED, TOO_BIG, IGNORED, DELETED = "copied", "copyfail", "too big", "ign. del", "deleted"
_ARROWS = {IGNORED: {"far": " >", "near": "< "}, DELETED: {"near": "< ", "far": "> "}}
_COPYING = {"far": "->", "near": "<-"}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Line:
    """Something about one message; ``side`` is where it went, or was deleted."""

    action: str
    side: Side
    id: str
    columns: str


@dataclass
class BoxReport:
    """What was done to a mailbox."""

    name: str
    lines: list[Line] = field(default_factory=list)
    made: list[Side] = field(default_factory=list)
    unmade: list[Side] = field(default_factory=list)
    copied: Counter[Side] = field(default_factory=Counter)
    deleted: Counter[Side] = field(default_factory=Counter)
    remembered: int = 0  # messages that both sides have now

    @property
    def remain(self) -> int:
        """Messages of both sides, with those that were not copied."""
        return self.remembered + sum(line.action in (FAILED, TOO_BIG, IGNORED) for line in self.lines)


@dataclass(frozen=True)
class Style:
    """What is to be printed: the names of the stores, and a line for each message, with its id."""

    stores: tuple[str, str]
    messages: bool = False
    ids: bool = False

    def store(self, side: Side) -> str:
        """Return the name of a side's store."""
        return show(self.stores[SIDES.index(side)])


def columns(header: bytes) -> str:
    """Return date, sender and subject of a message in columns."""
    found = fields(header)
    name, address = (getaddresses([found.get("from", "")]) or [("", "")])[0]
    sender = (name or address)[:22]
    subject = re.sub(r"\s", " ", found.get("subject", "")).strip()[:29]
    return f"{_date(found.get('date', '')):11}{show(sender):22} {show(subject):27}"


def _date(text: str) -> str:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return ""
    return f"{_DAYS[date.weekday()]} {_MONTHS[date.month - 1]} {date.day:2} "


def sync_order(near: Sequence[str], far: Sequence[str]) -> list[str]:
    """Return mailboxes in the old order: deep ones first, those that only far has at the end."""

    def in_order(names: Sequence[str]) -> list[str]:
        return sorted(names, key=lambda name: (-len(name.encode("utf-8", "surrogateescape")), name))

    return in_order(near) + in_order([name for name in far if name not in near])


def sync_report(box: BoxReport, style: Style) -> Iterator[str]:
    """Give the text about a mailbox that was synced, in pieces."""
    name = show(box.name)
    yield f"\n *** {name} ***\n\n" if style.messages else f"{name}: "
    yield from _lines(box, style, deleted=False)
    yield "\n"
    for to in reversed(SIDES):
        if box.copied[to]:
            yield f"{box.copied[to]} copied {style.store(other(to))}->{style.store(to)}.\n"
    if style.messages:
        yield f"{box.remain} messages remain in {name}\n"
    else:
        yield "1 remains.\n" if box.remain == 1 else f"{box.remain} remain.\n"
    yield from _lines(box, style, deleted=True)
    for side in SIDES:
        if box.deleted[side]:
            yield f"Expunged {_count(box.deleted[side], 'mail')} in store {style.store(side)}\n"


def _lines(box: BoxReport, style: Style, *, deleted: bool) -> Iterator[str]:
    lines = [line for line in box.lines if (line.action == DELETED) is deleted]
    for side in SIDES if deleted else reversed(SIDES):
        for line in sorted((each for each in lines if each.side == side), key=lambda each: each.id):
            if style.messages or line.action in (TOO_BIG, IGNORED):
                arrow = _ARROWS.get(line.action, _COPYING)[side]
                named = f"{show(line.id):65}" if style.ids and line.action != DELETED else ""
                yield f"  {line.action:10} {arrow}  {line.columns}{named}\n"


def removal(name: str, places: Sequence[str]) -> str:
    """Return the text about a mailbox that was removed, with its full names."""
    return "".join([f"{show(name)}: deleting\n", *(f"  {show(place)}\n" for place in places)])


@dataclass(frozen=True)
class Entry:
    """A message in a list."""

    id: str
    columns: str
    is_double: bool


def list_report(name: str, entries: Sequence[Entry] | None, style: Style) -> Iterator[str]:
    """Give the text about a mailbox in a list; None: it cannot be looked into."""
    if not style.messages:
        yield f"{show(name)}\n"
        return
    yield f"\nMailbox: {show(name)}\n"
    if entries is None:
        yield "  not selectable\n"
    for entry in entries or ():
        mark = "  duplicate    " if entry.is_double else "" if entry.id else "  no msg-id    "
        yield f"{mark}{f'{show(entry.id):65}' if style.ids else ''}{entry.columns}\n"


@dataclass(frozen=True)
class Difference:
    """How a mailbox differs from what is remembered: messages there, doubles, new and deleted ones."""

    count: int
    doubles: int = 0
    new: int = 0
    deleted: int = 0


def diff_report(name: str, found: Difference, store: str, style: Style) -> str:
    """Return the text about how a mailbox differs."""
    begin = f"\n *** {show(name)} ***\n\n" if style.messages else f"{show(name)}: "
    parts = [
        f"{_count(found.doubles, 'duplicate')}, " if found.doubles else "",
        f"{found.new} new, " if found.new else "",
        f"{found.deleted} deleted, " if found.deleted else "",
    ]
    return f"{begin}{''.join(parts)}{found.count} currently at store {show(store)}.\n"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
