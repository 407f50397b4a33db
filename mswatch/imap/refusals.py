"""What a NO, a BAD or a BYE means: by its code (RFC 5530), by the server's own words, by the command.

Words of a server that is known by name come first, because codes are sometimes used for something else
(Gmail's OVERQUOTA is about bandwidth, Dovecot's UNAVAILABLE about connections).
"""

from __future__ import annotations

from mswatch.imap.quirks import UNKNOWN, Quirks, Refusal
from mswatch.imap.responses import Code, StatusKind

_BY_CODE = {
    "AUTHENTICATIONFAILED": Refusal.WRONG_CREDENTIALS,
    "AUTHORIZATIONFAILED": Refusal.NOT_ALLOWED,
    "EXPIRED": Refusal.EXPIRED,
    "PRIVACYREQUIRED": Refusal.NOT_ALLOWED,
    "CONTACTADMIN": Refusal.PERSON_NEEDED,
    "WEBALERT": Refusal.PERSON_NEEDED,  # Gmail's
    "NOPERM": Refusal.NOT_ALLOWED,
    "UNAVAILABLE": Refusal.BUSY,
    "INUSE": Refusal.BUSY,
    "SERVERBUG": Refusal.BUSY,
    "CORRUPTION": Refusal.BUSY,
    "LIMIT": Refusal.TOO_MUCH,
    "OVERQUOTA": Refusal.OVER_QUOTA,
    "TOOBIG": Refusal.TOO_BIG,
    "NONEXISTENT": Refusal.NO_MAILBOX,
    "TRYCREATE": Refusal.NO_MAILBOX,
    "ALREADYEXISTS": Refusal.EXISTS,
    "EXPUNGEISSUED": Refusal.EXPUNGED,
    "CLIENTBUG": Refusal.NOT_UNDERSTOOD,
}


def classify(
    kind: StatusKind, code: Code | None, text: str, *, command: str = "", quirks: Quirks = UNKNOWN
) -> Refusal:
    """Return why something was refused.  ``command`` is the one that was ended, empty for a BYE."""
    by_words = quirks.refusal(text)
    if by_words is not None:
        return by_words
    found = _BY_CODE.get(code.name) if code is not None else None
    is_login = command in ("LOGIN", "AUTHENTICATE")
    if found is Refusal.TOO_MUCH and (is_login or not command):
        return Refusal.TOO_MANY_CONNECTIONS
    if found is not None:
        return found
    if kind == "BAD":
        return Refusal.NOT_UNDERSTOOD
    if kind == "BYE":
        return Refusal.BUSY
    return Refusal.WRONG_CREDENTIALS if is_login else Refusal.OTHER
