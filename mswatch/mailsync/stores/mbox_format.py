r"""The bytes of an mbox: where messages begin, what programs keep in their headers, what is quoted.  Pure.

A message begins with a line ``From SENDER DATE``, and whatever such a line looks like inside of a message
must not look like it in the file.  Four things follow from that and from what programs write into headers:

* Only a line with a date that can be read begins a message, as c-client, mutt and Dovecot have it.  A file
  whose first line is none is no mbox.
* Dovecot and mutt quote nothing, and let Content-Length say where a message ends.  It is believed where
  another message or the file's end follows there, as they do: whoever sends a message can write one, and
  programs that edit a message leave it as it was.
* Lines of a message that begin with ``From`` and a blank, after any number of ``>``, are written with one
  ``>`` more and read with one less ("mboxrd"), so that a message is carried byte for byte.
* The fields in META belong to the file and not to the message: flags (Status, X-Status, X-Keywords), UIDs
  (X-UID, X-IMAP, X-IMAPbase) and lengths.  They are left out when a message is carried elsewhere.  A
  message from elsewhere that has such a field keeps it as ``X-Mailsync-Status``, so that it is neither taken
  for the message's flags nor lost.

Between two messages is an empty line that belongs to neither.  A message that does not end with a newline
gets one: an mbox cannot say that there was none.

The first message that c-client writes into an mbox, with its own notes, is no message (``is_pseudo``).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from hashlib import blake2b

from mswatch.mailsync.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, Flags
from mswatch.mailsync.stores.keywords import is_keyword

LINE_LIMIT = 1000  # bytes of a line that may begin a message
HEADER_LIMIT = 1 << 20  # bytes without an empty line that are no header any more
DIGEST_BYTES = 16

_SYSTEM = {SEEN, ANSWERED, FLAGGED, DELETED, DRAFT}
_X_STATUS = {b"A": ANSWERED, b"F": FLAGGED, b"D": DELETED, b"T": DRAFT}
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_FROM_LINE = re.compile(
    rb"From [^\n]*?\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? {1,3}(" + b"|".join(_MONTHS) + rb") {1,3}([0-9]{1,2})"
    rb" {1,3}([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?"
    rb"((?: {1,3}[A-Za-z+-][A-Za-z0-9+:-]{0,8}){0,2}) {1,3}([0-9]{4})\b([^\n]*)"
)
_FROM_LINE_RFC822 = re.compile(
    rb"From [^\n]*?\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), {1,3}([0-9]{1,2}) {1,3}(" + b"|".join(_MONTHS) + rb")"
    rb" {1,3}([0-9]{4}) {1,3}([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?(?![0-9:])([^\n]*)"
)
_OFFSET = re.compile(rb"(?<![^ ])([+-])([0-9]{2}):?([0-5][0-9])(?![^ \r])")
_WORLD_TIME = re.compile(rb"(?<![^ ])(?:GMT|UTC?|Z)(?![^ \r])")

_META_NAMES = rb"(?:status|x-status|x-keywords|x-uid|x-imap|x-imapbase|content-length)"
_FIELD_END = rb"[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*"
META = re.compile(rb"^" + _META_NAMES + _FIELD_END, re.I | re.M)
_FLAGS = re.compile(rb"^(status|x-status|x-keywords)[ \t]*:([^\n]*\n(?:[ \t][^\n]*\n)*)", re.I | re.M)
BASE = re.compile(rb"^(?:x-imap|x-imapbase)" + _FIELD_END, re.I | re.M)  # what the file as a whole has
_TO_KEEP = re.compile(rb"^(?=(?:x-mailsync-)*" + _META_NAMES + rb"[ \t]*:)", re.I | re.M)
_KEPT = re.compile(rb"^x-mailsync-(?=(?:x-mailsync-)*" + _META_NAMES + rb"[ \t]*:)", re.I | re.M)
_LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*([0-9]{1,15})[ \t]*\r?$", re.I | re.M)
_LINES = re.compile(rb"^lines" + _FIELD_END, re.I | re.M)
_FOLDED = re.compile(rb"(?:[ \t][^\n]*(?:\n|\Z))+")
_EMPTY_LINE = re.compile(rb"^\r?\n", re.M)
_PSEUDO = re.compile(
    rb"^subject:[ \t]*DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA[ \t]*\r?$", re.I | re.M
)

_TO_QUOTE = re.compile(rb"^(?=>*From )", re.M)
_QUOTED = re.compile(rb"^>(?=>*From )", re.M)
_UNDECIDED = re.compile(rb">*(?:F(?:r(?:om?)?)?)?")  # how a line begins that may have to be quoted


def begins_mbox(beginning: bytes) -> bool:
    """Tell whether a file that begins like this is an mbox, after empty lines if there are any."""
    text = beginning.lstrip(b"\r\n")
    return not text or is_from_line(text.partition(b"\n")[0])


def is_from_line(line: bytes) -> bool:
    """Tell whether a line begins a message."""
    line = line[:LINE_LIMIT]
    return _FROM_LINE.match(line) is not None or _FROM_LINE_RFC822.match(line) is not None


def date_of(from_line: bytes) -> int:
    """Return the date of a line that begins a message, in ns since 1970.

    Without a time zone it is local time, as mail programs write it.
    """
    match = _FROM_LINE.match(from_line[:LINE_LIMIT])
    if match is not None:
        month, day, hour, minute, second, zone, year, rest = match.groups()
    else:
        match = _FROM_LINE_RFC822.match(from_line[:LINE_LIMIT])
        if match is None:
            return 0
        (day, month, year, hour, minute, second, rest), zone = match.groups(), b""
    numbers = [int(year), _MONTHS.index(month) + 1, *(int(each or 0) for each in (day, hour, minute, second))]
    offset = _OFFSET.search(zone) or _OFFSET.search(rest)
    try:
        if offset is None and not (_WORLD_TIME.search(zone) or _WORLD_TIME.search(rest)):
            return int(time.mktime((*numbers, 0, 0, -1))) * 10**9  # type: ignore[arg-type]
        moment = datetime(*numbers, tzinfo=timezone.utc)  # type: ignore[misc,arg-type]
        if offset is not None:
            shift = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
            moment += -shift if offset[1] == b"+" else shift
        return int(moment.timestamp()) * 10**9
    except (OverflowError, ValueError):
        return 0


def from_line(date_ns: int, sender: bytes) -> bytes:
    """Return the line that begins a message received then."""
    seconds = min(max(date_ns // 10**9, 0), 253_000_000_000)  # years of four digits
    return b"From %b %b\n" % (sender, time.asctime(time.localtime(seconds)).encode())


def starts(chunks: Iterable[bytes]) -> Iterator[int]:
    """Give the place of each line of a file that begins a message."""
    held, base = b"\n", -1  # as if a line ended before the file
    for chunk in chunks:
        data = held + chunk
        found, kept = _starts_in(data, is_all=False)
        yield from (base + each for each in found)
        held, base = data[kept:], base + kept
    found, _ = _starts_in(held, is_all=True)
    yield from (base + each for each in found)


def _starts_in(data: bytes, *, is_all: bool) -> tuple[list[int], int]:
    """Return where messages begin, and from where on more of the file is needed to tell."""
    found: list[int] = []
    at = data.find(b"\nFrom ")
    while at >= 0:
        end = data.find(b"\n", at + 1, at + 1 + LINE_LIMIT)
        if end < 0 and len(data) - at <= LINE_LIMIT and not is_all:
            return found, at
        if is_from_line(data[at + 1 : end if end >= 0 else at + 1 + LINE_LIMIT]):
            found.append(at + 1)
        at = data.find(b"\nFrom ", at + 1)
    return found, max(0, len(data) - len(b"\nFrom"))


def end_of(tail: bytes) -> int:
    """Return how many of the last bytes before the next message do not belong to it: the empty line."""
    for empty in (b"\n", b"\r\n", b"\r"):  # the last where a file ends within it
        if tail == empty or tail.endswith(b"\n" + empty):
            return len(empty)
    return 0


def split(first: bytes) -> tuple[bytes, bytes]:
    """Split a message's first bytes into header and rest, which begins with the empty line, if any."""
    match = _EMPTY_LINE.search(first)
    return (first[: match.start()], first[match.start() :]) if match else (first, b"")


def length_of(header: bytes) -> int | None:
    """Return what Content-Length says."""
    match = _LENGTH.search(header)
    return int(match[1]) if match else None


def is_pseudo(header: bytes) -> bool:
    """Tell whether the first message of an mbox is c-client's own."""
    return _PSEUDO.search(header) is not None


def flags_of(header: bytes) -> Flags:
    """Return the flags that the header of a message in a file has."""
    found = set()
    for name, value in _FLAGS.findall(header):
        if name.lower() == b"status":
            found |= {SEEN} if b"R" in value else set()
        elif name.lower() == b"x-status":
            found |= {flag for letter, flag in _X_STATUS.items() if letter in value}
        else:
            found |= set(filter(is_keyword, value.decode("ascii", "replace").split()))
    return frozenset(found)


def storable(flags: Flags) -> Flags:
    """Return which of these flags can be kept."""
    return frozenset(flag for flag in flags if flag in _SYSTEM or is_keyword(flag))


def with_flags(header: bytes, flags: Flags, *, is_new: bool = False) -> bytes:
    """Return a header in a file with these flags and no others; without flags a new message stays new."""
    header = _FLAGS.sub(b"", header)
    if header and not header.endswith(b"\n"):
        header += b"\n"
    letters = b"".join(letter for letter, flag in _X_STATUS.items() if flag in flags)
    words = keywords(flags)
    if flags or not is_new:
        header += b"Status: RO\n" if SEEN in flags else b"Status: O\n"
    header += b"X-Status: %b\n" % letters if letters else b""
    return header + (b"X-Keywords: %b\n" % " ".join(words).encode() if words else b"")


def keywords(flags: Flags) -> list[str]:
    """Return those of the flags that have no letter."""
    return sorted(flag for flag in flags if flag not in _SYSTEM)


def with_keywords(base: bytes, flags: Flags, now: int) -> bytes:
    """Return the field that names the keywords of a file, with the names of these; empty: none is needed.

    Before them it has the UIDVALIDITY, which is the time (s) if there was none, and the last UID.
    """
    line = b" ".join(base.partition(b"\n")[0].split())
    missing = [word for word in keywords(flags) if word.encode() not in base.split()]
    if not missing:
        return base
    return (line or b"X-IMAPbase: %010d %010d" % (now, 0)) + b" " + " ".join(missing).encode() + b"\n"


def with_base(base: bytes, header: bytes) -> bytes:
    """Return a header with the field that names the keywords of its file, in place of the one it had.

    It stands first, but behind lines that begin with a blank: before them it would make them its own.
    """
    header = BASE.sub(b"", header)
    folded = _FOLDED.match(header)
    at = folded.end() if folded else 0
    between = b"\n" if at and header[at - 1 : at] != b"\n" else b""
    return header[:at] + between + base + header[at:]


def into_file(header: bytes) -> bytes:
    """Return the header of a message from elsewhere, with nothing that would be taken for the file's own."""
    return _TO_KEEP.sub(b"X-Mailsync-", header if header.endswith(b"\n") or not header else header + b"\n")


def from_file(header: bytes) -> bytes:
    """Return the header of a message in a file as it is carried elsewhere."""
    return _KEPT.sub(b"", META.sub(b"", header))


class _Lines:
    """A stream of chunks in which the beginnings of lines are edited."""

    def __init__(self, pattern: re.Pattern[bytes], by: bytes) -> None:
        self._pattern = pattern
        self._by = by
        self._held = b""
        self._in_line = False

    def feed(self, chunk: bytes, *, is_last: bool = False) -> bytes:
        data = self._held + chunk
        cut = len(data)
        if not is_last:
            begin = data.rfind(b"\n") + 1
            if (begin or not self._in_line) and _UNDECIDED.fullmatch(data, begin):
                cut = begin
        data, self._held = data[:cut], data[cut:]
        begin = data.find(b"\n") + 1 if self._in_line else 0
        if self._in_line and not begin:
            return data
        if data:
            self._in_line = not data.endswith(b"\n")
        if b"From " not in data:
            return data
        return data[:begin] + self._pattern.sub(self._by, data[begin:])


def quoted(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Give a message as it is written into a file."""
    return _edited(_Lines(_TO_QUOTE, b">"), chunks)


def unquoted(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Give a message of a file as it is carried elsewhere."""
    return _edited(_Lines(_QUOTED, b""), chunks)


def _edited(lines: _Lines, chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield lines.feed(chunk)
    yield lines.feed(b"", is_last=True)


def digest(from_line: bytes, chunks: Iterable[bytes]) -> bytes:
    """Return what a message is known by: its first line and its bytes as they are carried, in chunks.

    Not by the field Lines, which mutt writes into messages that it has looked at.
    """
    found = blake2b(from_line.strip() + b"\n", digest_size=DIGEST_BYTES)
    is_first = True
    for chunk in chunks:
        if is_first:
            header, rest = split(chunk)
            chunk, is_first = _LINES.sub(b"", header) + rest, False
        found.update(chunk)
    return found.hexdigest().encode()
