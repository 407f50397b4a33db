"""The addresses of a host: found, unknown, and never waited for longer than allowed."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from typing import NoReturn

import pytest

from mswatch.errors import TemporaryError
from mswatch.imap_session.resolving import addresses
from tests.servers.waiting import DEADLINE_S


def children() -> list[str]:
    """Return our child processes."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_found() -> None:
    """A name of this machine and an address in digits are where they should be."""
    assert (socket.AF_INET, ("127.0.0.1", 143)) in [
        (family, address) for family, _, _, address in addresses("localhost", 143, DEADLINE_S)
    ]
    assert [address[3][:2] for address in addresses("::1", 993, DEADLINE_S)] == [("::1", 993)]


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a..b", "x" * 300])
def test_unknown(host: str) -> None:
    """A name that nobody has, and what is no name at all, are told and worth another try."""
    with pytest.raises(TemporaryError, match="no address for"):
        addresses(host, 143, DEADLINE_S)


def test_resolver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that never answers and lets nobody interrupt it is left, and nothing stays behind."""

    def hang(*_: object, flags: int = 0, **__: object) -> NoReturn:
        if flags:
            raise socket.gaierror("no digits")
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            time.sleep(1000)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    began, before = time.monotonic(), children()
    with pytest.raises(TemporaryError, match=r"found within 0\.3 s"):
        addresses("mail.example.org", 143, 0.3)
    assert time.monotonic() - began < 10
    assert children() == before


def test_resolver_that_crashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes its process down (a plug-in of the system may) does not take us along."""

    def crash(*_: object, flags: int = 0, **__: object) -> NoReturn:
        if flags:
            raise socket.gaierror("no digits")
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    monkeypatch.setattr(socket, "getaddrinfo", crash)
    with pytest.raises(TemporaryError, match="crashed"):
        addresses("mail.example.org", 143, DEADLINE_S)
