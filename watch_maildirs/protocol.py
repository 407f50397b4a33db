r"""The lines that watch_maildirs prints: the plain protocol of the old programs, and the long one.

Both begin with one empty line when everything is watched: every change from then on is told.

*Plain*: one line for each change, the name of the mailbox.  An empty line says that anything may have
changed; it stands for a name that a line cannot carry.  Notes for people go to standard error.

*Long*: ``MAILBOX TAB KIND TAB FILE``.  In the two fields a backslash is ``\\\\``, a tab ``\\t``, a newline
``\\n``, a carriage return ``\\r``, and any other control byte ``\\xHH``.  Everything else is the bytes of
the name on disk.

======= ==============================================================================================
KIND    meaning
======= ==============================================================================================
content FILE (``new/1700.M1.host``) appeared, vanished, or was renamed from or to this name in MAILBOX;
        FILE is empty where it is not known which one, or where there were too many to tell
taken   FILE (``cur/1700.M1.host:2,``) came from new and has no flag: somebody listed the mailbox, as every
        IMAP server does when it is opened, and nothing else happened to the message
written FILE was written into where it is, by a program that has closed it since; FILE is empty where it is
        not known which one, or where there were too many to tell
made    MAILBOX appeared
gone    MAILBOX vanished
all     MAILBOX and FILE are empty: any mailbox may have changed, appeared or vanished
note    MAILBOX is empty, FILE is a text for a person
here    the answer to a question: MAILBOX is empty, FILE is the line that was read; every change before
        that was told
======= ==============================================================================================

A line says "look there": the same line may come again, and a line may come without a change, but no change
without a line after it.  This file imports nothing of the package, so that the reader of the lines can use
it too.
"""

import os
import re
from typing import Iterable, List, Match, NamedTuple, Set, Tuple

CONTENT = "content"
TAKEN = "taken"
WRITTEN = "written"
MADE = "made"
GONE = "gone"
ALL = "all"
NOTE = "note"
HERE = "here"
KINDS = frozenset([CONTENT, TAKEN, WRITTEN, MADE, GONE, ALL, NOTE, HERE])

READY_LINE = b"\n"

_TO_ESCAPE = re.compile(rb"[\x00-\x1f\x7f\\]")
_ESCAPES = {b"\\": b"\\\\", b"\t": b"\\t", b"\n": b"\\n", b"\r": b"\\r"}
_ESCAPED = re.compile(rb"\\(\\|t|n|r|x[0-9a-f]{2})")
_BROKEN = re.compile(rb"[\x00-\x1f\x7f]|\\(?!\\|t|n|r|x[0-9a-f]{2})")
_UNESCAPES = {b"\\": b"\\", b"t": b"\t", b"n": b"\n", b"r": b"\r"}
_MOST_REMEMBERED = 1000


class Change(NamedTuple):
    """One line of the long protocol.

    ``mailboxes`` is not part of it: of ALL, it holds the mailboxes known, for the plain protocol, which
    names each.
    """

    kind: str
    mailbox: str = ""
    file: str = ""
    mailboxes: Tuple[str, ...] = ()


def escape(text: str) -> bytes:
    """Return the bytes of a name or text, with backslash and control bytes escaped."""
    raw = os.fsencode(text)
    if _TO_ESCAPE.search(raw) is None:
        return raw
    return _TO_ESCAPE.sub(lambda found: _ESCAPES.get(found.group(), b"\\x%02x" % ord(found.group())), raw)


def unescape(field: bytes) -> str:
    """Undo ``escape``.  Raises ValueError on what escape never makes."""
    if _BROKEN.search(_ESCAPED.sub(b"", field)) is not None:
        raise ValueError("not escaped as in a line of watch_maildirs: {!r}".format(field[:200]))
    return os.fsdecode(_ESCAPED.sub(_unescape_one, field))


def _unescape_one(found: Match[bytes]) -> bytes:
    code = found.group(1)
    return _UNESCAPES.get(code) or bytes([int(code[1:], 16)])


def encode(change: Change) -> bytes:
    """Return a change as a line of the long protocol."""
    return b"\t".join([escape(change.mailbox), change.kind.encode(), escape(change.file)]) + b"\n"


def parse(line: bytes) -> Change:
    """Read one line of the long protocol, given without its newline.

    Raises ValueError where it is not one, which includes the empty line that comes first.
    """
    fields = line.split(b"\t")
    if len(fields) != 3:
        raise ValueError("not three fields: {!r}".format(line[:200]))
    mailbox, kind, file = unescape(fields[0]), fields[1].decode("ascii", "replace"), unescape(fields[2])
    if kind not in KINDS:
        raise ValueError("unknown kind: {!r}".format(line[:200]))
    if (mailbox == "") != (kind in (ALL, NOTE, HERE)) or (file != "" and kind in (MADE, GONE, ALL)):
        raise ValueError("a field that {!r} does not have: {!r}".format(kind, line[:200]))
    return Change(kind, mailbox, file)


class Long:
    """The long protocol as a form of telling."""

    all_line = encode(Change(ALL))

    def tell(self, change: Change) -> Tuple[List[bytes], List[str]]:
        """Return the lines for standard output and the notes for standard error."""
        return [encode(change)], []

    def widen(self, line: bytes) -> bytes:
        """Return a line that says less exactly what this one says, so that many become one."""
        mailbox, kind, _file = line.split(b"\t")
        if kind == b"written":
            return mailbox + b"\twritten\t\n"
        return mailbox + b"\tcontent\t\n" if kind in (b"content", b"taken") else line


class Plain:
    """The plain protocol as a form of telling."""

    all_line = b"\n"

    def __init__(self) -> None:
        self._remarked: Set[str] = set()

    def tell(self, change: Change) -> Tuple[List[bytes], List[str]]:
        """Return the lines for standard output and the notes for standard error."""
        if change.kind == NOTE:
            return [], [change.file]
        if change.kind != ALL:
            return [self._line(change.mailbox)], self._remarks([change.mailbox])
        if not change.mailboxes:
            return [self.all_line], []
        return [self._line(name) for name in change.mailboxes], self._remarks(change.mailboxes)

    def widen(self, line: bytes) -> bytes:
        """Return the line: it only names the mailbox."""
        return line

    def _line(self, mailbox: str) -> bytes:
        return self.all_line if "\n" in mailbox else os.fsencode(mailbox) + b"\n"

    def _remarks(self, mailboxes: Iterable[str]) -> List[str]:
        unspeakable = [name for name in mailboxes if "\n" in name and name not in self._remarked]
        if len(self._remarked) + len(unspeakable) > _MOST_REMEMBERED:
            self._remarked.clear()
        self._remarked.update(unspeakable)
        return [
            'the mailbox "{}" has a newline in its name, which a line cannot carry: an empty line tells of '
            "its changes; rename it".format(name)
            for name in unspeakable
        ]
