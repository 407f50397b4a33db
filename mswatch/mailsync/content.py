"""What makes two messages one: all their bytes, as a digest.  Pure.

Two messages are the same if they differ in nothing but what stores do to every message on its way:

* line ends: CRLF on one side is LF on the other one;
* line ends behind the last line: an mbox cannot say that there was none, some servers add one;
* the fields in OWNED, which belong to the mbox that a message was in, or were written into the copy by the
  synchroniser that carried it (mbsync, OfflineIMAP).

Whatever else differs makes two messages of them, though every field of both headers is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256

DIGEST_BYTES = 16
HEADER_LIMIT = 1 << 18  # bytes without an empty line that are no header any more
_BLOCK = b"\n" * 4096
_NO_MORE: Iterator[bytes] = iter(())  # of these objects there may be thousands: what came is let go of

OWNED = re.compile(
    rb"\n(?:x-(?:status|keywords|uid|imap(?:base)?|tuid|offlineimap)|status|content-length|lines)[ \t]*:"
    rb"[^\n]*(?:\n[ \t][^\n]*)*",
    re.IGNORECASE,
)
_LINE_END = re.compile(rb"\r+\n")


class Digesting:
    """The chunks of a message, passed on as they are, and the digest of them when all have passed.

    ``size`` is how many bytes they have with CRLF at the end of each line, if they are counted.
    """

    __slots__ = ("_chunks", "_counts", "digest", "size")

    def __init__(self, chunks: Iterable[bytes], *, counts: bool = False) -> None:
        self.size = 0
        self.digest: bytes | None = None
        self._chunks = iter(chunks)
        self._counts = counts

    def __iter__(self) -> Iterator[bytes]:
        first = next(self._chunks, b"")
        if first:
            yield first
        self._count(first)
        second = next(self._chunks, None)
        if second is None:  # as most messages are
            self.digest = _digest_of_one(first)
            self._chunks = _NO_MORE
            return
        whole = _Whole()
        whole.take(first)
        while second is not None:
            yield second
            self._count(second)
            whole.take(second)
            second = next(self._chunks, None)
        self.digest = whole.digest()
        self._chunks = _NO_MORE

    def exhaust(self) -> Digesting:
        """Have all chunks pass."""
        for _ in self:
            pass
        return self

    def _count(self, chunk: bytes) -> None:
        if self._counts:
            self.size += len(chunk) + chunk.count(b"\n")
            self.size -= chunk.count(b"\r\n") if b"\r" in chunk else 0


def _digest_of_one(message: bytes) -> bytes:
    """Return the digest of a message in one piece, quickly where nothing in it has to be left out."""
    text = message.rstrip(b"\r\n")
    if text and b"\r" not in text:
        text = b"\n" + text
        end = text.find(b"\n\n", 0, HEADER_LIMIT)
        if end >= 0 and OWNED.search(text, 0, end) is None:
            return sha256(text).digest()[:DIGEST_BYTES]
    whole = _Whole()
    whole.take(message)
    return whole.digest()


class _Whole:
    """The digest of a message that comes in chunks."""

    def __init__(self) -> None:
        self._hash = sha256()
        self._begin: bytes | None = b"\n"  # the header, with a line end before it, while it is incomplete
        self._newlines = self._returns = 0  # line ends, and CRs behind them, that nothing followed yet

    def digest(self) -> bytes:
        if self._begin is not None:
            self._hash.update(OWNED.sub(b"", self._begin))
        return self._hash.digest()[:DIGEST_BYTES]

    def take(self, chunk: bytes) -> None:
        text = chunk.lstrip(b"\r\n")
        self._wait(chunk[: len(chunk) - len(text)])
        if not text:
            return
        kept = text.rstrip(b"\r\n")
        self._let_through()
        self._update(_LINE_END.sub(b"\n", kept) if b"\r" in kept else kept)
        self._wait(text[len(kept) :])

    def _wait(self, ends: bytes) -> None:
        """Keep line ends until it is known that something follows them."""
        count = ends.count(b"\n")
        if count:
            self._newlines += count
            self._returns = 0
            ends = ends[ends.rindex(b"\n") + 1 :]
        self._returns += len(ends)

    def _let_through(self) -> None:
        while self._newlines:
            block = _BLOCK[: self._newlines]
            self._newlines -= len(block)
            self._update(block)
        if self._returns:
            self._update(b"\r" * self._returns)
            self._returns = 0

    def _update(self, data: bytes) -> None:
        if self._begin is None:
            self._hash.update(data)
            return
        begin = self._begin + data
        end = begin.find(b"\n\n", 0, HEADER_LIMIT)
        if end < 0 and len(begin) < HEADER_LIMIT:
            self._begin = begin
            return
        end = end if end >= 0 else HEADER_LIMIT
        self._begin = None
        self._hash.update(OWNED.sub(b"", begin[:end]))
        self._hash.update(memoryview(begin)[end:])


def content_digest(chunks: Iterable[bytes]) -> bytes:
    """Return the digest of a message."""
    passed = Digesting(chunks).exhaust()
    assert passed.digest is not None  # all of it has passed
    return passed.digest
