"""What the service tells its manager, against a real notify socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mswatch.notify import Notifier


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The manager's end: a datagram socket, named in the environment."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listening:
        listening.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


def texts(manager: socket.socket) -> list[str]:
    """Return all that was told."""
    found = []
    while True:
        try:
            found.append(manager.recv(65536).decode())
        except BlockingIOError:
            return found


def test_words(manager: socket.socket) -> None:
    """The texts are those of sd_notify(3); a status is told when it changes; names are UTF-8."""
    notifier = Notifier(os.environ)
    notifier.ready()
    notifier.status("syncing Entwürfe, 日本")
    notifier.status("syncing Entwürfe, 日本")
    notifier.alive()
    notifier.stopping()

    assert texts(manager) == ["READY=1", "STATUS=syncing Entwürfe, 日本", "WATCHDOG=1", "STOPPING=1"]


def test_reloading_has_its_time(manager: socket.socket) -> None:
    """A reload tells the monotonic time, which newer managers want."""
    Notifier(os.environ).reloading()

    assert texts(manager)[0].startswith("RELOADING=1\nMONOTONIC_USEC=")


def test_a_slow_manager_keeps_nobody_waiting(manager: socket.socket) -> None:
    """With the manager's queue full nothing blocks, and what mattered is told when there is room again."""
    notifier = Notifier(os.environ)
    for number in range(10_000):
        notifier.status(f"number {number}")
    notifier.ready()
    texts(manager)
    notifier.alive()

    assert texts(manager) == ["STATUS=number 9999", "READY=1", "WATCHDOG=1"]


def test_children_do_not_inherit_it(manager: socket.socket) -> None:
    """The socket is taken out of the environment: nobody else speaks for us."""
    Notifier(os.environ)

    assert "NOTIFY_SOCKET" not in os.environ


def test_no_manager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a manager, or with one that is gone, nothing happens."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier(os.environ).ready()
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    Notifier(os.environ).ready()


def test_a_manager_that_ends(manager: socket.socket) -> None:
    """When the manager's socket is closed, telling goes on without an error."""
    notifier = Notifier(os.environ)
    manager.close()

    notifier.ready()


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
    ],
)
def test_the_watchdog(environment: dict[str, str], seconds: float | None) -> None:
    """The limit is that of sd_watchdog_enabled(3), and only for this process."""
    assert Notifier(dict(environment)).watchdog_s == seconds
