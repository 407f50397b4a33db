"""The addresses of a host, within a time.

getaddrinfo(3) waits as long as resolv.conf(5), nsswitch.conf(5) and their plug-ins like, and cannot be
interrupted.  So a child process asks it and is ended when the time is over: no thread would be left waiting
in it.  The child does nothing but ask and write what it was told.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Any, NoReturn

from mswatch.errors import TemporaryError
from mswatch.showing import show

# Family, kind, protocol and address, as a socket takes them.
Address = tuple[int, int, int, Any]
_AT_ONCE = 64 << 10
_ADVICE = "is there a network?"


def addresses(host: str, port: int, limit_s: float) -> list[Address]:
    """Return where a host can be reached; an address in digits is returned as it is.

    Raises:
        TemporaryError: nobody knows the host, or nothing was said within the time.
    """
    with suppress(OSError, UnicodeError):
        return _ask(host, port, socket.AI_NUMERICHOST)
    import pickle  # of no use for an address in digits

    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        _answer(host, port, writable)
    os.close(writable)
    try:
        data = _read(readable, time.monotonic() + limit_s)
    finally:
        os.close(readable)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    if data is None:
        raise TemporaryError(f"no address for {show(host)} was found within {limit_s:g} s", _ADVICE)
    found: list[Address] | str = pickle.loads(data) if data else "the resolver crashed"  # noqa: S301 - ours
    if isinstance(found, str):
        raise TemporaryError(f"no address for {show(host)}: {show(found)}", _ADVICE)
    return found


def _ask(host: str, port: int, flags: int = 0) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(int(family), int(kind), protocol, address) for family, kind, protocol, _, address in found]


def _answer(host: str, port: int, writable: int) -> NoReturn:
    """Be the child: write the addresses, or why there are none, and end without any clearing up."""
    import pickle  # the parent has it already

    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        try:
            answer: list[Address] | str = _ask(host, port)
        except (OSError, UnicodeError) as error:
            answer = getattr(error, "strerror", None) or str(error)
        with open(writable, "wb") as stream:
            stream.write(pickle.dumps(answer))
    finally:
        os._exit(0)


def _read(fd: int, end: float) -> bytes | None:
    """Read to the end; None when it does not come in time."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    data = b""
    while poll.poll(max(0.0, end - time.monotonic()) * 1000):
        more = os.read(fd, _AT_ONCE)
        if not more:
            return data
        data += more
    return None
