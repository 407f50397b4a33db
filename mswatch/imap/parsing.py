r"""What a frame says: ``parse`` makes a typed response from it, or raises ``ProtocolError`` and nothing else.

A FETCH of flags comes by the hundred thousand, so the five items that such answers are made of are read by
one pattern, in whatever order they come; everything else, and anything unusual in those, is read value by
value.

A status response may lack its text (some servers end the line after the code), and its code may be anything
in brackets; what is not understood in a code is kept as text and never an error, because the response itself
is what counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from mswatch.imap.errors import ProtocolError, UnfinishedError
from mswatch.imap.framing import Frame
from mswatch.imap.numbers import LARGEST, NumberSet
from mswatch.imap.reader import Reader, decode
from mswatch.imap.responses import (
    NOTHING,
    Capabilities,
    Code,
    Continuation,
    Enabled,
    Exists,
    Expunged,
    ExtendedSearch,
    Fetch,
    Flags,
    Identification,
    Listed,
    MailboxStatus,
    NamespaceEntry,
    Namespaces,
    Quota,
    Response,
    Search,
    Status,
    StatusKind,
    Tagged,
    Unknown,
    Value,
    Vanished,
)

_SYSTEM_FLAGS = {
    flag.lower(): flag for flag in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "\\Recent")
}
_FLAG_SETS_KEPT = 4096

_FETCH = re.compile(rb"\* +([0-9]{1,10}) +FETCH +\(", re.IGNORECASE)
# (name, number, list, string): one of the last three; then a blank, or the end.
_ITEM = re.compile(
    rb"(UID|FLAGS|MODSEQ|RFC822\.SIZE|INTERNALDATE) "
    rb'(?:([0-9]{1,19})|\(([^()"{]*)\)|"([^"\\]*)")(?: |(\)) *\Z)'
)
_UNTAGGED = re.compile(rb"\* +(?:([0-9]{1,10}) +)?([^ \[(]+) *")
_TAGGED = re.compile(rb"([^\x00-\x20(){%*\"\\+\x7f]+) +(OK|NO|BAD)(?: +|\Z)", re.IGNORECASE)
# A code ends at the first bracket that is in no string and no list: there are keywords with brackets.
_QUOTED = rb'"(?:[^"\\]|\\.)*"'
_CODE = re.compile(
    rb'\[([^\]\s]+)(?: ((?:[^\]"(]|' + _QUOTED + rb'|\((?:[^()"]|' + _QUOTED + rb")*\))*))?\] *"
)
_ANY_CODE = re.compile(rb"\[([^\]\s]+)(?: ([^\]]*))?\] *")  # where strings or lists have no end
_ORDERED_RANGE = re.compile(rb"([0-9]{1,10})(?::([0-9]{1,10}))?")
_SIZE = re.compile(rb"[0-9]{1,19}")
_WORDS_CODES = {"CAPABILITY", "PERMANENTFLAGS", "BADCHARSET"}
_NUMBER_CODES = {"UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ", "UNSEEN", "APPENDLIMIT"}
_KINDS = {b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"}

_flag_sets: dict[bytes, frozenset[str]] = {}  # a cache and nothing else; it is emptied when it is full


def parse(frame: Frame) -> Response:
    """Return what a frame says."""
    first = cast(bytes, frame[0])
    if first.startswith(b"* "):
        fetch = _FETCH.match(first)
        return _untagged(frame) if fetch is None else _fetch(frame, fetch)
    if first.startswith(b"+"):
        return Continuation(first[1:].lstrip(b" "))
    tagged = _TAGGED.match(first)
    if tagged is None:
        raise ProtocolError("a response was expected", first)
    code, text = _code_and_text(first[tagged.end() :])
    return Tagged(decode(tagged[1]), cast(StatusKind, tagged[2].upper().decode()), code, text)


def flag_set(text: bytes) -> frozenset[str]:
    """Return the flags in a text of flags with blanks between; system flags in their usual spelling."""
    flags = _flag_sets.get(text)
    if flags is None:
        if len(_flag_sets) >= _FLAG_SETS_KEPT:
            _flag_sets.clear()
        flags = _flag_sets[text] = frozenset(map(_flag, decode(text).split()))
    return flags


def _flag(text: str) -> str:
    return _SYSTEM_FLAGS.get(text.lower(), text)


# FETCH


def _fetch(frame: Frame, start: re.Match[bytes]) -> Fetch:
    text = start.string
    position = start.end()
    uid = modseq = size = date = flags = None
    while (item := _ITEM.match(text, position)) is not None:
        name, number, in_list, string, end = item.groups()
        if name == b"UID" and number:
            uid = int(number)
        elif name == b"FLAGS" and in_list is not None:
            flags = _flag_sets.get(in_list) or flag_set(in_list)
        elif name == b"MODSEQ" and in_list and in_list.isdigit():
            modseq = int(in_list)
        elif name == b"RFC822.SIZE" and number:
            size = int(number)
        elif name == b"INTERNALDATE" and string:
            date = string
        else:
            break
        if end:
            return _checked(Fetch(int(start[1]), uid, flags, modseq, size, date), text)
        position = item.end()
    if len(frame) == 3 and frame[2] == b")" and text.startswith(b"BODY[] {", position):
        body = cast(Value, frame[1])  # a message as most servers send it: its literal is the last thing
        return _checked(Fetch(int(start[1]), uid, flags, modseq, size, date, {"BODY[]": body}), text)
    begun = Fetch(int(start[1]), uid, flags, modseq, size, date)
    return _checked(_rest_of_fetch(Reader(frame, position), begun), text)


def parse_begun(text: bytes) -> Fetch:
    """Return what a FETCH says before the body that comes in pieces; its UID may come only after that."""
    start = _FETCH.match(text)
    if start is None:
        raise ProtocolError("a FETCH was expected", text)
    uid = modseq = size = date = flags = None
    position = start.end()
    while (item := _ITEM.match(text, position)) is not None:
        name, number, in_list, string, _ = item.groups()
        if name == b"UID" and number:
            uid = int(number)
        elif name == b"FLAGS" and in_list is not None:
            flags = flag_set(in_list)
        elif name == b"RFC822.SIZE" and number:
            size = int(number)
        elif name == b"INTERNALDATE" and string:
            date = string
        position = item.end()
    return _checked(Fetch(int(start[1]), uid, flags, modseq, size, date), text)


def _rest_of_fetch(reader: Reader, begun: Fetch) -> Fetch:
    """Read the items that follow, whatever they are."""
    number, uid, flags, modseq, size, date, _ = begun
    others: dict[str, Value] = {}
    while not reader.sees(b")"):
        if reader.is_at_end:
            raise UnfinishedError("the end of a FETCH was expected", reader.text)
        key = reader.fetch_key()
        if key == "UID":
            uid = reader.number()
        elif key == "FLAGS":
            flags = frozenset(map(_flag, reader.words()))
        elif key == "MODSEQ":
            modseq = _in_parentheses(reader)
        elif key == "RFC822.SIZE":
            value = reader.value()
            size = int(value) if isinstance(value, bytes) and _SIZE.fullmatch(value) else None
        elif key == "INTERNALDATE":
            date = reader.string()
        else:
            others[key] = reader.value()
    _expect_end(reader)
    return Fetch(number, uid, flags, modseq, size, date, others or NOTHING)


def _checked(fetch: Fetch, text: bytes) -> Fetch:
    if not 1 <= fetch[0] <= LARGEST or (fetch[1] is not None and not 1 <= fetch[1] <= LARGEST):
        raise ProtocolError("a message number is out of range", text)
    return fetch


def _in_parentheses(reader: Reader) -> int:
    reader.expect(b"(")
    number = reader.number()
    reader.expect(b")")
    return number


def _expect_end(reader: Reader) -> None:
    if not reader.is_at_end:
        raise reader.error("the end of the response")


# Status


def _code_and_text(text: bytes) -> tuple[Code | None, str]:
    found = _CODE.match(text) or _ANY_CODE.match(text)
    if found is None:
        return None, decode(text)
    return _code(decode(found[1]).upper(), found[2] or b""), decode(text[found.end() :])


def _code(name: str, arguments: bytes) -> Code:
    try:
        return _understood_code(name, arguments)
    except (ProtocolError, ValueError):  # what it says is lost, not the response that it came with
        return Code(name, decode(arguments))


def _understood_code(name: str, arguments: bytes) -> Code:
    text = decode(arguments)
    if name in _NUMBER_CODES:
        return Code(name, text, number=_plain_number(arguments))
    if name == "MODIFIED":
        return Code(name, text, numbers=NumberSet.parse(arguments))
    if name == "APPENDUID":
        validity, new = arguments.split()
        return Code(name, text, number=_plain_number(validity), ordered=_ordered(new))
    if name == "COPYUID":
        validity, old, new = arguments.split()
        return Code(name, text, number=_plain_number(validity), source=_ordered(old), ordered=_ordered(new))
    if name == "CAPABILITY":
        return Code(name, text, words=frozenset(text.upper().split()))
    if name == "PERMANENTFLAGS":
        return Code(name, text, words=flag_set(arguments.strip(b"()")))
    return Code(name, text)


def _plain_number(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19:
        raise ProtocolError("a number was expected", text)
    return int(text)


def _ordered(text: bytes) -> tuple[tuple[int, int], ...]:
    """Read a set in its order, which tells the new UID of each message (RFC 4315, 3: 4:2 means 2:4)."""
    found = []
    for part in text.split(b","):
        match = _ORDERED_RANGE.fullmatch(part)
        if match is None:
            raise ProtocolError("a set of UIDs was expected", text)
        first, last = sorted((int(match[1]), int(match[2] or match[1])))
        found.append((first, last))
    return tuple(found)


# Everything else


def _untagged(frame: Frame) -> Response:
    first = cast(bytes, frame[0])
    match = _UNTAGGED.match(first)
    if match is None:
        if first.startswith(b"* ["):
            return Unknown("")  # a code that belongs to no status
        raise ProtocolError("an untagged response was expected", first)
    word = match[2].upper()
    if match[1]:
        return _numbered(word, int(match[1]), first)
    if word in _KINDS:
        code, text = _code_and_text(first[match.end() :])
        return Status(cast(StatusKind, word.decode()), code, text)
    parser = _PARSERS.get(word)
    if parser is None:
        return Unknown(decode(word))
    reader = Reader(frame, match.end())
    response = parser(reader)
    _expect_end(reader)
    return response


def _numbered(word: bytes, number: int, text: bytes) -> Response:
    if word == b"EXISTS":
        if number > LARGEST:
            raise ProtocolError("more messages than there are numbers", text)
        return Exists(number)
    if word == b"EXPUNGE":
        if not 1 <= number <= LARGEST:
            raise ProtocolError("a message number is out of range", text)
        return Expunged(number)
    if word == b"FETCH":
        raise ProtocolError("a list of items was expected", text)
    return Unknown(decode(word))


def _capabilities(reader: Reader) -> Capabilities:
    return Capabilities(frozenset(decode(reader.rest()).upper().split()))


def _enabled(reader: Reader) -> Enabled:
    return Enabled(frozenset(decode(reader.rest()).upper().split()))


def _flags(reader: Reader) -> Flags:
    return Flags(frozenset(map(_flag, reader.words())))


def _vanished(reader: Reader) -> Vanished:
    earlier = reader.sees(b"(EARLIER)")
    reader.skip_blanks()
    return Vanished(earlier, NumberSet.parse(reader.rest().rstrip(b" ")))


def _search(reader: Reader) -> Search:
    numbers, _, modseq = reader.rest().partition(b"(")
    found = numbers.strip(b" ").replace(b" ", b",")
    while b",," in found:
        found = found.replace(b",,", b",")
    match = re.fullmatch(rb"MODSEQ ([0-9]{1,19})\) *", modseq, re.IGNORECASE) if modseq else None
    if modseq and match is None:
        raise reader.error("MODSEQ")
    return Search(NumberSet.parse(found) if found else NumberSet(), int(match[1]) if match else None)


def _extended_search(reader: Reader) -> ExtendedSearch:
    tag = None
    if reader.sees(b"("):
        reader.expect(b"TAG")
        tag = reader.name()
        reader.expect(b")")
    is_uid = False
    numbers: dict[str, int] = {}
    found = None
    while not reader.is_at_end:
        name = decode(reader.atom()).upper()
        if name == "UID":
            is_uid = True
        elif name == "ALL":
            found = NumberSet.parse(reader.atom())
        elif name == "MODSEQ" and reader.sees(b"("):
            numbers[name] = reader.number()
            reader.expect(b")")
        elif name in ("MIN", "MAX", "COUNT", "MODSEQ"):
            numbers[name] = reader.number()
        else:
            reader.value()
    get = numbers.get
    return ExtendedSearch(tag, is_uid, get("MIN"), get("MAX"), get("COUNT"), found, get("MODSEQ"))


def _listed(reader: Reader) -> Listed:
    attributes = frozenset(word.lower() for word in reader.words())
    separator = _separator(reader)
    name = reader.name()
    old_name: str | None = None
    child_info: tuple[str, ...] = ()
    if reader.sees(b"("):
        while not reader.sees(b")"):
            key = reader.name().upper()
            if key == "CHILDINFO":
                child_info = tuple(reader.words())
            elif key == "OLDNAME":
                reader.expect(b"(")
                old_name = reader.name()
                reader.expect(b")")
            else:
                reader.value()
    return Listed(name, separator, attributes, old_name, child_info)


def _subscription(reader: Reader) -> Listed:
    return replace(_listed(reader), is_subscription=True)


def _separator(reader: Reader) -> str | None:
    found = reader.string()
    if found is None:
        return None
    if len(found) != 1:
        raise reader.error("a separator of one character")
    return decode(found)


def _mailbox_status(reader: Reader) -> MailboxStatus:
    name = reader.name()
    reader.expect(b"(")
    items: dict[str, int] = {}
    while not reader.sees(b")"):
        key = decode(reader.atom()).upper()
        value = reader.value()
        if isinstance(value, bytes) and value.isdigit() and len(value) <= 19:
            items[key] = int(value)
    return MailboxStatus(name, items)


def _namespaces(reader: Reader) -> Namespaces:
    return Namespaces(_namespace(reader), _namespace(reader), _namespace(reader))


def _namespace(reader: Reader) -> tuple[NamespaceEntry, ...]:
    if not reader.sees(b"("):
        if reader.is_at_end or reader.string() is None:
            return ()
        raise reader.error("NIL or (")
    entries = []
    while not reader.sees(b")"):
        reader.expect(b"(")
        entries.append(NamespaceEntry(reader.name(), _separator(reader)))
        while not reader.sees(b")"):
            reader.value()  # extensions
    return tuple(entries)


def _identification(reader: Reader) -> Identification:
    if not reader.sees(b"("):
        reader.rest()
        return Identification({})
    fields = {}
    while not reader.sees(b")"):
        key, value = reader.name().lower(), reader.string()
        if value is not None:
            fields[key] = decode(value)
    return Identification(fields)


def _quota(reader: Reader) -> Quota:
    root = reader.name()
    reader.expect(b"(")
    resources = {}
    while not reader.sees(b")"):
        name = reader.name().upper()
        resources[name] = (reader.number(), reader.number())
    return Quota(root, resources)


_PARSERS: dict[bytes, Callable[[Reader], Response]] = {
    b"CAPABILITY": _capabilities,
    b"ENABLED": _enabled,
    b"FLAGS": _flags,
    b"VANISHED": _vanished,
    b"SEARCH": _search,
    b"ESEARCH": _extended_search,
    b"LIST": _listed,
    b"LSUB": _subscription,
    b"STATUS": _mailbox_status,
    b"NAMESPACE": _namespaces,
    b"ID": _identification,
    b"QUOTA": _quota,
}
