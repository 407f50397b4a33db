"""One of the connections to an IMAP account, and to whom each answer on it belongs.

An *inquiry* is commands that were sent together.  What comes belongs to the oldest one that is not over: its
commands may be answered together (Dovecot tells the ends of several FETCHes when it has done all of them),
so nothing is sent behind an inquiry that is under way but one that begins with SELECT, before which a server
has to end everything, or with making the mailbox for it, which tells nothing but its own end.  Inquiries may
be sent long before anybody wants their answers; who needs the connection meanwhile has what comes first kept
for them, up to a limit, and what is not wanted any more is let pass.  No answer is ever taken for another
question's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mswatch.errors import TemporaryError
from mswatch.imap.commands import Command
from mswatch.imap.connection import Done, Event
from mswatch.imap.framing import BodyChunk
from mswatch.imap.responses import Fetch
from mswatch.imap_session.link import Link
from mswatch.imap_session.session import RefusedError, Session

KEPT_BYTES = 8 << 20  # on one connection; what is more is let pass and asked for anew
EVENT_BYTES = 500  # what an event costs beside the bodies in it


@dataclass(eq=False)
class Inquiry:
    """Commands that were sent together: their tags, and what was heard before it was wanted."""

    lane: Lane
    tags: list[str] = field(default_factory=list)
    is_wanted: bool = True
    is_lost: bool = False  # too much came before it was wanted
    _over: set[str] = field(default_factory=set)  # the tags whose end somebody has heard
    _heard: deque[Event] = field(default_factory=deque)
    _size: int = 0

    def events(self, *tags: str) -> Iterator[Event]:
        """Yield what happens until these of its commands are over; nothing if they are already.

        Some servers tell the end of each command before they begin with the next one, others tell several
        together: whoever waits for several may have heard of some already.
        """
        waiting = set(tags) - self._over
        while waiting:
            if self.is_lost:
                raise TemporaryError("more came from the server than was kept", "it is tried again")
            event = self._heard.popleft() if self._heard else self.lane.next_of(self)
            if self._size and not self._heard:
                self._release()
            if isinstance(event, Done):
                waiting.discard(event.tag)
                self._over.add(event.tag)
            yield event

    def begin(self) -> None:
        """Wait until something of it has come."""
        if not self._heard:
            self.keep(self.lane.next_of(self))

    def put_back(self, event: Event) -> None:
        """Have an event come again."""
        self._heard.appendleft(_lasting(event))

    def let_go(self) -> None:
        """Want nothing of it any more."""
        self.is_wanted = False
        self._release()

    def keep(self, event: Event) -> None:
        """Keep an event until it is wanted."""
        if not self.is_wanted or self.is_lost:
            return
        size = EVENT_BYTES
        if isinstance(event, BodyChunk):
            size += len(event.data)
        elif isinstance(event, Fetch):
            size += sum(len(value) for value in event.others.values() if isinstance(value, bytes))
        if self.lane.kept_bytes + size > KEPT_BYTES:
            self.is_lost = True
            self._release()
            return
        self._size += size
        self.lane.kept_bytes += size
        self._heard.append(_lasting(event))

    def _release(self) -> None:
        self._heard.clear()
        self.lane.kept_bytes -= self._size
        self._size = 0


class Lane:
    """A session that is logged in, and which mailbox it has open."""

    def __init__(self, session: Session, *, is_spare: bool = False) -> None:
        """Begin with a session; ``is_spare`` when the run can do without it, whatever the server says."""
        self.selected: str | None = None  # the server's name of the mailbox that is open for certain
        self.selecting: Inquiry | None = None  # the last one that opened a mailbox
        self.kept_bytes = 0
        self._is_spare = is_spare
        self._session = session
        self._sent: dict[str, Inquiry] = {}  # by tag, in the order of sending

    @property
    def session(self) -> Session:
        """The connection, with nothing under way."""
        self.hear_out()
        return self._session

    def hear_out(self) -> None:
        """Wait until nothing is under way; what is wanted is kept."""
        while self._session.connection.in_flight:
            owner, event = self._next()
            if owner is not None:
                owner.keep(event)

    @property
    def is_over(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._session.is_over

    @property
    def link(self) -> Link:
        """The way to the server."""
        return self._session.link

    def ask(self, *commands: Command) -> Inquiry:
        """Send commands behind what is under way."""
        inquiry = Inquiry(self)
        for command in commands:
            self.ask_more(inquiry, command)
        return inquiry

    def ask_more(self, inquiry: Inquiry, command: Command, *bodies: Iterable[bytes]) -> str:
        """Send a command with the last inquiry, and return its tag; ``bodies`` are those of its uploads."""
        tag = self._session.send(command, *bodies)
        inquiry.tags.append(tag)
        self._sent[tag] = inquiry
        return tag

    def push(self) -> None:
        """Send what can be sent without waiting."""
        self._session.push()

    def next_of(self, inquiry: Inquiry) -> Event:
        """Wait for the next event of an inquiry; what belongs to others is kept for them."""
        while True:
            owner, event = self._next()
            if owner is inquiry:
                return event
            if owner is not None:
                owner.keep(event)

    def _next(self) -> tuple[Inquiry | None, Event]:
        try:
            event = self._session.next_event()
        except RefusedError as error:  # BYE
            if self._is_spare:
                raise TemporaryError(str(error), "it is tried again") from None
            raise
        if isinstance(event, Done):
            return self._sent.pop(event.tag, None), event
        return next(iter(self._sent.values()), None), event

    def close(self) -> None:
        """End the connection."""
        self._session.link.close()


def _lasting(event: Event) -> Event:
    """Return an event that outlasts the next ones."""
    return event._replace(data=memoryview(bytes(event.data))) if isinstance(event, BodyChunk) else event
