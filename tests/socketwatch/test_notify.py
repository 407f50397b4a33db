"""The socket that the shim reports to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mswatch.socketwatch.notify import NotifySocket, notify_socket

OWN_DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[NotifySocket]:
    """A socket of ours."""
    with notify_socket({"XDG_RUNTIME_DIR": str(tmp_path)}) as made:
        yield made


def send(listener: NotifySocket, *messages: bytes) -> None:
    """Send messages as a program would."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(listener.path)
        for message in messages:
            sender.send(message)


def test_what_counts(listener: NotifySocket) -> None:
    """A report is a line WATCHDOG=1, alone or among others (sd_notify(3)); nothing else is one."""
    send(
        listener, b"WATCHDOG=1", b"STATUS=x\nWATCHDOG=1\n", b"READY=1", b"WATCHDOG=10", b"", b"\xff\0" * 3000
    )
    assert listener.reports() == 2
    assert listener.reports() == 0


def test_descriptors_are_not_kept(listener: NotifySocket) -> None:
    """Descriptors that a program hands over (FDSTORE=1) do not stay open here."""
    before = set(OWN_DESCRIPTORS.iterdir())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(listener.path)
        socket.send_fds(sender, [b"FDSTORE=1\nWATCHDOG=1"], [0])
    assert listener.reports() == 1
    assert set(OWN_DESCRIPTORS.iterdir()) == before
