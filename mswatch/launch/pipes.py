"""Reading and writing pipes on the event loop, in bounded pieces, and never waiting."""

from __future__ import annotations

import asyncio
import os

from mswatch.launch.process import Reader

_CHUNK = 8192  # some milliseconds of work, so that a flood keeps the rest of the loop waiting no longer
_PIECES_AT_THE_END = 256
_MOST_UNWRITTEN = 1 << 20


class PipeReader:
    """Hands what comes through a pipe to a reader, and b"" at its end; it owns the descriptor."""

    def __init__(self, fd: int, reader: Reader) -> None:
        self._fd: int | None = fd
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read)

    def _read(self) -> bool:
        """Read once; return whether there may be more."""
        if self._fd is None:
            return False
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._close()
        self._reader(data)
        return bool(data)

    def finish(self) -> None:
        """Read what is there, because the writer has ended; an heir who goes on writing is not waited for."""
        for _ in range(_PIECES_AT_THE_END):
            if not self._read():
                break
        if self._fd is not None:
            self._close()
            self._reader(b"")

    def _close(self) -> None:
        assert self._fd is not None
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = None


class PipeWriter:
    """Writes into a pipe, whose descriptor it owns; what finds no room goes when there is some."""

    def __init__(self, fd: int) -> None:
        self._fd: int | None = fd
        self._unwritten = b""
        self._loop = asyncio.get_running_loop()
        os.set_blocking(fd, False)

    def write(self, data: bytes) -> None:
        """Write, if somebody reads at all: a reader who takes nothing does not fill our memory."""
        if self._fd is None or len(self._unwritten) + len(data) > _MOST_UNWRITTEN:
            return
        if not self._unwritten:
            self._loop.add_writer(self._fd, self._write)
        self._unwritten += data

    def _write(self) -> None:
        assert self._fd is not None
        try:
            written = os.write(self._fd, self._unwritten)
        except BlockingIOError:
            return
        except OSError:  # nobody reads any more; the end of the process tells the rest
            written = len(self._unwritten)
        self._unwritten = self._unwritten[written:]
        if not self._unwritten:
            self._loop.remove_writer(self._fd)

    def close(self) -> None:
        """End what the reader reads; closing twice is no error."""
        if self._fd is not None:
            self._loop.remove_writer(self._fd)
            os.close(self._fd)
            self._fd = None
