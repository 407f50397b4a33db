"""The connection to an IMAP account, shared by the store and its open mailbox.

While the messages of a mailbox come in, the next one is opened and its flags are asked for behind them, so
that many small mailboxes cost one round trip each.  Whoever wants something else meanwhile takes ``session``,
which first hears out what was sent ahead: no answer is ever taken for another question's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mswatch.imap import commands
from mswatch.imap.commands import Command
from mswatch.imap.connection import Event, State
from mswatch.imap.responses import Code, Response, StatusKind
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


@dataclass(frozen=True)
class Opening:
    """A mailbox that is being opened, and its flags asked for: the tags of both commands."""

    own_name: str
    select: str
    flags: str


class ImapAccount:
    """A session that is logged in, and which mailbox it has open."""

    def __init__(self, name: str, session: Session) -> None:
        self.name = name
        self.selected: str | None = None  # the server's name of what SELECT opened last
        self._session = session
        self._ahead: Opening | None = None
        self._next: deque[str] = deque()

    @property
    def session(self) -> Session:
        """The connection, with nothing under way."""
        if self._session.connection.in_flight:
            for _ in self._session.events():
                pass  # what was sent ahead, or what somebody left who gave up
            self._ahead = self.selected = None
        return self._session

    @property
    def is_over(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._session.is_over

    def can(self, *capabilities: str) -> bool:
        """Tell whether the server has all of these."""
        return self._session.can(*capabilities)

    @property
    def has_modseq(self) -> bool:
        """Whether the server numbers changes (RFC 7162)."""
        return self.can("CONDSTORE") or self.can("QRESYNC")

    @property
    def append_limit(self) -> int | None:
        """The most bytes that a message may have which is uploaded, where the server says so (RFC 7889)."""
        words = self._session.connection.capabilities or ()
        limits = [word.removeprefix("APPENDLIMIT=") for word in words if word.startswith("APPENDLIMIT=")]
        return min((int(limit) for limit in limits if limit.isascii() and limit.isdigit()), default=None)

    def refused(self, asked: str, kind: StatusKind, code: Code | None, text: str) -> RefusedError:
        """Return the error for a refusal."""
        return self._session.refused(asked, kind, code, text)

    def close(self) -> None:
        """End the connection."""
        self._session.link.close()

    def expect(self, own_names: Iterable[str]) -> None:
        """Note which mailboxes are opened next, in this order."""
        self._next = deque(own_names)

    def open(self, own_name: str) -> Opening:
        """Open a mailbox and ask for its flags, unless that was done ahead."""
        if own_name in self._next:
            while self._next.popleft() != own_name:
                pass
        opening, self._ahead = self._ahead, None
        if opening is None or opening.own_name != own_name:
            opening = self._send_opening(self.session, own_name)
        self.selected = None
        return opening

    def open_ahead(self) -> None:
        """Open the mailbox that is expected next behind what is under way."""
        if self._next and self._ahead is None:
            self._ahead = self._send_opening(self._session, self._next[0])

    def _send_opening(self, session: Session, own_name: str) -> Opening:
        select = session.send(commands.select(own_name, condstore=self.has_modseq))
        return Opening(own_name, select, session.send(commands.uid_fetch("1:*", ["FLAGS"])))

    def events_of(self, *tags: str) -> Iterator[Event]:
        """Yield what happens until these commands are over, and not what was sent ahead behind them."""
        is_heard_out = False
        try:
            yield from self._session.events_of(*tags)
            is_heard_out = True
        finally:
            if not is_heard_out:
                self._ahead = None  # it stands behind the rest, which ``session`` hears out

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
        if self._session.connection.state is State.CLOSED:
            return error
        return MailboxError(f"store {self.name}: {error}", error.fix)

    def unselect(self) -> None:
        """Leave the open mailbox, and expunge nothing."""
        if self.selected is None:
            return
        self.selected = None
        session = self.session
        if session.can("UNSELECT"):
            self.ask(commands.unselect())
        else:  # a SELECT that fails leaves no mailbox open (RFC 9051, 6.3.2)
            session.send(commands.select("no such mailbox here"))
            list(session.events())
