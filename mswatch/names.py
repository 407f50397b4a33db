"""Mailbox names: the canonical form, the stores' own forms, and patterns over them.

Everywhere inside mswatch a mailbox has its canonical name: ``INBOX``, ``lists/python``; UTF-8, ``/`` between
the levels.  Stores and syncers have names of their own (``lists.python``, ``Entw&APw-rfe``); this is
the only file that translates.  A byte that is no UTF-8 lives in a ``str`` as a lone surrogate (PEP 383) and
comes out unchanged, so that no mailbox is unreachable for its name.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Literal

Encoding = Literal["utf-8", "utf-7"]  # utf-7 is IMAP's modified UTF-7 (RFC 3501, 5.1.3)


@dataclass(frozen=True)
class NameForm:
    """How a store or a syncer writes mailbox names."""

    separator: str = "/"
    encoding: Encoding = "utf-8"
    own_names: tuple[tuple[str, str], ...] = ()  # (own name, canonical name) pairs that follow no rule


CANONICAL = NameForm()  # of who writes names as we do

# What a server may say that a mailbox is for, whatever it is called (RFC 6154, RFC 8457, IANA's registry).
USES = tuple(
    f"\\{word}"
    for word in (
        *("All", "Archive", "Drafts", "Flagged", "Important", "Junk", "Memos", "Scheduled", "Sent"),
        *("Snoozed", "Trash"),
    )
)


def as_use(text: str) -> str | None:
    """Return the use that a text names, as it is spelt in USES; None if it names none."""
    return _USES.get(text.lower())


_USES = {use.lower(): use for use in USES}


@dataclass(frozen=True)
class Pattern:
    """A mailbox pattern with the wildcards of IMAP's LIST (RFC 9051, 6.3.9).

    ``*`` stands for anything, ``%`` for anything within one level; everything else stands for itself.
    """

    text: str
    literal: bool = False  # True for the names of an old rc file, which knew no wildcards
    _regex: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = {"*": ".*", "%": "[^/]*"} if not self.literal else {}
        regex = "".join(parts.get(character, re.escape(character)) for character in self.text)
        object.__setattr__(self, "_regex", re.compile(regex, re.DOTALL))

    def matches(self, mailbox: str) -> bool:
        """Tell whether the whole of a canonical name matches."""
        return self._regex.fullmatch(mailbox) is not None


def canonical(own_name: str, form: NameForm) -> str:
    """Return the canonical name of a mailbox that a store calls ``own_name``.  Never fails.

    Some names meet in one canonical name, because no rule can keep them apart:

    * ``R&D`` and ``R&-D``, ``Entwürfe`` and ``Entw&APw-rfe`` in a utf-7 form: the first of each pair is no
      modified UTF-7, so it stands for itself;
    * ``a/b`` and ``a.b`` where the separator is ``.``;
    * a mailbox whose canonical name was given to another one by hand.

    ``own`` answers for such twins with the conforming spelling, or with the one given by hand.
    """
    for given, name in form.own_names:
        if given == own_name:
            return name
    decoded = decode_utf7(own_name) if form.encoding == "utf-7" else None
    return (own_name if decoded is None else decoded).replace(form.separator, "/")


def own(name: str, form: NameForm) -> str | None:
    """Return what a store calls a mailbox; None when it cannot have a mailbox of that name.

    ``canonical(own(name, form), form) == name`` holds for every name returned.
    """
    for given, canonical_name in form.own_names:
        if canonical_name == name:
            return given
    spelt = name.replace("/", form.separator)
    encoded = encode_utf7(spelt) if form.encoding == "utf-7" else None
    own_name = spelt if encoded is None else encoded
    return own_name if canonical(own_name, form) == name else None


def decode_utf7(text: str) -> str | None:
    """Decode IMAP's modified UTF-7 (RFC 3501, 5.1.3); None when the text is not exactly that.

    There is one way to write each name, so encoding the result must give the text again: that finds the lone
    ``&``, the encoded letter, the superfluous shift and the set padding bit in one comparison.
    """
    try:
        decoded = _SHIFTED.sub(_decode_shifted, text)
    except ValueError:
        return None
    return decoded if encode_utf7(decoded) == text else None


def encode_utf7(text: str) -> str | None:
    """Encode in IMAP's modified UTF-7; None when the text holds a byte that is no UTF-8."""
    try:
        return _TO_BE_SHIFTED.sub(_encode_shifted, text)
    except UnicodeEncodeError:
        return None


_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")
_TO_BE_SHIFTED = re.compile(r"&|[^\x20-\x7e]+")


def _decode_shifted(match: re.Match[str]) -> str:
    digits = match[1].replace(",", "/")
    padding = "=" * (-len(digits) % 4)
    return base64.b64decode(digits + padding).decode("utf-16-be") or "&"


def _encode_shifted(match: re.Match[str]) -> str:
    if match[0] == "&":
        return "&-"
    digits = base64.b64encode(match[0].encode("utf-16-be")).decode("ascii")
    return "&" + digits.rstrip("=").replace("/", ",") + "-"
