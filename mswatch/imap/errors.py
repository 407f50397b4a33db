"""What can go wrong in a conversation with a server, apart for what is to be done about it.

``ProtocolError`` is theirs: the server said what no server may say.  ``MisuseError`` is ours, a bug.  A
refusal (NO, BAD, BYE) is no error of the protocol; ``refusals.py`` tells what it means.
"""

from __future__ import annotations

from mswatch.errors import TemporaryError
from mswatch.showing import show

SHOWN_BYTES = 120


class ProtocolError(TemporaryError):
    """The server broke the protocol; the connection cannot be used any more, a new one may."""

    def __init__(self, what: str, found: bytes = b"") -> None:
        shown = show(found[:SHOWN_BYTES].decode("utf-8", "surrogateescape"))
        more = "..." if len(found) > SHOWN_BYTES else ""
        super().__init__(
            f"the IMAP server broke the protocol: {what}" + (f' in "{shown}{more}"' if found else ""),
            "it is tried again; if it stays so, report it with the name and version of the server",
        )


class UnfinishedError(ProtocolError):
    """A FETCH is not over where its line is."""


class EndedError(TemporaryError):
    """The server ended the connection without a word."""

    def __init__(self, where: str = "") -> None:
        super().__init__(f"the IMAP server ended the connection{where}", "it is tried again")


class MisuseError(RuntimeError):
    """The connection was asked for what the protocol does not allow now: a bug of the caller."""
