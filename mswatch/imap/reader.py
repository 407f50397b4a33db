"""Reads the values of a frame one after the other: atoms, strings, literals, numbers, lists.

Lenient where servers are known to be careless (several blanks, a number in quotes), strict where a mistake
would be believed: every value ends where the grammar says, depth and numbers are bounded.
"""

from __future__ import annotations

import re

from mswatch.imap.errors import ProtocolError
from mswatch.imap.framing import Frame, Streamed
from mswatch.imap.responses import Value

DEPTH_LIMIT = 60  # a BODYSTRUCTURE nests two levels for each part in a part

_QUOTED = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_ATOM = re.compile(rb'[^\x00-\x20()"{\x7f]+')
_FETCH_KEY = re.compile(rb'[^\x00-\x20()"{\[\x7f]+(?:\[[^\]]*\](?:<[0-9]+>)?)?')
_LITERAL = re.compile(rb"~?\{[0-9]+\+?\}\Z")
_BLANKS = re.compile(rb" *")
_NUMBER = re.compile(rb"[0-9]{1,20}\Z")


class Reader:
    """A place in a frame."""

    __slots__ = ("_frame", "_part", "position", "text")

    def __init__(self, frame: Frame, position: int = 0) -> None:
        self._frame = frame
        self._part = 0
        first = frame[0]
        assert isinstance(first, bytes)
        self.text = first
        self.position = position

    def error(self, expected: str) -> ProtocolError:
        """Return the error that says what should have been here."""
        return ProtocolError(f"{expected} was expected at {self.position}", self.text)

    def skip_blanks(self) -> None:
        """Go on to what is not a blank."""
        match = _BLANKS.match(self.text, self.position)
        assert match
        self.position = match.end()

    @property
    def is_at_end(self) -> bool:
        """Whether nothing follows but blanks."""
        self.skip_blanks()
        return self.position >= len(self.text)

    def sees(self, what: bytes) -> bool:
        """Tell whether this comes next, after blanks; go behind it if so."""
        self.skip_blanks()
        if not self.text.startswith(what, self.position):
            return False
        self.position += len(what)
        return True

    def expect(self, what: bytes) -> None:
        """Go behind what must come next."""
        if not self.sees(what):
            raise self.error(what.decode())

    def rest(self) -> bytes:
        """Return what is left of the text."""
        rest, self.position = self.text[self.position :], len(self.text)
        return rest

    def atom(self) -> bytes:
        """Read an atom; ``]``, ``%``, ``*`` and the backslash of a flag count as its characters."""
        return self._match(_ATOM, "a word")

    def fetch_key(self) -> str:
        """Read the name of a FETCH item with its section (``BODY[TEXT]<0>``), in upper case."""
        return self._match(_FETCH_KEY, "an item").decode("ascii", "replace").upper()

    def _match(self, pattern: re.Pattern[bytes], expected: str) -> bytes:
        self.skip_blanks()
        match = pattern.match(self.text, self.position)
        if match is None:
            raise self.error(expected)
        self.position = match.end()
        return match[0]

    def number(self, limit: int = 2**63 - 1) -> int:
        """Read a number, also one in quotes."""
        value = self._single()
        if not isinstance(value, bytes) or not _NUMBER.match(value) or int(value) > limit:
            raise self.error("a number")
        return int(value)

    def string(self) -> bytes | None:
        """Read an atom, a quoted string or a literal; None for NIL."""
        value = self._single()
        if isinstance(value, Streamed):
            raise self.error("a short string")
        return value

    def name(self) -> str:
        """Read a string that must be there, as text."""
        value = self.string()
        return "NIL" if value is None else decode(value)  # a mailbox may be called so (RFC 9051 says astring)

    def words(self) -> list[str]:
        """Read a list of words, such as flags; NIL is an empty one."""
        if not self.sees(b"("):
            if self.string() is None:
                return []
            raise self.error("(")
        found = []
        while not self.sees(b")"):
            found.append(self.name())
        return found

    def value(self) -> Value:
        """Read anything; lists come as lists."""
        if not self.sees(b"("):
            return self._single()
        top: list[Value] = []
        open_lists = [top]
        while open_lists:
            if self.sees(b")"):
                open_lists.pop()
            elif self.sees(b"("):
                inner: list[Value] = []
                open_lists[-1].append(inner)
                open_lists.append(inner)
                if len(open_lists) > DEPTH_LIMIT:
                    raise ProtocolError(f"lists are nested deeper than {DEPTH_LIMIT}", self.text)
            else:
                open_lists[-1].append(self._single())
        return top

    def _single(self) -> bytes | Streamed | None:
        self.skip_blanks()
        text, position = self.text, self.position
        first = text[position : position + 1]
        if first == b'"':
            match = _QUOTED.match(text, position)
            if match is None:
                raise self.error("the end of a string")
            self.position = match.end()
            return _ESCAPED.sub(rb"\1", match[1]) if b"\\" in match[1] else match[1]
        if first in (b"{", b"~") and _LITERAL.match(text, position):
            return self._literal()
        atom = self.atom()
        return None if atom.upper() == b"NIL" else atom

    def _literal(self) -> bytes | Streamed:
        if self._part + 2 >= len(self._frame):
            raise self.error("a literal")
        literal, text = self._frame[self._part + 1], self._frame[self._part + 2]
        assert isinstance(text, bytes)
        self._part += 2
        self.text, self.position = text, 0
        return literal


def decode(text: bytes) -> str:
    """Return text from the server; bytes that are no UTF-8 become lone surrogates."""
    return text.decode("utf-8", "surrogateescape")
