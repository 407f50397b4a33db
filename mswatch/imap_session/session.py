"""Commands and events over a link: sends what the connection wants sent, waits for what comes.

``send`` queues a command, and ``events`` yields what happens until all commands are over; ``request`` does
both for one command and makes an error of a refusal.  Commands that do not need each other's answers are
sent together and cost one round trip; ``turns`` counts how often we waited for the server after having
spoken, so that tests can hold the number of round trips of everything.

Bodies to be uploaded are iterables of bytes, taken as the server takes them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType

from mswatch.errors import (
    EXIT_CONFIG,
    EXIT_TEMPORARY,
    EXIT_UNAVAILABLE,
    MswatchError,
    TemporaryError,
)
from mswatch.imap import commands
from mswatch.imap.commands import Command, Upload
from mswatch.imap.connection import Connection, Done, Event, State
from mswatch.imap.errors import EndedError
from mswatch.imap.framing import BodyChunk
from mswatch.imap.quirks import Quirks, Refusal, recognise
from mswatch.imap.refusals import classify
from mswatch.imap.responses import Code, Identification, Response, Status, StatusKind
from mswatch.imap_session.link import Link
from mswatch.showing import show

# Compression pays where bytes are slower than the server's deflate: not on loopback or a local network.
PAYS_FROM_ROUND_TRIP_S = 0.005
PAYS_FROM_BYTES = 256 << 10

_ADVICE = {
    Refusal.WRONG_CREDENTIALS: "check user name and password; it is not tried again before the next sync",
    Refusal.EXPIRED: "get a new password or token",
    Refusal.PERSON_NEEDED: "log in with a browser and do what the provider asks for",
    Refusal.NOT_ALLOWED: "the server's administrator decides about it",
    Refusal.TOO_MANY_CONNECTIONS: "end other mail programs, or allow this one fewer connections",
    Refusal.TOO_MUCH: "it works again later",
    Refusal.BUSY: "it is tried again",
    Refusal.OVER_QUOTA: "delete something on the server",
}
_STATUSES = {
    Refusal.WRONG_CREDENTIALS: EXIT_CONFIG,
    Refusal.EXPIRED: EXIT_CONFIG,
    Refusal.PERSON_NEEDED: EXIT_CONFIG,
    Refusal.TOO_MANY_CONNECTIONS: EXIT_TEMPORARY,
    Refusal.TOO_MUCH: EXIT_TEMPORARY,
    Refusal.BUSY: EXIT_TEMPORARY,
}


class RefusedError(MswatchError):
    """The server refused something; ``refusal`` says of which kind, for the caller to decide."""

    def __init__(self, place: str, asked: str, refusal: Refusal, code: Code | None, text: str) -> None:
        said = show(f"[{code.name}] {text}" if code is not None else text)
        super().__init__(f'{place}: {asked}: {refusal.value} ("{said}")', _ADVICE.get(refusal, ""))
        self.refusal = refusal
        self.code = code
        self.text = text
        self.exit_status = _STATUSES.get(refusal, EXIT_UNAVAILABLE)


@dataclass(frozen=True)
class Answer:
    """What came until a command was over, and how it ended."""

    done: Done
    responses: tuple[Response, ...]


class Session:
    """One connection to a server.  Use as a context manager; leaving it ends the connection at once."""

    def __init__(self, link: Link, connection: Connection) -> None:
        self.connection = connection
        self.link = link
        self.quirks: Quirks = recognise()
        self.turns = 0  # how often we waited after having spoken
        self._is_broken = False
        self._identification: dict[str, str] = {}
        self._outgoing = memoryview(b"")
        self._bodies: dict[str, deque[Iterator[bytes]]] = {}  # by the tag of their command
        self._has_spoken = True  # by connecting: the greeting is waited for

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.link.close()

    @property
    def place(self) -> str:
        """How the server is called in messages."""
        return self.link.server.place

    @property
    def is_over(self) -> bool:
        """Whether nothing can be asked any more: the link broke, or either side ended the connection."""
        return self._is_broken or self.connection.state is State.CLOSED

    def can(self, *capabilities: str) -> bool:
        """Tell whether the server is known to have all of these."""
        return self.connection.can(*capabilities)

    def send(self, command: Command, *bodies: Iterable[bytes]) -> str:
        """Queue a command and return its tag; ``bodies`` are the bytes of its uploads, in their order."""
        tag = self.connection.send(command)
        uploads = [part for part in command.parts if isinstance(part, Upload)]
        wanted = [iter(body) for part, body in zip(uploads, bodies, strict=True) if part.size]
        if wanted:
            self._bodies[tag] = deque(wanted)
        return tag

    def events(self, timeout_s: float | None = None) -> Iterator[Event]:
        """Yield what happens until no command is under way; ends of commands are among it, refused ones too.

        Raises:
            RefusedError: the server said BYE.
            TemporaryError: the link broke or was silent for too long, or the server broke the protocol.
        """
        while self.connection.in_flight:
            yield self.next_event(timeout_s)

    def events_of(self, *tags: str) -> Iterator[Event]:
        """Yield what happens until these commands are over; later ones may still be under way."""
        waiting = set(tags)
        while waiting:
            event = self.next_event()
            if isinstance(event, Done):
                waiting.discard(event.tag)
            yield event

    def next_event(self, timeout_s: float | None = None) -> Event:
        """Wait for what happens next."""
        try:
            while (event := self.connection.next_event()) is None:
                self._step(timeout_s)
        except TemporaryError:
            self._is_broken = True
            raise
        if isinstance(event, Status) and event.kind == "BYE" and not self._is_leaving:
            raise self.refused("the connection", event.kind, event.code, event.text)
        if isinstance(event, Done) and self.connection.upload_tag != event.tag:
            self._bodies.pop(event.tag, None)
        if isinstance(event, Identification):
            self._identification = dict(event.fields)
            self._recognise()
        return event

    def push(self) -> None:
        """Send what can be sent without waiting; the rest goes out with the next wait."""
        while self._outgoing or self._take_outgoing():
            sent = self.link.push(self._outgoing)
            if not sent:
                return
            self._outgoing = self._outgoing[sent:]
            self._has_spoken = True

    def request(self, command: Command, *bodies: Iterable[bytes]) -> Answer:
        """Send a command and return what came; chunks of long bodies cannot be asked for in this way.

        Raises:
            RefusedError: the server refused it.
        """
        tag = self.send(command, *bodies)
        responses: list[Response] = []
        for event in self.events():
            if isinstance(event, Done):
                self.check(event)
                if event.tag == tag:
                    return Answer(event, tuple(responses))
            elif not isinstance(event, BodyChunk):
                responses.append(event)  # type: ignore[arg-type]
        raise AssertionError("a command is under way until it is done")

    def check(self, done: Done) -> None:
        """Raise RefusedError when a command was refused."""
        if done.kind != "OK":
            raise self.refused(done.command.name, done.kind, done.code, done.text)

    def refused(self, asked: str, kind: StatusKind, code: Code | None, text: str) -> RefusedError:
        """Return the error for a refusal, understood with what is known of this server."""
        command = asked if kind != "BYE" else ""
        refusal = classify(kind, code, text, command=command, quirks=self.quirks)
        return RefusedError(self.place, asked, refusal, code, text)

    def pays_to_compress(self, expected_bytes: int) -> bool:
        """Tell whether so many bytes over this link make up for the round trip and the work."""
        is_far = not self.link.is_local and self.link.connect_s >= PAYS_FROM_ROUND_TRIP_S
        pays = is_far and expected_bytes >= PAYS_FROM_BYTES
        return pays and self.can("COMPRESS=DEFLATE") and not self.connection.is_compressed

    def compress_if_it_pays(self, expected_bytes: int) -> None:
        """Compress from here on, if it pays."""
        if self.pays_to_compress(expected_bytes):
            self.send(commands.compress())
            list(self.events())  # a refusal changes nothing

    def log_out(self) -> None:
        """Say good-bye, and hear it."""
        if self.connection.state is not State.CLOSED:
            self.send(commands.logout())
            list(self.events())

    def note_greeting(self) -> None:
        """Recognise the server by its greeting."""
        self._recognise()

    def _recognise(self) -> None:
        greeting = self.connection.greeting
        self.quirks = recognise(
            greeting.text if greeting else "", self.connection.capabilities, self._identification
        )

    @property
    def _is_leaving(self) -> bool:
        return self.connection.is_under_way("LOGOUT")

    def _step(self, timeout_s: float | None) -> None:
        if not self._outgoing and not self._take_outgoing() and self._has_spoken:
            self.turns += 1
            self._has_spoken = False
        sent, received = self.link.step(self._outgoing, timeout_s)
        self._outgoing = self._outgoing[sent:]
        self._has_spoken = self._has_spoken or sent > 0
        if received is not None:
            if not received and self.connection.state is State.CLOSED:
                raise EndedError
            self.connection.receive_data(received)

    def _take_outgoing(self) -> bool:
        self._outgoing = memoryview(self._next_outgoing())
        return bool(self._outgoing)

    def _next_outgoing(self) -> bytes:
        data = self.connection.take_outgoing()
        while not data and self.connection.upload_wanted:
            data = self.connection.send_data(self._next_of_body()) or self.connection.take_outgoing()
        return data

    def _next_of_body(self) -> bytes:
        wanted = self.connection.upload_wanted
        bodies = self._bodies[self.connection.upload_tag]
        chunk = next(filter(None, bodies[0]), b"")
        if not chunk or len(chunk) > wanted:
            raise TemporaryError("a message changed while it was sent", "it is tried again")
        if len(chunk) == wanted:
            bodies.popleft()
        return chunk
