"""What the service tells its manager: sd_notify(3), by the sdnotify library.

Two things the library leaves to us.  Its socket waits when the manager's queue is full, and a coordinator
that waits is frozen: so the socket is made non-blocking, what did not fit is sent before the next, and of
texts only the last is kept.  It encodes as Latin-1, and the manager wants UTF-8: so the text handed to it is
the UTF-8 bytes, read as Latin-1.

NOTIFY_SOCKET is taken out of the environment: a child that spoke on it would speak for us.
"""

from __future__ import annotations

import os
import time
from collections.abc import MutableMapping
from contextlib import suppress

import sdnotify

_STATUS_LIMIT = 500


class Notifier:
    """The connection to the manager; without one, nothing happens."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._notifier: sdnotify.SystemdNotifier | None = None
        self._unsent: dict[str, str] = {}
        self._status = ""
        self.watchdog_s = _watchdog_s(environment)
        if "NOTIFY_SOCKET" in environment:
            with suppress(OSError):  # a manager that is gone is none
                self._notifier = sdnotify.SystemdNotifier(debug=True)
                self._notifier.socket.setblocking(False)
        for variable in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
            environment.pop(variable, None)

    def ready(self) -> None:
        """Say that the service does its work, or does it again after a reload."""
        self._send("state", "READY=1")

    def reloading(self) -> None:
        """Say that the configuration is being read again."""
        self._send("state", f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that the service is ending."""
        self._send("state", "STOPPING=1")

    def status(self, text: str) -> None:
        """Say in words how things stand, if that is news."""
        if text != self._status:
            self._status = text
            self._send("status", f"STATUS={text[:_STATUS_LIMIT]}")

    def alive(self) -> None:
        """Say that the main loop turns."""
        self._send("watchdog", "WATCHDOG=1")

    def _send(self, kind: str, text: str) -> None:
        if self._notifier is None:
            return
        self._unsent.pop(kind, None)  # an older text of the kind says nothing any more
        self._unsent[kind] = text
        for waiting, words in list(self._unsent.items()):
            try:
                self._notifier.notify(words.encode("utf-8", "replace").decode("latin-1"))
            except BlockingIOError:
                return
            except OSError:
                pass  # no manager listens; the next text may find one
            del self._unsent[waiting]


def _watchdog_s(environment: MutableMapping[str, str]) -> float | None:
    """Return the manager's limit in seconds, if it watches this process (sd_watchdog_enabled(3))."""
    usec = environment.get("WATCHDOG_USEC", "")
    if (
        not usec.isdigit()
        or int(usec) == 0
        or environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid())
    ):
        return None
    return int(usec) / 1_000_000
