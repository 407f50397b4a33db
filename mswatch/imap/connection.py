"""The state of one connection: what may be sent now, what came, and to which command it belongs.

Use it as h11 is used, with a socket of your own::

    tag = connection.send(commands.noop())
    socket.sendall(connection.take_outgoing())
    while (event := connection.next_event()) is not None: ...
    connection.receive_data(socket.recv(...))          # b"" at the end

Theory of operation
-------------------

``send`` never waits: a command is written into a queue.  ``take_outgoing`` hands out the queue up to the
first thing that has to be waited for: a literal that the server must allow first, or one whose bytes the
caller still has to give (``upload_wanted``, ``send_data``).  So any number of commands are under way
together, in the order of ``send``, and whether the server knows LITERAL+ changes nothing for the caller.

A command that is *alone* (STARTTLS, COMPRESS, a login of several steps, IDLE, LOGOUT) may be followed by
nothing until it is over.  STARTTLS and COMPRESS may also not follow anything, because they cut the stream
of bytes; what the server sent behind its answer to STARTTLS is plain text that somebody put into the
stream, and ends the connection (CVE-2011-0411 and its kin; RFC 9051, 11.1).  All other commands here name
messages by UID, so none of them can be misread because another one was not over (RFC 9051, 5.5).

What the server can is forgotten at STARTTLS and at login, when it may have changed (RFC 9051, 6.2).

===================== ================ ==========================================================
state                 comes from       and ends by
===================== ================ ==========================================================
GREETING              the beginning    OK, PREAUTH, BYE
NOT_AUTHENTICATED     OK               LOGIN or AUTHENTICATE succeeds
AUTHENTICATED         PREAUTH, a login SELECT succeeds
SELECTED              SELECT           SELECT fails, UNSELECT, CLOSE
CLOSED                BYE              nothing
===================== ================ ==========================================================
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import cast

from mswatch.imap.commands import Command, Literal, Upload
from mswatch.imap.errors import EndedError, MisuseError, ProtocolError, UnfinishedError
from mswatch.imap.framing import BodyChunk, Frame, Framer
from mswatch.imap.parsing import parse
from mswatch.imap.responses import (
    Capabilities,
    Code,
    Continuation,
    Enabled,
    Fetch,
    Response,
    Status,
    StatusKind,
    Tagged,
)
from mswatch.imap.sasl import Mechanism

SMALL_LITERAL = 4096  # LITERAL- (RFC 7888): longer ones are waited for
INFLATED_AT_ONCE = 256 << 10  # what compressed data may swell to before it is looked at

_LOGINS = ("LOGIN", "AUTHENTICATE")
# What a server that speaks IMAP4rev2 alone need not name, because that has it (RFC 9051, appendix E).
_OF_REV2 = frozenset(
    (
        *("ENABLE", "ESEARCH", "IDLE", "LIST-EXTENDED", "LIST-STATUS", "LITERAL-", "MOVE", "NAMESPACE"),
        *("SASL-IR", "SPECIAL-USE", "UIDPLUS", "UNSELECT"),
    )
)


class State(Enum):
    """Where a connection is in its life."""

    GREETING = "greeting"
    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    CLOSED = "closed"


@dataclass(frozen=True)
class Done:
    """A command is over: ``kind`` is OK, NO (it was refused) or BAD (it was not understood)."""

    tag: str
    command: Command
    kind: StatusKind
    code: Code | None
    text: str


@dataclass(frozen=True)
class Idling:
    """The server has begun to tell what happens."""


Event = Response | BodyChunk | Done | Idling


@dataclass(frozen=True)
class _Wait:
    """In the queue: the server must ask for more first."""

    tag: str


@dataclass(frozen=True)
class _Bytes:
    """In the queue: bytes of a command, or of none."""

    tag: str
    data: bytes


@dataclass
class _Pending:
    """In the queue: bytes that the caller has to give."""

    tag: str
    left: int


class Connection:
    """The client's side of one connection.

    ``next_event`` raises ``ProtocolError`` and ``EndedError``, all other methods ``MisuseError``; after any
    of them the connection is of no use any more.
    """

    def __init__(self, framer: Framer | None = None) -> None:
        self.state = State.GREETING
        self.capabilities: frozenset[str] | None = None  # None: not known
        self.enabled: frozenset[str] = frozenset()
        self.greeting: Status | None = None
        self.is_compressed = False
        self._framer = framer or Framer()
        self._commands: dict[str, Command] = {}  # under way, by tag
        self._count = 0
        self._queue: deque[_Bytes | _Wait | _Pending] = deque()
        self._waiting: deque[_Wait] = deque()
        self._allowed = 0  # literals that the server has asked for and we have not sent
        self._alone: Command | None = None
        self._is_idling = False
        self._answered_first = False  # the initial response of AUTHENTICATE went out
        self._told_since_login = False  # what the server can
        self._ended = False
        self._deflate: zlib._Compress | None = None
        self._inflate: zlib._Decompress | None = None
        self._compressed = b""
        self._unfinished: Frame | None = None  # a FETCH that some servers close in a line of its own

    # Sending

    def can(self, *capabilities: str) -> bool:
        """Tell whether the server is known to have all of these."""
        if self.capabilities is None:
            return False
        wanted = set(capabilities)
        return wanted <= self.capabilities or (self.is_rev2 and wanted - _OF_REV2 <= self.capabilities)

    @property
    def is_rev2(self) -> bool:
        """Whether the server speaks IMAP4rev2 and nothing older; names of mailboxes are UTF-8 then."""
        told = self.capabilities or frozenset()
        return "IMAP4REV2" in told and "IMAP4REV1" not in told

    @property
    def in_flight(self) -> int:
        """How many commands are not over."""
        return len(self._commands)

    def is_under_way(self, name: str) -> bool:
        """Tell whether a command of this name is not over."""
        return any(command.name == name for command in self._commands.values())

    def send(self, command: Command) -> str:
        """Queue a command and return its tag."""
        self._check_allowed(command)
        self._count += 1
        tag = f"A{self._count}"
        self._commands[tag] = command
        if command.name in _LOGINS:
            self._told_since_login = False
        if command.is_alone or (command.mechanism is not None and not self._is_one_step(command.mechanism)):
            self._alone = command
        self._put(tag, f"{tag} {command.name}".encode())
        for part in (*command.parts, *self._initial_response(command)):
            self._put_part(tag, part)
        self._put(tag, b"\r\n")
        return tag

    def done(self) -> None:
        """End IDLE."""
        if not self._is_idling:
            raise MisuseError("DONE without IDLE")
        self._is_idling = False
        self._put("", b"DONE\r\n")

    def take_outgoing(self) -> bytes:
        """Return what may be sent now."""
        queue = self._queue
        pieces = []
        while queue:
            head = queue[0]
            if isinstance(head, _Bytes):
                pieces.append(head.data)
            elif isinstance(head, _Wait) and self._allowed:
                self._allowed -= 1
            elif not isinstance(head, _Pending) or head.left:
                break
            queue.popleft()
        return self._encode(b"".join(pieces))

    @property
    def upload_wanted(self) -> int:
        """How many bytes of a literal the caller is to give now, behind all that was taken before."""
        head = self._queue[0] if self._queue else None
        return head.left if isinstance(head, _Pending) else 0

    @property
    def upload_tag(self) -> str:
        """The command that the upload is part of; empty when none is wanted."""
        return self._queue[0].tag if self.upload_wanted else ""

    def send_data(self, data: bytes | memoryview) -> bytes:
        """Return bytes of an upload as they are to be sent."""
        head = self._queue[0] if self._queue else None
        if not isinstance(head, _Pending) or len(data) > head.left:
            raise MisuseError("more data than the literal was announced with")
        head.left -= len(data)
        return self._encode(bytes(data))

    def _check_allowed(self, command: Command) -> None:
        if self.state is State.CLOSED:
            raise MisuseError(f"{command.name} on a closed connection")
        if self._alone is not None:
            raise MisuseError(f"{command.name} while {self._alone.name} is under way")
        if self.state is State.GREETING:
            raise MisuseError(f"{command.name} before the greeting")
        if command.name in ("STARTTLS", "COMPRESS") and self._commands:
            raise MisuseError(f"{command.name} while other commands are under way")

    def _put(self, tag: str, data: bytes) -> None:
        self._queue.append(_Bytes(tag, data))

    def _put_part(self, tag: str, part: bytes | Literal | Upload) -> None:
        if isinstance(part, bytes):
            self._put(tag, part)
            return
        size = part.size if isinstance(part, Upload) else len(part.data)
        mark = b"~" if isinstance(part, Upload) and part.is_eight_bit else b""
        if self._needs_no_wait(size):
            self._put(tag, b"%b{%d+}\r\n" % (mark, size))
        else:
            self._put(tag, b"%b{%d}\r\n" % (mark, size))
            wait = _Wait(tag)
            self._queue.append(wait)
            self._waiting.append(wait)
        if isinstance(part, Upload):
            self._queue.append(_Pending(tag, size))
        else:
            self._put(tag, part.data)

    def _needs_no_wait(self, size: int) -> bool:
        if self.can("LITERAL+"):
            return True
        return size <= SMALL_LITERAL and (self.can("LITERAL-") or self.can("IMAP4REV2"))

    def _initial_response(self, command: Command) -> Iterator[bytes]:
        if command.mechanism is None:
            return
        self._answered_first = False
        if self.can("SASL-IR"):
            first = command.mechanism.first()
            if first is not None:
                self._answered_first = True
                yield b" " + (base64.b64encode(first) or b"=")  # RFC 4959: = is an empty response

    def _is_one_step(self, mechanism: Mechanism) -> bool:
        return mechanism.is_one_step and self.can("SASL-IR")

    def _encode(self, data: bytes) -> bytes:
        if self._deflate is None or not data:
            return data
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    # Receiving

    def receive_data(self, data: bytes) -> None:
        """Take what came; empty when the server ended the connection.  Take out all events before."""
        if not data:
            self._ended = True
        elif self._inflate is None:
            self._framer.receive_data(data)
        else:
            self._compressed += data

    def next_event(self) -> Event | None:
        """Return what happened next; None when more data are needed."""
        while True:
            frame = self._framer.next_frame()
            if frame is None:
                if self._inflate is not None and self._inflate_some(self._inflate):
                    continue
                if self._ended and self.state is not State.CLOSED:
                    raise EndedError("" if self._framer.is_between_frames else " in the middle of a response")
                return None
            if isinstance(frame, BodyChunk):
                if self._unfinished is not None:
                    raise _unfinished(frame.begun)
                return frame
            if not frame[0]:
                continue  # an empty line between responses, which some servers send, says nothing
            if self._unfinished is not None:
                frame, self._unfinished = _finished(self._unfinished, frame), None
            try:
                response = parse(frame)
            except UnfinishedError:
                self._unfinished = frame
                continue
            if type(response) is Fetch:
                return response
            event = self._take(response)
            if event is not None:
                return event

    def _inflate_some(self, inflate: zlib._Decompress) -> bool:
        try:
            data = inflate.decompress(self._compressed, INFLATED_AT_ONCE)  # also what zlib still holds back
        except zlib.error as error:
            raise ProtocolError(f"the compressed data are broken ({error})") from None
        self._compressed = inflate.unconsumed_tail
        if data:
            self._framer.receive_data(data)
        return bool(data)

    def _take(self, response: Response) -> Event | None:
        if self.state is State.GREETING:
            return self._take_greeting(response)
        if isinstance(response, Tagged):
            return self._take_tagged(response)
        if isinstance(response, Continuation):
            return self._take_continuation(response)
        if isinstance(response, Capabilities):
            self.capabilities = response.names
            self._told_since_login = True
        elif isinstance(response, Enabled):
            self.enabled |= response.names
        elif isinstance(response, Status):
            self._note_code(response.code)
            if response.kind == "BYE":
                self.state = State.CLOSED
        return response

    def _take_greeting(self, response: Response) -> Status:
        if not isinstance(response, Status) or response.kind not in ("OK", "PREAUTH", "BYE"):
            raise ProtocolError(f"a greeting was expected, not {type(response).__name__}")
        self.greeting = response
        self._note_code(response.code)
        after = {"OK": State.NOT_AUTHENTICATED, "PREAUTH": State.AUTHENTICATED, "BYE": State.CLOSED}
        self.state = after[response.kind]
        return response

    def _note_code(self, code: Code | None) -> None:
        if code is not None and code.name == "CAPABILITY":
            self.capabilities = code.words

    def _take_tagged(self, response: Tagged) -> Done:
        command = self._commands.pop(response.tag, None)
        if command is None:
            raise ProtocolError(
                "the end of a command that was not sent", response.tag.encode(errors="replace")
            )
        self._drop_unsent(response)
        if command is self._alone:
            self._alone = None
        if response.kind == "OK":
            self._succeed(command)
        elif command.name in ("SELECT", "EXAMINE") and self.state is State.SELECTED:
            self.state = State.AUTHENTICATED
        self._note_code(response.code)
        return Done(response.tag, command, response.kind, response.code, response.text)

    def _drop_unsent(self, response: Tagged) -> None:
        """Forget the rest of a command that was ended before all of it was sent: the refusal of a literal."""
        head = self._queue[0] if self._queue else None
        if head is None or head.tag != response.tag:
            return
        waits = any(isinstance(part, _Wait) and part.tag == response.tag for part in self._queue)
        if response.kind != "OK" and isinstance(head, _Pending) and not waits:
            return  # refused on the way: what was announced is sent and swallowed (RFC 7888, 5)
        if response.kind == "OK" or not isinstance(head, _Wait):
            raise ProtocolError("a command was ended before it was sent", response.tag.encode())
        while self._queue and self._queue[0].tag == response.tag:
            dropped = self._queue.popleft()
            if isinstance(dropped, _Wait):
                self._waiting.remove(dropped)

    def _succeed(self, command: Command) -> None:
        name = command.name
        if name in _LOGINS:
            if command.mechanism is not None:
                command.mechanism.finish()
            self.state = State.AUTHENTICATED
            if not self._told_since_login:
                self.capabilities = None
        elif name in ("SELECT", "EXAMINE"):
            self.state = State.SELECTED
        elif name in ("UNSELECT", "CLOSE"):
            self.state = State.AUTHENTICATED
        elif name == "STARTTLS":
            if not self._framer.is_between_frames:
                raise ProtocolError("plain text after the answer to STARTTLS; somebody may be in between")
            self.capabilities = None
        elif name == "COMPRESS":
            self._start_compression()
        elif name == "IDLE":
            self._is_idling = False

    def _start_compression(self) -> None:
        self.is_compressed = True
        self._deflate = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -15)
        self._inflate = zlib.decompressobj(-15)
        self._compressed = self._framer.take_rest()

    def _take_continuation(self, response: Continuation) -> Event | None:
        alone = self._alone or self._login_under_way()
        if alone is not None and alone.mechanism is not None:
            self._answer(alone, response.text)
            return None
        if alone is not None and alone.name == "IDLE":
            self._is_idling = True
            return Idling()
        if not self._waiting:
            raise ProtocolError("more was asked for, and nothing is to be sent", response.text)
        self._waiting.popleft()
        self._allowed += 1
        return None

    def _login_under_way(self) -> Command | None:
        return next((command for command in self._commands.values() if command.mechanism is not None), None)

    def _answer(self, command: Command, text: bytes) -> None:
        assert command.mechanism is not None
        first = None if self._answered_first else command.mechanism.first()
        self._answered_first = True
        if first is None:
            try:
                challenge = base64.b64decode(text, validate=True)
            except binascii.Error:
                raise ProtocolError("a challenge that is not in base64", text) from None
            first = command.mechanism.respond(challenge)
        self._queue.appendleft(_Bytes("", base64.b64encode(first) + b"\r\n"))


def _unfinished(text: bytes) -> ProtocolError:
    return ProtocolError("the end of a FETCH was expected", text)


def _finished(begun: Frame, rest: Frame) -> Frame:
    """Put a FETCH and the line with its end together; it is believed only if it ends there."""
    line = cast(bytes, rest[0])
    if line != b")":
        raise _unfinished(line)
    return [*begun[:-1], cast(bytes, begun[-1]) + line]
