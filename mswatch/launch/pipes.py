"""Reading a pipe on the event loop, in bounded pieces."""

from __future__ import annotations

import asyncio
import os

from mswatch.launch.process import Reader

_CHUNK = 8192  # some milliseconds of work, so that a flood keeps the rest of the loop waiting no longer
_PIECES_AT_THE_END = 256


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
