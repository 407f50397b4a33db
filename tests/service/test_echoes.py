"""Records from anywhere, and changes held back: what the listener takes for an echo, on real files."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mswatch.account import Store, Sync
from mswatch.core.events import MailboxChanged
from mswatch.service.echoes import Listener
from mswatch.watchers.reader import Changed
from tests.servers.maildir import MaildirStore, deliver, make_message

MBSYNC = Sync("mbsync", ("mbsync",), "work")
NEWS = [MailboxChanged("near", "INBOX")]


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that nobody runs."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def listener(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> Iterator[Listener]:
    """A listener that takes this process for the syncer."""
    listener = Listener(tmp_path / "work.echo", MBSYNC, loop)
    yield listener
    listener.close()


@pytest.fixture
def maildir(tmp_path: Path) -> MaildirStore:
    """A Maildir with an INBOX."""
    store = MaildirStore(tmp_path / "near")
    store.make("INBOX")
    return store


def store_of(maildir: MaildirStore) -> Store:
    """Return it as configured."""
    return Store("near", maildir.root)


def send(listener: Listener, data: bytes) -> None:
    """Send a datagram, as the shim does."""
    assert listener.address is not None
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(data, listener.address)


def made(path: Path) -> bytes:
    """Return the record of a file that was made."""
    return b"made\0" + os.fsencode(path) + b"\0"


def change(path: Path) -> Changed:
    """Return what a watcher says of a file in INBOX."""
    return Changed("INBOX", files=frozenset([f"{path.parent.name}/{path.name}"]))


def run(listener: Listener, data: bytes, *, pid: int | None = None, succeeded: bool = True) -> None:
    """A run that sends this."""
    listener.begin(None)
    listener.believe(os.getpid() if pid is None else pid)
    send(listener, data)
    assert listener.end(succeeded=succeeded) == []


def test_an_echo(listener: Listener, maildir: MaildirStore) -> None:
    """What the syncer made is no news; what happens to it afterwards is."""
    message = deliver(maildir.path())
    run(listener, made(message))
    assert listener.news(store_of(maildir), change(message)) == []
    assert listener.count == 1

    message.unlink()
    assert listener.news(store_of(maildir), change(message)) == NEWS


def test_what_is_held_back(listener: Listener, maildir: MaildirStore) -> None:
    """During a run its mailboxes are judged at its end, and others at once."""
    ours, theirs = deliver(maildir.path()), deliver(maildir.path())
    listener.begin(("INBOX",))
    listener.believe(os.getpid())
    assert listener.news(store_of(maildir), change(ours)) == []
    assert listener.news(store_of(maildir), change(theirs)) == []
    other = Changed("Sent", files=frozenset(["new/1"]))
    assert listener.news(store_of(maildir), other) == [MailboxChanged("near", "Sent")]
    assert listener.news(store_of(maildir), Changed("INBOX")) == NEWS
    send(listener, made(ours))

    assert listener.end(succeeded=True) == NEWS
    assert listener.count == 1


@pytest.mark.parametrize(
    "data", [b"", b"made", b"made\0", b"made\0relative\0", b"\0\0\0", b"sold\0/x\0", b"\xff" * 9000]
)
def test_garbage(listener: Listener, maildir: MaildirStore, data: bytes) -> None:
    """A datagram that is no record explains nothing and harms nobody."""
    message = deliver(maildir.path())
    run(listener, data)
    assert listener.news(store_of(maildir), change(message)) == NEWS


def test_taken_by_a_server(listener: Listener, maildir: MaildirStore) -> None:
    """That a message went into cur without a flag is nothing to a syncer that we know, and news to others."""
    message = deliver(maildir.path())
    taken = Changed("INBOX", taken=True, files=frozenset([f"cur/{message.name}:2,"]))
    assert listener.news(store_of(maildir), taken) == []

    listener.sync = Sync("command", ("rsync",))
    assert listener.news(store_of(maildir), taken) == NEWS


@pytest.mark.parametrize("who", ["a child of the syncer", "a syncer that failed"])
def test_records_that_do_not_count(listener: Listener, maildir: MaildirStore, who: str) -> None:
    """Only the syncer's own process is believed, and only if it succeeded."""
    message = deliver(maildir.path())
    is_child = who.startswith("a child")
    run(listener, made(message), pid=1 if is_child else None, succeeded=is_child)
    assert listener.news(store_of(maildir), change(message)) == NEWS


def test_two_directories_of_one_name(listener: Listener, maildir: MaildirStore) -> None:
    """Where a name stands for two directories, a change may be of the other one."""
    message = deliver(maildir.path())
    run(listener, made(message))
    MaildirStore(maildir.root / ".INBOX").make("INBOX")
    assert listener.news(store_of(maildir), change(message)) == NEWS


def test_many_files_at_once(listener: Listener, maildir: MaildirStore) -> None:
    """A hundred names are judged like one; a single one that differs makes them news."""
    arrived = [deliver(maildir.path(), make_message()) for _ in range(100)]
    run(listener, b"".join(map(made, arrived)))
    told = Changed("INBOX", files=frozenset(f"new/{path.name}" for path in arrived))
    assert listener.news(store_of(maildir), told) == []

    arrived[50].unlink()
    assert listener.news(store_of(maildir), told) == NEWS


def test_no_room_for_a_socket(tmp_path: Path, loop: asyncio.AbstractEventLoop, maildir: MaildirStore) -> None:
    """Below a path that is too long for a socket everything is news."""
    listener = Listener(tmp_path / ("x" * 120), MBSYNC, loop)
    assert listener.address is None
    listener.begin(None)
    assert listener.end(succeeded=True) == []
    assert listener.news(store_of(maildir), change(deliver(maildir.path()))) == NEWS
    listener.close()
