"""What a watcher's output means.  Pure: bytes in, words out; the program behind may print anything.

The protocol is the old one: an empty line when the watcher is watching, then the name of a changed mailbox on
each line.  A later empty line means that anything may have changed.  Our own Maildir watcher is asked for the
long form of its lines, which tells more (``watch_maildirs.protocol``).  Where a login shell may print
something before, a marker is waited for.

A line that cannot be a name never ends the service: what is too long is "anything may have changed", and a
watcher whose first line is not empty speaks another language and is given up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from mswatch.lines import Lines
from mswatch.names import NameForm, canonical
from watch_maildirs import protocol

LINE_LIMIT = 4096
NOISE_LIMIT = 1 << 20
_NOISE_KEPT = 500  # more than a marker has
T = TypeVar("T")


@dataclass(frozen=True)
class Ready:
    """From now on every change is told."""


@dataclass(frozen=True)
class Changed:
    """A mailbox, by its canonical name, changed; or it is gone.

    ``files`` are the names that changed in it (``new/1700.M1.host``); empty: it is not known which.
    ``taken``: messages went from new to cur without a flag, and nothing else happened.  ``written``: a
    program wrote into these files, or any, in their place.
    """

    mailbox: str
    gone: bool = False
    taken: bool = False
    written: bool = False
    files: frozenset[str] = frozenset()


@dataclass(frozen=True)
class AnythingChanged:
    """The watcher lost track; ``reason`` is empty if it said so itself."""

    reason: str = ""


@dataclass(frozen=True)
class Answered:
    """The answer to a question that it was asked."""

    question: int


@dataclass(frozen=True)
class Note:
    """Something that people shall know."""

    text: str


@dataclass(frozen=True)
class Unreadable:
    """This is no watcher; nothing more is read from it."""

    reason: str


Word = Ready | Changed | AnythingChanged | Answered | Note | Unreadable


class WatcherReader:
    """Read one watcher's output from its start."""

    def __init__(self, names: NameForm, *, long_lines: bool, marker: bytes = b"") -> None:
        self._names = names
        self._marker = marker  # that is still to come
        self._noise = b""  # the last of what came before it
        self._noise_size = 0
        self._long = long_lines
        self._lines = Lines(LINE_LIMIT)
        self._ready = False
        self._unreadable = False

    def feed(self, data: bytes) -> list[Word]:
        """Return what these bytes say; of repeats in them, the last."""
        words: list[Word] = []
        if self._marker:
            data = self._skip_noise(data, words)
        if self._unreadable:
            return words
        lines = self._lines.feed(data)
        if lines and not self._ready:
            words.append(self._first(lines.pop(0)))
        if not self._unreadable:
            words += _merged(word for line in _last_of_each(lines) for word in self._words(line))
        return words

    @property
    def noise(self) -> str:
        """The last of what was printed, while the marker has not come."""
        return self._noise.decode("utf-8", "replace")

    def _skip_noise(self, data: bytes, words: list[Word]) -> bytes:
        """Return what comes behind the marker, if that has come."""
        noise, marker, rest = (self._noise + data).partition(self._marker)
        if marker:
            self._marker = self._noise = b""
            return rest
        self._noise = noise[-_NOISE_KEPT:]
        self._noise_size += len(data)
        if self._noise_size > NOISE_LIMIT:
            self._unreadable = True
            words.append(Unreadable("the login shell prints without end; see what it runs for a command"))
        return b""

    def _first(self, line: bytes | None) -> Word:
        if line == b"":
            self._ready = True
            return Ready()
        self._unreadable = True
        shown = "a line that does not end" if line is None else repr(line[:80].decode("utf-8", "replace"))
        return Unreadable(f"expected an empty line when it is watching, found {shown}")

    def _words(self, line: bytes | None) -> list[Word]:
        if line is None:
            return [AnythingChanged(f"a line of more than {LINE_LIMIT} bytes")]
        if self._long:
            return self._long_words(line)
        return [self._changed(line.decode("utf-8", "surrogateescape"))] if line else [AnythingChanged()]

    def _long_words(self, line: bytes) -> list[Word]:
        try:
            change = protocol.parse(line)
        except ValueError as error:
            return [AnythingChanged(f"an unreadable line ({error})")]
        if change.kind == protocol.NOTE:
            return [Note(change.file)]
        if change.kind == protocol.HERE:
            return [Answered(int(change.file))] if change.file.isdecimal() and change.file.isascii() else []
        if change.kind == protocol.ALL:
            return [AnythingChanged()]
        return [self._changed(change.mailbox, change.kind, change.file)]

    def _changed(self, own: str, kind: str = protocol.CONTENT, file: str = "") -> Changed:
        return Changed(
            canonical(own, self._names),
            gone=kind == protocol.GONE,
            taken=kind == protocol.TAKEN,
            written=kind == protocol.WRITTEN,
            files=frozenset([file] if "/" in file else []),  # those of other layouts no run accounts for
        )


def _merged(words: Iterable[Word]) -> list[Word]:
    """Return each word once, where it came last, and the files of a mailbox together."""
    merged: dict[Word, Word] = {}
    for word in words:
        key = replace(word, files=frozenset()) if isinstance(word, Changed) else word
        before = merged.pop(key, None)
        if isinstance(word, Changed) and isinstance(before, Changed):
            both_known = word.files and before.files
            word = replace(word, files=word.files | before.files if both_known else frozenset())
        merged[key] = word
    return list(merged.values())


def _last_of_each(things: list[T]) -> list[T]:
    return list(dict.fromkeys(reversed(things)))[::-1]
