"""What the old program remembered (``msinfo``), and by what it knew a message again.  Pure.

A message in a mailbox, for each channel: From mailsync, with the channel as its subject.  Its body has the
boxname of each mailbox on a line of its own, then a line for each id: ``<id>``, or by the method md5
``<>, md5: <HEX>``.  A line that does not begin with ``<`` is a boxname, an empty one too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from email.utils import getaddresses
from hashlib import md5

EMPTY = "<>"  # what the old program made of a missing id: worth nothing
Memory = Mapping[str, frozenset[str]]  # by boxname: ids, those of md5 as ``md5:HEX``


def memory(body: bytes) -> dict[str, frozenset[str]]:
    """Read the body of a channel's message."""
    found: dict[str, set[str]] = {}
    ids: set[str] | None = None
    lines = body.decode("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n")
    for number, line in enumerate(lines):
        if not line.startswith("<"):
            if line or number < len(lines) - 1:
                ids = found.setdefault(line, set())
            continue
        if ids is None:
            continue  # an id of no mailbox
        digest = re.search(r"> *, *md5: *<([0-9a-f]{32})>", line)
        name = f"md5:{digest[1]}" if digest else line.partition(">")[0] + ">"
        if name != EMPTY:
            ids.add(name)
    # The empty line at the end is the end of the message, unless ids follow it.
    if not found.get("", True):
        del found[""]
    return {box: frozenset(names) for box, names in found.items()}


def of_channel(messages: Iterable[tuple[bytes, bytes]], channel: str) -> bytes | None:
    """Return the body of the channel's message among (header, body) pairs; None if there is none."""
    for header, body in messages:
        found = fields(header)
        if found.get("subject", "").strip() == channel and _mailbox(found.get("from", "")).startswith(
            "mailsync"
        ):
            return body
    return None


def message_id(header: bytes) -> str:
    """Return the Message-ID with the repairs of the old program; ``<>`` if there is none.

    Blanks before it go, brackets that are missing come, blanks in it become dots, and what is behind the
    first ``>`` does not count.
    """
    inner = fields(header).get("message-id", "").lstrip(_WHITE).removeprefix("<").partition(">")[0]
    return "<" + _BLANK.sub(".", inner) + ">"


def digest(header: bytes) -> str:
    """Return the id of the method md5; empty if nothing that it is made of is there."""
    found = fields(header)
    parts = [
        found.get(name, "").lstrip(_WHITE).replace("\t", " ") for name in ("date", "subject", "message-id")
    ]
    parts += [address for name in ("from", "to") for address in _addresses(found.get(name, ""))]
    joined = "".join(parts).encode("utf-8", "surrogateescape")
    return f"md5:{md5(joined, usedforsecurity=False).hexdigest()}" if joined else ""


def ids(header: bytes) -> tuple[str, str]:
    """Return both ids of a message; an empty text where one is worth nothing."""
    name = message_id(header)
    return (name if name != EMPTY else "", digest(header))


_BLANK = re.compile(r"[\x00-\x20\x7f]")
_WHITE = " \t\r\n"
_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:[ \t]?([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)", re.MULTILINE)


def fields(header: bytes) -> dict[str, str]:
    """Return the first of each field of a header, by its name in small letters, its lines joined."""
    found: dict[str, str] = {}
    for name, value in _FIELD.findall(header):
        text = re.sub(rb"\r?\n", b"", value).decode("utf-8", "surrogateescape")
        found.setdefault(name.decode("ascii").lower(), text)
    return found


def _addresses(field: str) -> list[str]:
    return [address for _, address in getaddresses([field]) if "@" in address]


def _mailbox(sender: str) -> str:
    return (getaddresses([sender]) or [("", "")])[0][1] or sender.strip()
