"""The connection to an IMAP account, shared by the store and its open mailbox."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mswatch.imap import commands
from mswatch.imap.commands import Command
from mswatch.imap.connection import State
from mswatch.imap.responses import Response
from mswatch.imap_session.session import RefusedError, Session
from mswatch.mailsync.stores.contract import MailboxError, Mark


@dataclass(frozen=True)
class ImapMark:
    """What stands for the content of a mailbox."""

    validity: int
    modseq: int
    next_uid: int
    count: int

    def __bytes__(self) -> bytes:
        return b"%d %d %d %d" % (self.validity, self.modseq, self.next_uid, self.count)

    @classmethod
    def read(cls, mark: Mark | None) -> ImapMark | None:
        """Read a mark; None for one that another version wrote."""
        parts = (mark or b"").split()
        return cls(*map(int, parts)) if len(parts) == 4 and all(map(bytes.isdigit, parts)) else None


class ImapAccount:
    """A session that is logged in, and which mailbox it has open."""

    def __init__(self, name: str, session: Session) -> None:
        self.name = name
        self.session = session
        self.selected: str | None = None  # the server's name of what SELECT opened last

    @property
    def has_modseq(self) -> bool:
        """Whether the server numbers changes (RFC 7162)."""
        return self.session.can("CONDSTORE") or self.session.can("QRESYNC")

    def ask(self, command: Command, *bodies: Iterable[bytes]) -> tuple[Response, ...]:
        """Do one thing for a mailbox.

        Raises:
            MailboxError: the server refused it.
        """
        try:
            return self.session.request(command, *bodies).responses
        except RefusedError as error:
            raise self.told(error) from None

    def told(self, error: RefusedError) -> MailboxError | RefusedError:
        """Return a refusal as an error of the mailbox, unless it ended the connection."""
        if self.session.connection.state is State.CLOSED:
            return error
        return MailboxError(f"store {self.name}: {error}", error.fix)

    def unselect(self) -> None:
        """Leave the open mailbox, and expunge nothing."""
        if self.selected is None:
            return
        self.selected = None
        if self.session.can("UNSELECT"):
            self.ask(commands.unselect())
        else:  # a SELECT that fails leaves no mailbox open (RFC 9051, 6.3.2)
            self.session.send(commands.select("no such mailbox here"))
            list(self.session.events())
