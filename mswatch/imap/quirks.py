"""The habits of known servers, by the server's name; each has its transcript in tests/imap/transcripts.

A server is recognised by its greeting, its answer to ID and its capabilities, never by its host name.  What
is here is what no capability tells; everything else is asked of the capabilities, and a server that nobody
knows is simply one without habits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Refusal(Enum):
    """Why a server refused something, apart for what can be done about it."""

    WRONG_CREDENTIALS = "the user name or the password is wrong"
    EXPIRED = "the password or token has expired"
    PERSON_NEEDED = "the provider wants the person to do something first"
    NOT_ALLOWED = "it is not allowed"
    TOO_MANY_CONNECTIONS = "too many connections"
    TOO_MUCH = "more was asked for than the server gives in one day or hour"
    BUSY = "the server cannot do it now"
    OVER_QUOTA = "the account is full"
    TOO_BIG = "the message is too big for the server"
    NO_MAILBOX = "there is no such mailbox"
    EXISTS = "it exists already"
    EXPUNGED = "some of the messages are gone"
    NOT_UNDERSTOOD = "the server does not understand the command"
    OTHER = "the server refused"


@dataclass(frozen=True)
class Quirks:
    """What is different with a server.  ``texts`` tell refusals that have no code, or a misleading one."""

    name: str = "unknown"
    sizes_are_estimates: bool = False  # RFC822.SIZE is not the size of BODY[]
    uids_may_be_renewed: bool = False  # the same messages come back under another UIDVALIDITY
    has_labels: bool = False  # a message is in several mailboxes; expunging it from one is no deletion
    notify_misses_deliveries: bool = False  # NOTIFY is not told of what other programs put into a mailbox
    hides_inbox_prefix: bool = False  # all mailboxes but INBOX are below INBOX
    texts: tuple[tuple[re.Pattern[str], Refusal], ...] = ()

    def refusal(self, text: str) -> Refusal | None:
        """Return what a server's own words mean; None when they are not known."""
        return next((refusal for pattern, refusal in self.texts if pattern.search(text)), None)


def _texts(*pairs: tuple[str, Refusal]) -> tuple[tuple[re.Pattern[str], Refusal], ...]:
    return tuple((re.compile(pattern, re.IGNORECASE), refusal) for pattern, refusal in pairs)


UNKNOWN = Quirks()

GMAIL = Quirks(
    "Gmail",
    has_labels=True,
    texts=_texts(
        (r"too many simultaneous connections", Refusal.TOO_MANY_CONNECTIONS),
        (r"exceeded (command or )?bandwidth limits", Refusal.TOO_MUCH),  # comes as [OVERQUOTA]
        (
            r"application-specific password required|web login required|log in via your web",
            Refusal.PERSON_NEEDED,
        ),
        (r"invalid credentials", Refusal.WRONG_CREDENTIALS),
        (r"^(system error|lookup failed|temporary (problem|system))", Refusal.BUSY),
    ),
)

EXCHANGE = Quirks(
    "Exchange",
    sizes_are_estimates=True,
    texts=_texts(
        # A login that succeeded for a mailbox that cannot be opened: throttled, moving, or not permitted.
        (r"authenticated but not connected", Refusal.BUSY),
        (r"accesstokenexpired|session invalidated", Refusal.EXPIRED),
        (r"server unavailable|connection is closed|too busy|throttl", Refusal.BUSY),
        (r"(authenticate|login) failed", Refusal.WRONG_CREDENTIALS),
    ),
)

DOVECOT = Quirks(
    "Dovecot",
    notify_misses_deliveries=True,
    texts=_texts(
        (r"maximum number of connections", Refusal.TOO_MANY_CONNECTIONS),  # comes as [UNAVAILABLE] or [LIMIT]
        (r"temporary authentication failure|internal error occurred", Refusal.BUSY),
    ),
)

CYRUS = Quirks(
    "Cyrus",
    texts=_texts(
        (r"mailbox is locked|server unavailable", Refusal.BUSY),
        (r"too many open connections", Refusal.TOO_MANY_CONNECTIONS),
        (r"over quota", Refusal.OVER_QUOTA),
        (r"mailbox does not exist", Refusal.NO_MAILBOX),
        (r"mailbox already exists", Refusal.EXISTS),
        (r"permission denied", Refusal.NOT_ALLOWED),
    ),
)

COURIER = Quirks(
    "Courier",
    hides_inbox_prefix=True,
    texts=_texts(
        (r"maximum connection limit reached", Refusal.TOO_MANY_CONNECTIONS),
        (r"login failed", Refusal.WRONG_CREDENTIALS),
        (r"unable to open this mailbox|mailbox does not exist", Refusal.NO_MAILBOX),
        (r"error in imap command", Refusal.NOT_UNDERSTOOD),
    ),
)

PROTON = Quirks(
    "Proton Mail Bridge",
    uids_may_be_renewed=True,
    texts=_texts(
        (r"no such user|incorrect login credentials", Refusal.WRONG_CREDENTIALS),
        (r"no such mailbox", Refusal.NO_MAILBOX),
        (r"too many login attempts", Refusal.BUSY),
    ),
)

_GREETINGS = (
    (re.compile(r"^Gimap ready|Gimap"), GMAIL),
    (re.compile(r"Microsoft Exchange"), EXCHANGE),
    (re.compile(r"gluon session|Proton ?Mail ?Bridge"), PROTON),
    (re.compile(r"Courier-IMAP"), COURIER),
    (re.compile(r"Cyrus IMAP"), CYRUS),
    (re.compile(r"^Dovecot"), DOVECOT),
)
_NAMES = (
    (re.compile(r"^gimap", re.IGNORECASE), GMAIL),
    (re.compile(r"exchange", re.IGNORECASE), EXCHANGE),
    (re.compile(r"proton", re.IGNORECASE), PROTON),
    (re.compile(r"^cyrus", re.IGNORECASE), CYRUS),
    (re.compile(r"^dovecot", re.IGNORECASE), DOVECOT),
    (re.compile(r"^courier", re.IGNORECASE), COURIER),
)


def recognise(
    greeting: str = "",
    capabilities: frozenset[str] | None = None,
    identification: Mapping[str, str] | None = None,
) -> Quirks:
    """Return the habits of a server, from what is known of it so far."""
    if capabilities and "X-GM-EXT-1" in capabilities:
        return GMAIL
    name = (identification or {}).get("name", "")
    for patterns, text in ((_NAMES, name), (_GREETINGS, greeting)):
        for pattern, quirks in patterns:
            if text and pattern.search(text):
                return quirks
    return UNKNOWN
