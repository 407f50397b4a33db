"""Line ends: LF in the engine, CRLF in IMAP; and messages that are put aside to be measured.

A lone CR stays one, a lone LF of a server too; CRLF of a store that keeps LF stays CRLF on the way up,
since the server would have it so anyway.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

IN_MEMORY = 256 << 10  # bytes of a message that are kept in memory; longer ones go into an unnamed file
CHUNK = 256 << 10

_LONE_LF = re.compile(rb"(?<!\r)\n")


def to_lf(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Turn every CRLF into LF, also one that lies in two chunks."""
    held = b""
    for chunk in chunks:
        data = held + chunk
        held = b"\r" if data.endswith(b"\r") else b""
        data = (data[:-1] if held else data).replace(b"\r\n", b"\n")
        if data:
            yield data
    if held:
        yield held


def to_crlf(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Turn every LF that is not part of a CRLF into one."""
    before = b""
    for chunk in chunks:
        if before == b"\r" and chunk.startswith(b"\n"):
            yield b"\n"
            yield _LONE_LF.sub(b"\r\n", chunk[1:])
        else:
            yield _LONE_LF.sub(b"\r\n", chunk)
        before = chunk[-1:] or before


class Aside:
    """A message put aside with the line ends of IMAP, so that its length is known before it is sent."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.size = 0
        self.has_nul = False
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - see close
        try:
            for chunk in to_crlf(chunks):
                self.has_nul = self.has_nul or b"\0" in chunk
                self.size += len(chunk)
                self._file.write(chunk)
            if not self.size:  # no server takes nothing
                self.size = self._file.write(b"\r\n")
        except BaseException:
            self.close()
            raise

    def chunks(self) -> Iterator[bytes]:
        """Read it from the beginning."""
        self._file.seek(0)
        while chunk := self._file.read(CHUNK):
            yield chunk

    def beginning(self) -> bytes:
        """Return its first bytes, as LF."""
        self._file.seek(0)
        return self._file.read(CHUNK).replace(b"\r\n", b"\n")

    def close(self) -> None:
        """Forget it."""
        self._file.close()
