"""Bytes from a child, cut into lines of bounded length.  Pure.

A child may print anything: no newline at all, a megabyte a second, no text.  So a line that is longer than
the limit is given up at once, not collected: its place is taken by None, and the rest of it, up to its
newline, is dropped.
"""

from __future__ import annotations


class Lines:
    """Cut a stream into lines."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = b""
        self._dropping = False

    def feed(self, data: bytes) -> list[bytes | None]:
        """Return the lines that these bytes complete, without newlines; None for one that is too long."""
        *whole, rest = (self._rest + data).split(b"\n")
        found: list[bytes | None] = [line if len(line) <= self._limit else None for line in whole]
        if self._dropping and found:
            del found[0]
            self._dropping = False
        if len(rest) > self._limit:
            if not self._dropping:
                found.append(None)
            self._dropping = True
            rest = b""
        self._rest = rest if not self._dropping else b""
        return found

    def take(self, data: bytes) -> list[bytes | None]:
        """Return the same for a piece of a pipe, where no bytes are the end, which completes a last line."""
        if data:
            return self.feed(data)
        rest, self._rest = self._rest, b""
        return [rest] if rest else []
