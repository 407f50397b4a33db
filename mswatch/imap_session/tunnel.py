"""A command that speaks IMAP on its stdin and stdout, such as ssh to the mail server."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from typing import IO

from mswatch.errors import ConfigError
from mswatch.imap_session.link import Link
from mswatch.imap_session.settings import Server
from mswatch.showing import show

ENDS_WITHIN_S = 3.0
COMPLAINT_BYTES = 1000


class Tunnel(Link):
    """A link to such a command, which ends with it."""

    def __init__(self, server: Server) -> None:
        began = time.monotonic()
        ours, theirs = socket.socketpair()
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the link
        with theirs:
            try:
                self._process = subprocess.Popen(
                    server.tunnel,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=self._complaints,
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise ConfigError(
                    [f"the tunnel {show(server.tunnel[0])} cannot be started: {error.strerror}"]
                ) from None
        super().__init__(server, ours, time.monotonic() - began)

    def close(self) -> None:
        """Let the command see the end of its input; end it when it does not go by itself."""
        super().close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDS_WITHIN_S)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # its own session: the command and what it left
        self._process.wait()
        self._complaints.close()

    def complaint(self) -> str:
        """Return the end of what the command wrote on its stderr."""
        size = self._complaints.seek(0, os.SEEK_END)
        self._complaints.seek(max(0, size - COMPLAINT_BYTES))
        return show(self._complaints.read().decode("utf-8", "surrogateescape").strip())
