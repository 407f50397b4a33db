r"""Where a response ends: bytes in, whole responses ("frames") and pieces of message bodies out.

Nothing is understood here beyond what framing needs.  A response is one line, or lines with literals
between them: a line that ends in ``{5}`` goes on with five bytes and then with the next line (RFC 9051,
4.3).  But the free text of a status response may end in ``{5}`` as well and means nothing by it, so only
untagged responses that are no status carry literals: what a server says about a message must never be read
as the message, nor a message as what the server says.

Memory is bounded whatever the server sends: a response with its literals by ``LINE_LIMIT``.  The literal of a
message body is not gathered but handed on in pieces as they arrive, from ``STREAM_FROM`` bytes on; below that
one piece in one event is cheaper.
"""

from __future__ import annotations

import re
from typing import NamedTuple, cast

from mswatch.imap.errors import ProtocolError

LINE_LIMIT = (
    4 << 20
)  # Dovecot: 64 KiB for what a client sends; a SEARCH of 500,000 messages is 4 MiB in one line
PART_COST = 128  # what an object in a frame costs beside its bytes
STREAM_FROM = 64 << 10
LITERAL_LIMIT = 2**32 - 1  # RFC 3501: a number has 32 bits; longer messages are no messages

_LITERAL = re.compile(rb"~?\{([0-9]{1,20})\+?\}\Z")
_STATUS = re.compile(rb"\* (?:OK|NO|BAD|BYE|PREAUTH)(?: |\Z)", re.IGNORECASE)
_BODY = re.compile(
    rb"[ (]((?:BODY|BINARY)\[[^\]]*\](?:<[0-9]+>)?|RFC822(?:\.TEXT|\.HEADER)?) ~?\{[0-9]+\+?\}\Z",
    re.IGNORECASE,
)
_FETCH = re.compile(rb"\* +[0-9]+ +FETCH ", re.IGNORECASE)


class Streamed(NamedTuple):
    """Stands in a frame for a literal that was handed on in pieces."""

    size: int


class BodyChunk(NamedTuple):
    """A piece of a message body; the FETCH response that it belongs to comes when all of it was read.

    ``data`` is valid until the next data are received.  A piece with offset 0 begins a body; ``section`` is
    what was fetched, in upper case: ``BODY[]``.
    """

    section: str
    offset: int
    size: int  # of the whole body
    data: memoryview
    begun: bytes  # the response up to the body; ``parsing.parse_begun`` reads it


# Texts and literals in turn, beginning and ending with a text; texts are without their line ends.
Frame = list["bytes | Streamed"]


class Framer:
    """Cuts a stream of bytes into frames.  After an error it is of no use any more."""

    def __init__(
        self,
        *,
        line_limit: int = LINE_LIMIT,
        stream_from: int = STREAM_FROM,
        literal_limit: int = LITERAL_LIMIT,
    ) -> None:
        self._line_limit = line_limit
        self._stream_from = stream_from
        self._literal_limit = literal_limit
        self._data = b""  # what was received; consumed up to _position
        self._position = 0
        self._held = bytearray()  # what comes before _data and is not enough for a step
        self._later = b""  # what comes behind _data, which then is one line or literal
        self._later_position = 0
        self._frame: Frame = []
        self._size = 0  # of the frame so far
        self._literal = -1  # bytes of a literal to be gathered; -1: the next thing is a line
        self._body = ""  # the section that is being streamed
        self._body_size = 0
        self._body_left = 0

    def receive_data(self, data: bytes) -> None:
        """Take what the server sent.  All frames must have been taken out before."""
        if not self._held:
            self._data, self._position = data, 0
            return
        # Only the line or literal that was cut is put together: copying all of it costs more than that.
        end = data.find(b"\n") + 1 if self._literal < 0 else self._literal - len(self._held)
        if 0 < end <= len(data):
            self._held += memoryview(data)[:end]
            self._data, self._position = bytes(self._held), 0
            self._later, self._later_position = data, end
            self._held = bytearray()
        else:
            self._held += data
            self._check_size(len(self._held))

    def next_frame(self) -> Frame | BodyChunk | None:
        """Return the next frame or piece of a body; None when more data are needed."""
        while True:
            if self._later and self._position == len(self._data):
                self._data, self._position = self._later, self._later_position
                self._later = b""
            if self._body_left:
                return self._next_chunk()
            if self._literal >= 0:
                if not self._gather_literal():
                    return None
                continue
            data, begin = self._data, self._position
            end = data.find(b"\n", begin)
            if end < 0:
                self._hold()
                return None
            self._position = end + 1
            if end > begin and data[end - 1] == 13:
                end -= 1
            line = data[begin:end]
            self._frame.append(line)
            if line.endswith(b"}") and self._announces_literal(line):
                continue
            if self._size + len(line) > self._line_limit:
                self._check_size(len(line))
            frame, self._frame, self._size = self._frame, [], 0
            return frame

    def take_rest(self) -> bytes:
        """Return what was received and is in no frame yet, and forget it."""
        rest = bytes(self._held) + self._data[self._position :] + self._later[self._later_position :]
        self._held, self._data, self._position, self._later = bytearray(), b"", 0, b""
        return rest

    @property
    def is_between_frames(self) -> bool:
        """Whether all that was received ended with a whole frame."""
        inside = self._frame or self._body_left or self._literal >= 0
        left = len(self._data) - self._position
        return not inside and not self._held and not left and self._later_position >= len(self._later)

    def _announces_literal(self, line: bytes) -> bool:
        """Note what the line announces; False when it only looks so."""
        match = _LITERAL.search(line, max(0, line.rfind(b"{") - 1))
        first = cast(bytes, self._frame[0])
        if match is None or not first.startswith(b"* ") or _STATUS.match(first):
            return False
        size = int(match[1])
        if size > self._literal_limit:
            raise ProtocolError(f"a literal of {size} bytes, more than {self._literal_limit}")
        self._size += len(line) + PART_COST
        body = _BODY.search(line, max(0, len(line) - 1000)) if size >= self._stream_from else None
        if body and _FETCH.match(first):
            self._body, self._body_size, self._body_left = (
                body[1].decode("ascii", "replace").upper(),
                size,
                size,
            )
            self._frame.append(Streamed(size))
            self._check_size(0)
        else:
            self._literal = size
            self._check_size(size)
        return True

    def _gather_literal(self) -> bool:
        begin, end = self._position, self._position + self._literal
        if end > len(self._data):
            self._hold()
            return False
        self._frame.append(self._data[begin:end])
        self._size += self._literal + PART_COST
        self._position, self._literal = end, -1
        return True

    def _next_chunk(self) -> BodyChunk | None:
        begin = self._position
        end = min(len(self._data), begin + self._body_left)
        if begin == end:
            return None
        offset = self._body_size - self._body_left
        self._position = end
        self._body_left -= end - begin
        data = memoryview(self._data)[begin:end]
        return BodyChunk(self._body, offset, self._body_size, data, cast(bytes, self._frame[0]))

    def _hold(self) -> None:
        self._held += memoryview(self._data)[self._position :]
        self._data, self._position = b"", 0
        self._check_size(len(self._held))

    def _check_size(self, more: int) -> None:
        if self._size + more > self._line_limit:
            raise ProtocolError(f"a response is longer than {self._line_limit} bytes")
