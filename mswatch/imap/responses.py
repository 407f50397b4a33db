"""What a server says, as frozen values; ``parsing.py`` makes them, one from each frame.

Names are those of the grammar in RFC 9051, section 9, and of the extensions' RFCs.  Mailbox names and flags
are ``str``; a byte that is no UTF-8 is a lone surrogate in it (PEP 383), as everywhere in mswatch.  A mailbox
name is what the server calls it and has been checked by nobody.  Those that come by the hundred thousand are
tuples, because that is the cheapest of all objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple, Union

from mswatch.imap.framing import Streamed
from mswatch.imap.numbers import NumberSet

StatusKind = Literal["OK", "NO", "BAD", "BYE", "PREAUTH"]

# NIL is None; numbers and atoms are bytes as strings are; a list holds values.
Value = Union[bytes, Streamed, None, list["Value"]]  # noqa: UP007 - `|` with a string is no type in 3.10

NOTHING: Mapping[str, Value] = MappingProxyType({})


@dataclass(frozen=True)
class Code:
    """A response code (RFC 9051, 7.1) with its arguments as far as they are understood."""

    name: str  # in upper case
    text: str = ""  # the arguments as they came
    number: int | None = None  # UIDNEXT and others; the UIDVALIDITY in APPENDUID and COPYUID
    numbers: NumberSet | None = None  # MODIFIED, and the messages that were copied
    ordered: tuple[tuple[int, int], ...] = ()  # APPENDUID and COPYUID: the new UIDs as ranges, in their order
    source: tuple[tuple[int, int], ...] = ()  # COPYUID: the old UIDs, in their order
    words: frozenset[str] = frozenset()  # CAPABILITY (upper case), PERMANENTFLAGS


@dataclass(frozen=True)
class Status:
    """An untagged status response; the greeting is one, too."""

    kind: StatusKind
    code: Code | None
    text: str


@dataclass(frozen=True)
class Tagged:
    """The end of a command."""

    tag: str
    kind: StatusKind
    code: Code | None
    text: str


@dataclass(frozen=True)
class Continuation:
    """The server waits for more of a command; ``text`` is a challenge in base64 in an AUTHENTICATE."""

    text: bytes


@dataclass(frozen=True)
class Capabilities:
    """What the server can, in upper case."""

    names: frozenset[str]


@dataclass(frozen=True)
class Enabled:
    """What was switched on by ENABLE (RFC 5161), in upper case."""

    names: frozenset[str]


@dataclass(frozen=True)
class Flags:
    """The flags that messages of the selected mailbox may have."""

    flags: frozenset[str]


@dataclass(frozen=True)
class Exists:
    """How many messages the selected mailbox has."""

    count: int


@dataclass(frozen=True)
class Expunged:
    """The message with this sequence number is gone, and those behind it moved up."""

    number: int


@dataclass(frozen=True)
class Vanished:
    """Messages are gone (RFC 7162, 3.2.10); ``earlier`` when it was before the mailbox was selected."""

    earlier: bool
    uids: NumberSet


class Fetch(NamedTuple):
    """What was fetched of a message, or what somebody else changed in it."""

    number: int
    uid: int | None = None
    flags: frozenset[str] | None = None
    modseq: int | None = None
    size: int | None = None  # RFC822.SIZE
    internal_date: bytes | None = None  # dates.parse reads it
    others: Mapping[str, Value] = NOTHING  # everything else by its name in upper case: "BODY[]"

    def body(self, section: str = "BODY[]") -> bytes | Streamed | None:
        """Return a fetched section: its bytes, or that it came in pieces; None when it is not there."""
        value = self.others.get(section)
        return None if isinstance(value, list) else value


@dataclass(frozen=True)
class Search:
    """The messages that were found; ``modseq`` is the highest of them (RFC 7162, 3.1.5)."""

    numbers: NumberSet
    modseq: int | None = None


@dataclass(frozen=True)
class ExtendedSearch:
    """The answer to SEARCH RETURN (RFC 9051, 7.3.4); what was not asked for, or found nothing, is None."""

    tag: str | None
    is_uid: bool
    smallest: int | None = None
    largest: int | None = None
    count: int | None = None
    all: NumberSet | None = None
    modseq: int | None = None


@dataclass(frozen=True)
class Listed:
    """A mailbox of a LIST or LSUB, by the server's own name."""

    name: str
    separator: str | None  # None: there are no levels
    attributes: frozenset[str]  # in lower case: \\noselect, \\sent
    old_name: str | None = None  # it was renamed (RFC 5465)
    child_info: tuple[str, ...] = ()  # what RECURSIVEMATCH found below
    is_subscription: bool = False  # of a LSUB: it need not be there


@dataclass(frozen=True)
class MailboxStatus:
    """Counters of a mailbox: MESSAGES, UIDNEXT, UIDVALIDITY, UNSEEN, HIGHESTMODSEQ, SIZE ..."""

    name: str
    items: Mapping[str, int]


@dataclass(frozen=True)
class NamespaceEntry:
    """A prefix under which mailboxes are, and what stands between levels there."""

    prefix: str
    separator: str | None


@dataclass(frozen=True)
class Namespaces:
    """The namespaces of the user, of other users, and shared ones (RFC 2342)."""

    personal: tuple[NamespaceEntry, ...]
    others: tuple[NamespaceEntry, ...]
    shared: tuple[NamespaceEntry, ...]


@dataclass(frozen=True)
class Identification:
    """What the server says about itself (RFC 2971); keys in lower case."""

    fields: Mapping[str, str]


@dataclass(frozen=True)
class Quota:
    """How much is used and allowed (RFC 9208), by resource in upper case; STORAGE counts in KiB."""

    root: str
    resources: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Unknown:
    """An untagged response of a kind that is not known here; servers may send such (RFC 9051, 2.2.2)."""

    name: str


Response = (
    Status
    | Tagged
    | Continuation
    | Capabilities
    | Enabled
    | Flags
    | Exists
    | Expunged
    | Vanished
    | Fetch
    | Search
    | ExtendedSearch
    | Listed
    | MailboxStatus
    | Namespaces
    | Identification
    | Quota
    | Unknown
)
